//! What retries and the other policies do: counted per function, and told to the log.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Calls, Counter};
use crate::sync::lock;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// What retries and the other policies of one function have done since the process began.
        ///
        /// The same is told by `tracing` events of the target `memory_core::resilience`, with the fields `function` (or
        /// the name of the policy) and `policy`: `retry` (`attempt`, `wait_ms`, `reason`), `timeout` (`limit`: `attempt`,
        /// `total` or `deadline`), `circuit_breaker` (`from`, `to`: `closed`, `open` or `half_open`, at WARN), `rate_limit` and
        /// `bulkhead` (`from`, `to`: its limit, where that changes), `hedge` (`attempt`), `fallback`, and `chaos` (`injected`: `fault` or `latency`). A refusal has
        /// `retry_after_ms` where that is known.
        ///
        /// # Examples
        ///
        /// ```
        /// # use memory_core::FmCacheManager;
        /// for (function, counts) in &FmCacheManager::stats().resilience {
        ///     println!("{function}: {} retries of {} attempts", counts.retries, counts.attempts);
        /// }
        /// ```
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct FmResilienceStats {$(
            $(#[$doc])*
            pub $name: u64,
        )*}

        #[derive(Default)]
        struct Counters {$( $name: Counter, )*}

        impl Counters {
            fn snapshot(&self) -> FmResilienceStats {
                FmResilienceStats {$( $name: self.$name.get(), )*}
            }
        }
    };
}
counters! {
    /// Attempts of retried calls, the first ones included.
    attempts
    /// Of those, the ones that were repetitions.
    retries
    /// Calls that were to be repeated, but were not: attempts, time or the budget were spent.
    exhausted
    /// Of those, the ones that the retry budget refused.
    over_budget
    /// Calls that were cut by a timeout or a deadline.
    timeouts
    /// Times a circuit breaker opened.
    circuits_opened
    /// Calls that an open circuit breaker refused.
    circuit_refusals
    /// Calls that a rate limiter refused.
    rate_refusals
    /// Calls that a bulkhead refused.
    bulkhead_refusals
    /// Times an adaptive bulkhead went to another limit.
    bulkhead_resizes
    /// Second and further calls made because the first took long.
    hedges
    /// Of those, the ones that answered first.
    hedge_wins
    /// Errors that were answered by a fallback.
    fallbacks
    /// Faults and delays injected by `Chaos`.
    injected
}

