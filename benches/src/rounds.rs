//! Contenders take turns.

use std::time::{Duration, Instant};

/// One way to do the work.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Does the work this many times.
    work: Box<dyn FnMut(u64)>,
}

impl Contender {
    pub(crate) fn new(name: &'static str, work: impl FnMut(u64) + 'static) -> Self {
        Self { name, work: Box::new(work) }
    }

    fn timed(&mut self, times: u64) -> Duration {
        let began = Instant::now();
        (self.work)(times);
        began.elapsed()
    }
}

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    rounds: usize,
    turn: Duration,
}

impl Effort {
    pub(crate) const FULL: Self = Self { rounds: 31, turn: Duration::from_millis(40) };
    pub(crate) const QUICK: Self = Self { rounds: 7, turn: Duration::from_millis(10) };
}

/// Nanoseconds that one piece of work took, per round, in ascending order.
pub(crate) struct Times {
    pub(crate) name: &'static str,
    ascending: Vec<f64>,
}

impl Times {
    /// The time that this part (0 to 1) of the rounds stayed below.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        self.ascending[((self.ascending.len() - 1) as f64 * part).round() as usize]
    }

    pub(crate) fn rounds(&self) -> usize {
        self.ascending.len()
    }
}

/// Measures every contender in every round, each round beginning with another one.
pub(crate) fn take_turns(mut contenders: Vec<Contender>, effort: Effort) -> Vec<Times> {
    let times: Vec<u64> = contenders.iter_mut().map(|contender| fitting(contender, effort.turn)).collect();
    let mut measured: Vec<Times> =
        contenders.iter().map(|contender| Times { name: contender.name, ascending: Vec::new() }).collect();
    for round in 0..effort.rounds {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            let took = contenders[at].timed(times[at]);
            measured[at].ascending.push(took.as_secs_f64() * 1e9 / times[at] as f64);
        }
    }
    for times in &mut measured {
        times.ascending.sort_by(f64::total_cmp);
    }
    measured
}

/// How many times the work fits into a turn; finding out warms it up.
fn fitting(contender: &mut Contender, turn: Duration) -> u64 {
    let mut times = 1;
    loop {
        let took = contender.timed(times);
        if took * 2 >= turn {
            return times;
        }
        times *= 2;
    }
}
