//! How a simulation ended.

use std::{collections::HashSet, fmt};

use super::{
    check::Broken,
    history::{Act, Answer, Event, Target, Text, What},
    plan::Plan,
};

/// What happened in a simulation that kept its promises. Equal for equal histories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Operations of clients that ended.
    pub operations: u64,
    /// Bodies run.
    pub runs: u64,
    /// Calls that were answered with a value.
    pub values: u64,
    /// Invalidations, and writes by hand.
    pub invalidations: u64,
    /// Those that the store missed.
    pub missed: u64,
    /// Those that were replayed.
    pub replayed: u64,
    /// Processes that crashed.
    pub crashes: u64,
    /// Subscriptions that broke.
    pub breaks: u64,
    /// Events in all.
    pub events: u64,
    /// A hash of the whole history.
    pub fingerprint: u64,
}

impl Report {
    pub(super) fn of(seed: u64, events: &[Event]) -> Self {
        let mut report = Self { seed, events: events.len() as u64, ..Self::default() };
        let mut hasher = blake3::Hasher::new();
        for event in events {
            report.count(&event.what);
            hasher.update(event.to_string().as_bytes());
        }
        report.fingerprint = hasher.finalize().as_bytes().first_chunk().map_or(0, |start| u64::from_le_bytes(*start));
        report
    }

    fn count(&mut self, what: &What) {
        match what {
            What::Began { act: Act::Set { .. } | Act::Invalidate { .. }, .. } => self.invalidations += 1,
            What::Ended { answer, .. } => {
                self.operations += 1;
                self.values += u64::from(matches!(answer, Answer::Value(_)));
            }
            What::RunBegan { .. } => self.runs += 1,
            What::Missed { .. } => self.missed += 1,
            What::Replayed { .. } => self.replayed += 1,
            What::Crashed => self.crashes += 1,
            What::BusDown => self.breaks += 1,
            _ => {}
        }
    }

    /// Adds what happened in another world; the seed stays.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.runs += other.runs;
        self.values += other.values;
        self.invalidations += other.invalidations;
        self.missed += other.missed;
        self.replayed += other.replayed;
        self.crashes += other.crashes;
        self.breaks += other.breaks;
        self.events += other.events;
        self.fingerprint ^= other.fingerprint;
    }
}

/// A broken promise, with everything that led to it.
pub struct Violation {
    seed: u64,
    promise: &'static str,
    story: String,
    history: Vec<String>,
}

impl Violation {
    pub(super) fn new(seed: u64, broken: Broken, plan: &Plan, events: Vec<Event>) -> Box<Self> {
        let mut about = About { key: broken.key, plan, numbers: HashSet::new() };
        let events = events.iter().filter(|event| about.concerns(&event.what));
        let history = events.map(ToString::to_string).collect();
        Box::new(Self { seed, promise: broken.promise, story: broken.story, history })
    }

    pub(super) fn stopped(seed: u64, story: String) -> Box<Self> {
        Box::new(Self { seed, promise: "a simulation comes to its end", story, history: Vec::new() })
    }

    /// The seed that shows it.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The promise that was broken.
    pub fn promise(&self) -> &str {
        self.promise
    }
}

/// Which events have to do with a key.
struct About<'a> {
    key: Option<Text>,
    plan: &'a Plan,
    numbers: HashSet<u64>,
}

impl About<'_> {
    fn concerns(&mut self, what: &What) -> bool {
        let Some(key) = self.key.clone() else { return true };
        let (number, begins) = match what {
            What::Began { operation, act } => (*operation, self.touches(act, &key)),
            What::RunBegan { value, key: own, .. } => (*value, *own == key),
            What::FlightBegan { flight, keys } => (*flight, keys.contains(&key)),
            What::Ended { operation: number, .. }
            | What::RunEnded { value: number, .. }
            | What::FlightEnded { flight: number }
            | What::Missed { operation: number }
            | What::Replayed { operation: number } => return self.numbers.contains(number),
            What::BusUp | What::BusDown | What::Fault(_) | What::Crashed => return true,
        };
        if begins {
            self.numbers.insert(number);
        }
        begins
    }

    fn touches(&self, act: &Act, key: &Text) -> bool {
        match act {
            Act::Compute(own) | Act::Get(own) | Act::Set { key: own, .. } => own == key,
            Act::Invalidate { target: Target::Key(own), .. } => own == key,
            Act::Invalidate { target: Target::Group(group), .. } => {
                self.plan.key(key).is_some_and(|spot| spot.is_in(group))
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} breaks the promise: {}", self.seed, self.promise)?;
        writeln!(f, "{}", self.story)?;
        for line in &self.history {
            writeln!(f, "{line}")?;
        }
        write!(f, "replay it with FM_SIM_SEED={}", self.seed)
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Violation {}
