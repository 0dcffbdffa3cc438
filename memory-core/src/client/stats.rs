//! What a client does, as counters and as events.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tracing::field::display;

use super::error::FmClientError;

/// The target of all events of a client.
const TARGET: &str = "memory_core::client";

/// What a client and its clones have done since it was built. A snapshot.
///
/// The same is told by `tracing` events of the target `memory_core::client` at DEBUG: `attempt` begins and
/// `attempt ended` (`attempt`, `elapsed_ms`, `outcome`, `status`), `waiting` (`attempt`, `wait_ms`), `not sent again`
/// (`reason`: `attempts`, `deadline`, `retry_after`, `method`, `body`, `budget`, or `nested`
/// where it is left to a retry around it). Each has `request`: method and URL, without
/// credentials and query.
///
/// # Examples
///
/// ```
/// # use memory_core::{FmError, FmResilientClient};
/// # fn main() -> Result<(), FmError> {
/// let upstream = FmResilientClient::new("http://api.example.com:8080")?;
/// let stats = upstream.stats();
/// println!("{} of {} requests failed, after {} retries", stats.failures, stats.requests, stats.retries);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FmClientStats {
    /// Requests that were awaited and could be sent.
    pub requests: u64,
    /// Requests that ended with an answer.
    pub successes: u64,
    /// Requests that ended with an error; those whose caller went away are neither.
    pub failures: u64,
    /// Times anything was sent, or a connection was waited for.
    pub attempts: u64,
    /// Of those, the ones after a failure.
    pub retries: u64,
    /// Attempts that took longer than their timeout.
    pub timeouts: u64,
    /// Failures that may have passed, but were not followed by another attempt: none was left, the deadline was too near,
    /// the `Retry-After` too long, or a repetition could have done harm.
    pub refused_retries: u64,
    /// Attempts under way now, answers that are still read not included.
    pub under_way: u64,
}

/// Where they are counted.
#[derive(Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    successes: AtomicU64,
    failures: AtomicU64,
    attempts: AtomicU64,
    retries: AtomicU64,
    timeouts: AtomicU64,
    refused_retries: AtomicU64,
    under_way: AtomicU64,
}

impl Counters {
    pub(crate) fn snapshot(&self) -> FmClientStats {
        FmClientStats {
            requests: self.requests.load(Relaxed),
            successes: self.successes.load(Relaxed),
            failures: self.failures.load(Relaxed),
            attempts: self.attempts.load(Relaxed),
            retries: self.retries.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            refused_retries: self.refused_retries.load(Relaxed),
            under_way: self.under_way.load(Relaxed),
        }
    }
}

/// Follows one request.
pub(crate) struct Watch<'a> {
    counters: &'a Counters,
    target: &'a str,
}

impl<'a> Watch<'a> {
    pub(crate) fn begin(counters: &'a Counters, target: &'a str) -> Self {
        counters.requests.fetch_add(1, Relaxed);
        Self { counters, target }
    }

    pub(crate) fn sends(&self, attempt: u32) {
        self.counters.attempts.fetch_add(1, Relaxed);
        self.counters.retries.fetch_add(u64::from(attempt > 1), Relaxed);
        tracing::debug!(target: TARGET, request = self.target, attempt, "attempt");
    }

    /// Only errors of ours are shown: others may tell a query string.
    pub(crate) fn waits(&self, attempt: u32, wait: Duration, error: Option<&FmClientError>) {
        let error = error.map(display);
        tracing::debug!(target: TARGET, request = self.target, attempt, wait_ms = millis(wait), error, "waiting");
    }

    pub(crate) fn refuses(&self, reason: &'static str, error: Option<&FmClientError>) {
        let error = error.map(display);
        self.counters.refused_retries.fetch_add(1, Relaxed);
        tracing::debug!(target: TARGET, request = self.target, reason, error, "not sent again");
    }

    pub(crate) fn end(&self, is_answered: bool) {
        let counter = if is_answered { &self.counters.successes } else { &self.counters.failures };
        counter.fetch_add(1, Relaxed);
    }
}

/// One attempt under way; also one whose caller goes away ceases to be counted as that.
pub(crate) struct UnderWay<'a> {
    watch: &'a Watch<'a>,
}

impl<'a> UnderWay<'a> {
    pub(crate) fn begin(watch: &'a Watch<'a>) -> Self {
        watch.counters.under_way.fetch_add(1, Relaxed);
        Self { watch }
    }

    pub(crate) fn is_over(&self, attempt: u32, elapsed: Duration, outcome: &'static str, status: Option<u16>) {
        self.watch.counters.timeouts.fetch_add(u64::from(outcome == "timeout"), Relaxed);
        tracing::debug!(
            target: TARGET,
            request = self.watch.target,
            attempt,
            elapsed_ms = millis(elapsed),
            outcome,
            status,
            "attempt ended"
        );
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.watch.counters.under_way.fetch_sub(1, Relaxed);
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
