//! The decisions of one retried call: another attempt or not, and after which wait. It never sleeps itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    entropy::Entropy,
    stop::Stop,
    wait::{Backoff, Jitter, Wait},
};

/// What a retry does, apart from which outcomes it repeats.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) stop: Stop,
    pub(crate) wait: Wait,
    pub(crate) jitter: Jitter,
    pub(crate) deadline: Option<Duration>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) seed: Option<u64>,
}

/// One retried call under way.
#[derive(Debug)]
pub(crate) struct Attempts {
    stop: Stop,
    backoff: Backoff,
    deadline: Option<Duration>,
    attempt_timeout: Option<Duration>,
    started: Instant,
    made: u32,
}

/// Which limit ends an attempt that is still running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `attempt_timeout`: another attempt may follow.
    Attempt,
    /// `deadline`: it is over.
    Deadline,
}

impl Plan {
    /// Neither jitter nor limits.
    pub(crate) const fn new(stop: Stop, wait: Wait) -> Self {
        Self { stop, wait, jitter: Jitter::None, deadline: None, attempt_timeout: None, seed: None }
    }

    /// Begins a call now, by tokio's clock.
    pub(crate) fn begin(self) -> Attempts {
        let entropy = self.seed.map_or_else(Entropy::fresh, Entropy::seeded);
        Attempts {
            stop: self.stop,
            backoff: Backoff::new(self.wait, self.jitter, entropy),
            deadline: self.deadline,
            attempt_timeout: self.attempt_timeout,
            started: Instant::now(),
            made: 0,
        }
    }
}

impl Attempts {
    /// How many calls were made.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }

    /// How long ago the first call began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long the next attempt may take, and by which limit.
    pub(crate) fn limit(&self) -> Option<(Duration, Limit)> {
        let left = self.deadline.map(|deadline| deadline.saturating_sub(self.elapsed()));
        match (self.attempt_timeout, left) {
            (Some(timeout), Some(left)) if left <= timeout => Some((left, Limit::Deadline)),
            (Some(timeout), _) => Some((timeout, Limit::Attempt)),
            (None, Some(left)) => Some((left, Limit::Deadline)),
            (None, None) => None,
        }
    }

    /// An attempt has ended.
    pub(crate) fn count(&mut self) {
        self.made = self.made.saturating_add(1);
    }

    /// The wait before another attempt, or `None` to give up. Called once after each attempt that is to be repeated.
    pub(crate) fn next_wait(&mut self) -> Option<Duration> {
        let wait = self.backoff.next()?;
        let elapsed = self.elapsed();
        let too_late = self.deadline.is_some_and(|deadline| elapsed.saturating_add(wait) >= deadline);
        (!too_late && !self.stop.is_reached(self.made, elapsed, wait)).then_some(wait)
    }
}