/// What happened to a call, or to a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// An attempt of a retried call begins, the first is 1.
    Attempt(u32),
    /// A retried call waits for its next attempt.
    Backoff { attempt: u32, wait: Duration },
    /// A retried call is not repeated any more.
    Exhausted { attempts: u32, why: &'static str },
    /// A call was cut.
    TimedOut { limit: &'static str },
    /// A circuit breaker goes to another state.
    Circuit { from: &'static str, to: &'static str },
    /// A policy (`circuit_breaker`, `rate_limit`, `bulkhead`) lets a call not through.
    Refused { policy: &'static str, retry_after: Option<Duration> },
    /// An adaptive bulkhead goes to another limit.
    Resized { from: usize, to: usize },
    /// A call waits for its turn by a policy.
    Queued { policy: &'static str },
    /// Another call is made because those under way take long.
    Hedge(u32),
    /// The call of this number, and not the first, answered.
    HedgeWon(u32),
    /// An error is answered by a fallback.
    Fallback,
    /// `Chaos` put in a `fault` or `latency`.
    Injected { what: &'static str },
}

/// The counters of one function, and the name that it has in the log.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<Account>);

struct Account {
    name: Box<str>,
    counters: Counters,
    /// Calls that are counted elsewhere: their first attempts.
    calls: Mutex<Vec<Arc<Calls>>>,
}

static LEDGERS: Mutex<BTreeMap<String, Ledger>> = Mutex::new(BTreeMap::new());

impl Ledger {
    /// The ledger of this name; there is one in the process.
    pub(crate) fn named(name: &str) -> Self {
        let mut ledgers = LEDGERS.lock().unwrap_or_else(PoisonError::into_inner);
        ledgers.entry(name.to_owned()).or_insert_with(|| Self::empty(name)).clone()
    }

    fn empty(name: &str) -> Self {
        Self(Arc::new(Account { name: name.into(), counters: Counters::default(), calls: Mutex::default() }))
    }

    /// Counts these calls as well, each as a first attempt.
    pub(crate) fn include(&self, calls: &Arc<Calls>) {
        lock(&self.0.calls).push(Arc::clone(calls));
    }

    /// Tells the log of an event that is counted already.
    #[inline]
    pub(crate) fn trace(&self, event: Event) {
        event.trace(&self.0.name);
    }

    fn snapshot(&self) -> FmResilienceStats {
        let mut stats = self.0.counters.snapshot();
        stats.attempts += lock(&self.0.calls).iter().map(|calls| calls.total()).sum::<u64>();
        stats
    }

    /// Counts an event and tells the log.
    pub(crate) fn note(&self, event: Event) {
        event.count(&self.0.counters);
        event.trace(&self.0.name);
    }
}

impl Event {
    fn count(self, counters: &Counters) {
        match self {
            Self::Attempt(attempt) => {
                counters.attempts.add_one();
                if attempt > 1 {
                    counters.retries.add_one();
                }
            }
            Self::Backoff { .. } => {}
            Self::Exhausted { why, .. } => {
                counters.exhausted.add_one();
                if why == "budget" {
                    counters.over_budget.add_one();
                }
            }
            Self::TimedOut { .. } => counters.timeouts.add_one(),
            Self::Circuit { to: "open", .. } => counters.circuits_opened.add_one(),
            Self::Refused { policy: "circuit_breaker", .. } => counters.circuit_refusals.add_one(),
            Self::Refused { policy: "rate_limit", .. } => counters.rate_refusals.add_one(),
            Self::Refused { .. } => counters.bulkhead_refusals.add_one(),
            Self::Circuit { .. } | Self::Queued { .. } => {}
            Self::Resized { .. } => counters.bulkhead_resizes.add_one(),
            Self::Hedge(_) => counters.hedges.add_one(),
            Self::HedgeWon(_) => counters.hedge_wins.add_one(),
            Self::Fallback => counters.fallbacks.add_one(),
            Self::Injected { .. } => counters.injected.add_one(),
        }
    }

    /// Never the error itself: it may carry what must not be logged.
    #[inline]
    pub(crate) fn trace(self, function: &str) {
        match self {
            Self::Attempt(attempt) => {
                tracing::trace!(target: TARGET, function, policy = "retry", attempt, "attempt");
            }
            Self::Backoff { attempt, wait } => {
                tracing::debug!(target: TARGET, function, policy = "retry", attempt, wait_ms = millis(wait), "waits");
            }
            Self::Exhausted { attempts, why } => {
                tracing::debug!(target: TARGET, function, policy = "retry", attempt = attempts, reason = why, "gives up");
            }
            Self::TimedOut { limit } => {
                tracing::debug!(target: TARGET, function, policy = "timeout", limit, "timed out");
            }
            Self::Circuit { from, to } => {
                tracing::warn!(target: TARGET, function, policy = "circuit_breaker", from, to, "changes state");
            }
            Self::Refused { policy, retry_after } => {
                let retry_after_ms = retry_after.map(millis);
                tracing::debug!(target: TARGET, function, policy, retry_after_ms, "refuses");
            }
            Self::Resized { from, to } => {
                tracing::debug!(target: TARGET, function, policy = "bulkhead", from, to, "changes its limit");
            }
            Self::Queued { policy } => tracing::debug!(target: TARGET, function, policy, "queues"),
            Self::Hedge(attempt) => tracing::debug!(target: TARGET, function, policy = "hedge", attempt, "hedges"),
            Self::HedgeWon(attempt) => {
                tracing::debug!(target: TARGET, function, policy = "hedge", attempt, "a hedge answers first");
            }
            Self::Fallback => tracing::debug!(target: TARGET, function, policy = "fallback", "falls back"),
            Self::Injected { what } => {
                tracing::debug!(target: TARGET, function, policy = "chaos", injected = what, "injects");
            }
        }
    }
}

/// What every event of a policy has as its target.
const TARGET: &str = "memory_core::resilience";

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// The counters of all functions that have a policy.
pub(super) fn snapshot() -> BTreeMap<String, FmResilienceStats> {
    let ledgers = LEDGERS.lock().unwrap_or_else(PoisonError::into_inner);
    ledgers.iter().map(|(name, ledger)| (name.clone(), ledger.snapshot())).collect()
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ledger").field(&self.0.name).finish()
    }
}
