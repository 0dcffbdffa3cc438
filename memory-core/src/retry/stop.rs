//! When to give up.

use std::{
    ops::{BitAnd, BitOr},
    time::Duration,
};

use super::number::{IntoCount, lenient};
use crate::time::IntoDuration;

/// When to give up, asked after every call that is to be repeated.
///
/// All building blocks make this one type. `a | b` stops when either does, `a & b` when both do.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use memory_core::{stop_after_delay, stop_after_retries};
///
/// let stop = stop_after_retries(5) | stop_after_delay(60);
/// assert!(!stop.is_reached(4, Duration::from_secs(59), Duration::ZERO));
/// assert!(stop.is_reached(5, Duration::from_secs(3), Duration::ZERO));
/// assert!(stop.is_reached(2, Duration::from_secs(60), Duration::ZERO));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a stop does nothing until a retry uses it"]
pub struct Stop(Rule);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Never,
    AfterCalls(u32),
    AfterDelay(Duration),
    BeforeDelay(Duration),
    Any(Vec<Stop>),
    All(Vec<Stop>),
}

/// Allows `calls` calls in all; the first one is made even for 0.
pub fn stop_after_retries(calls: impl IntoCount) -> Stop {
    Stop(Rule::AfterCalls(calls.into_count()))
}

/// Gives up once this much time has passed since the first call began.
pub fn stop_after_delay(delay: impl IntoDuration) -> Stop {
    Stop(Rule::AfterDelay(lenient(delay)))
}

/// Gives up when the next call would begin this much time, or more, after the first one began.
pub fn stop_before_delay(delay: impl IntoDuration) -> Stop {
    Stop(Rule::BeforeDelay(lenient(delay)))
}

/// Never gives up.
pub const fn stop_never() -> Stop {
    Stop(Rule::Never)
}

impl Stop {
    /// Stops when any of these does; never, for none.
    pub fn any(stops: impl IntoIterator<Item = Self>) -> Self {
        Self(Rule::Any(stops.into_iter().collect()))
    }

    /// Stops when all of these do; at once, for none.
    pub fn all(stops: impl IntoIterator<Item = Self>) -> Self {
        Self(Rule::All(stops.into_iter().collect()))
    }

    /// Whether to give up after `calls` calls, `elapsed` after the first one began, where the wait would be `upcoming`.
    pub fn is_reached(&self, calls: u32, elapsed: Duration, upcoming: Duration) -> bool {
        match &self.0 {
            Rule::Never => false,
            Rule::AfterCalls(most) => calls >= *most,
            Rule::AfterDelay(delay) => elapsed >= *delay,
            Rule::BeforeDelay(delay) => elapsed.saturating_add(upcoming) >= *delay,
            Rule::Any(stops) => stops.iter().any(|stop| stop.is_reached(calls, elapsed, upcoming)),
            Rule::All(stops) => stops.iter().all(|stop| stop.is_reached(calls, elapsed, upcoming)),
        }
    }
}

impl BitOr for Stop {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self::any([self, other])
    }
}

impl BitAnd for Stop {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self::all([self, other])
    }
}
