//! What was asked and answered, and what of it must never have been.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    call::{Call, Made, now},
    order::{Failure, Mood},
    sweep::Sweep,
};

/// What a value may be older by than its life and its stale windows: reading clocks, and being late on a busy machine.
const TOLERANCE: u64 = 300_000;
/// For how long after its request a body that hangs may end others: until its timeout, and then some.
const HANGS: u64 = 3_000_000;
/// How long failing requests and sweeps are remembered: longer than any answer takes.
const REMEMBERED: u64 = 20_000_000;
/// How many violations are told in full.
const TOLD: usize = 20;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) call: Call,
    pub(crate) mood: Mood,
    pub(crate) request: u64,
    pub(crate) service: usize,
    pub(crate) at: u64,
}

/// What came back for it.
pub(crate) enum Answer {
    Found(Option<Made>),
    Failed(Failure),
    TimedOut,
    /// No answer, or one that no handler gives.
    Broken(String),
    /// The client went away before.
    Aborted,
}

#[derive(Default)]
pub(crate) struct Ledger {
    requests: AtomicU64,
    pub(crate) counts: Counts,
    /// Requests whose bodies fail, and when they were sent.
    failing: Mutex<BTreeSet<(u64, u64)>>,
    /// When a body that hangs was last asked for.
    hanging: Mutex<HashMap<Call, u64>>,
    sweeps: Mutex<Vec<Swept>>,
    violations: Mutex<Vec<String>>,
}

macro_rules! counts {
    ($($name:ident)*) => {
        #[derive(Default)]
        pub(crate) struct Counts {$( pub(crate) $name: AtomicU64, )*}

        impl fmt::Display for Counts {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $( write!(f, "{} {}, ", self.$name.load(Ordering::Relaxed), stringify!($name))?; )*
                Ok(())
            }
        }
    };
}
counts!(asked found nothing failed timed_out broken aborted mixed wrong sweeps);

struct Swept {
    sweep: Sweep,
    service: usize,
    began: u64,
    done: u64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Ledger {
    /// Notes a request before it is sent.
    pub(crate) fn ask(&self, call: Call, mood: Mood, service: usize) -> Asked {
        let (request, at) = (self.requests.fetch_add(1, Ordering::Relaxed), now());
        count(&self.counts.asked);
        match mood {
            Mood::Fails => {
                let mut failing = self.failing.lock().unwrap();
                *failing = failing.split_off(&(at.saturating_sub(REMEMBERED), 0));
                failing.insert((at, request));
            }
            Mood::Hangs => drop(self.hanging.lock().unwrap().insert(call.clone(), at)),
            _ => {}
        }
        Asked { call, mood, request, service, at }
    }

    pub(crate) fn asked(&self) -> u64 {
        self.counts.asked.load(Ordering::Relaxed)
    }

    /// Notes an invalidation that has been answered.
    pub(crate) fn swept(&self, sweep: Sweep, service: usize, began: u64) {
        count(&self.counts.sweeps);
        let done = now();
        let mut sweeps = self.sweeps.lock().unwrap();
        sweeps.retain(|swept| swept.done + REMEMBERED > done);
        sweeps.push(Swept { sweep, service, began, done });
    }

    pub(crate) fn violation(&self, what: String) {
        count(&self.counts.wrong);
        let mut violations = self.violations.lock().unwrap();
        if violations.len() < TOLD {
            violations.push(what);
        }
    }

    /// The violations so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    /// Checks an answer.
    pub(crate) fn judge(&self, asked: &Asked, answer: Answer) {
        let wrong = match answer {
            Answer::Found(found) => self.judge_found(asked, found),
            Answer::Failed(failure) => self.judge_failure(asked, &failure),
            Answer::TimedOut => self.judge_timeout(asked),
            Answer::Broken(how) => self.judge_broken(asked, how),
            Answer::Aborted => {
                count(&self.counts.aborted);
                Ok(())
            }
        };
        if let Err(wrong) = wrong {
            self.violation(format!("{} ms: {wrong}: {asked:?}", now() / 1000));
        }
    }

    fn judge_found(&self, asked: &Asked, found: Option<Made>) -> Result<(), String> {
        let Some(made) = found else {
            count(&self.counts.nothing);
            return if asked.call.finds_nothing() { Ok(()) } else { Err("nothing was found".to_owned()) };
        };
        count(&self.counts.found);
        if !made.is_of(&asked.call) || asked.call.finds_nothing() {
            count(&self.counts.mixed);
            return Err(format!("MIXED: the value of {:?}", made.of));
        }
        let age = asked.at.saturating_sub(made.done);
        if age > asked.call.shape.life() * 1000 + TOLERANCE {
            return Err(format!("a value that is {} ms old", age / 1000));
        }
        self.not_swept(asked, &made)
    }

    /// What was invalidated in a process is not answered by it to those who ask later.
    fn not_swept(&self, asked: &Asked, made: &Made) -> Result<(), String> {
        let sweeps = self.sweeps.lock().unwrap();
        let late = |swept: &&Swept| swept.service == asked.service && swept.done < asked.at && made.began < swept.began;
        match sweeps.iter().rev().filter(late).find(|swept| swept.sweep.covers(&asked.call)) {
            None => Ok(()),
            Some(Swept { sweep, began, done, .. }) => {
                let ([made_at, done_at], began, done) = ([made.began, made.done].map(ms), ms(*began), ms(*done));
                Err(format!("made {made_at}-{done_at} ms, invalidated {began}-{done} ms by {sweep:?}"))
            }
        }
    }

    /// A failure is that of a body for the same question, and of one that ran after this one was asked.
    fn judge_failure(&self, asked: &Asked, failure: &Failure) -> Result<(), String> {
        count(&self.counts.failed);
        if failure.of != asked.call {
            count(&self.counts.mixed);
            return Err(format!("MIXED: the failure of {:?}", failure.of));
        }
        if failure.done < asked.at {
            return Err("a failure that was kept".to_owned());
        }
        let known = self.failing.lock().unwrap().iter().any(|(_, request)| *request == failure.request);
        if known { Ok(()) } else { Err(format!("a failure of a body that does not fail: {failure:?}")) }
    }

    fn judge_timeout(&self, asked: &Asked) -> Result<(), String> {
        count(&self.counts.timed_out);
        let hung = self.hanging.lock().unwrap().get(&asked.call).copied();
        let hung = hung.is_some_and(|at| at + HANGS > asked.at);
        if hung && asked.call.shape.has_timeout() { Ok(()) } else { Err("a timeout where nothing hangs".to_owned()) }
    }

    fn judge_broken(&self, asked: &Asked, how: String) -> Result<(), String> {
        count(&self.counts.broken);
        if asked.mood == Mood::Panics { Ok(()) } else { Err(how) }
    }
}

fn ms(micros: u64) -> u64 {
    micros / 1000
}
