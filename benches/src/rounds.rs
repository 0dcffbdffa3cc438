//! Contenders take turns.

use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

/// How we are called among the contenders.
pub(crate) const OURS: &str = "ours";

/// One way to do the work.
pub(crate) struct Contender {
    /// [`OURS`], or the name of a peer.
    pub(crate) name: &'static str,
    /// Does the work this many times.
    work: Box<dyn FnMut(u64)>,
}

impl Contender {
    pub(crate) fn new(name: &'static str, work: impl FnMut(u64) + 'static) -> Self {
        Self { name, work: Box::new(work) }
    }

    pub(crate) fn run(&mut self, times: u64) {
        (self.work)(times);
    }

    fn timed(&mut self, times: u64, clock: Clock) -> Duration {
        let (wall, thread) = (Instant::now(), ThreadTime::now());
        self.run(times);
        match clock {
            Clock::Wall => wall.elapsed(),
            Clock::Thread => thread.elapsed(),
        }
    }
}

/// What time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// What passes for everybody.
    Wall,
    /// What this thread computes: for work that never waits and has one thread. So other processes don't count.
    Thread,
}

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) clock: Clock,
    /// The only contender, for a look at it with a profiler.
    pub(crate) contender: Option<&'static str>,
    pub(crate) rounds: usize,
    pub(crate) turn: Duration,
    pub(crate) is_quick: bool,
}

impl Effort {
    pub(crate) const FULL: Self =
        Self { clock: Clock::Wall, contender: None, rounds: 31, turn: Duration::from_millis(40), is_quick: false };
    pub(crate) const QUICK: Self = Self { rounds: 9, turn: Duration::from_millis(8), is_quick: true, ..Self::FULL };

    /// For work that never waits, on one thread.
    pub(crate) fn of_one_thread(self) -> Self {
        Self { clock: Clock::Thread, ..self }
    }

    /// For work that is a whole experiment each time.
    pub(crate) fn of_experiments(self) -> Self {
        Self { rounds: self.rounds.div_ceil(3), turn: Duration::ZERO, ..self }
    }
}

/// What one contender needed in each round, in ascending order.
pub(crate) struct Samples {
    pub(crate) name: &'static str,
    ascending: Vec<f64>,
}

impl Samples {
    pub(crate) fn new(name: &'static str, mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self { name, ascending: samples }
    }

    /// The same, each put in another unit.
    pub(crate) fn map(self, convert: impl Fn(f64) -> f64) -> Self {
        Self::new(self.name, self.ascending.into_iter().map(convert).collect())
    }

    /// What this part (0 to 1) of the rounds stayed below.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        self.ascending[((self.ascending.len() - 1) as f64 * part).round() as usize]
    }
}

/// Measures every contender in every round, each round beginning with another one: nanoseconds for one piece of work.
pub(crate) fn take_turns(mut contenders: Vec<Contender>, effort: Effort) -> Vec<Samples> {
    contenders.retain(|contender| effort.contender.is_none_or(|only| only == contender.name));
    let times: Vec<u64> = contenders.iter_mut().map(|contender| fitting(contender, effort)).collect();
    let mut measured = vec![Vec::new(); contenders.len()];
    for round in 0..effort.rounds {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            let took = contenders[at].timed(times[at], effort.clock);
            measured[at].push(took.as_secs_f64() * 1e9 / times[at] as f64);
        }
    }
    contenders.iter().zip(measured).map(|(contender, samples)| Samples::new(contender.name, samples)).collect()
}

/// How many times the work fits into a turn; finding out warms it up.
fn fitting(contender: &mut Contender, effort: Effort) -> u64 {
    let mut times = 1;
    loop {
        let took = contender.timed(times, effort.clock);
        if took * 2 >= effort.turn {
            return times;
        }
        times *= 2;
    }
}
