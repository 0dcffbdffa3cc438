//! Settings of a circuit breaker.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    CircuitBreaker, Shared,
    machine::{Machine, Rules},
    window::Span,
};
use crate::{error::FmError, resilience::config::Refused, retry::IntoCount, stats::Ledger, time::IntoDuration};

/// Settings of a [`CircuitBreaker`]; times are seconds or a `Duration`.
///
/// # Default
///
/// Opens at a failure rate of 50 % of the last 100 calls, if there were 20; half-open after 30 s, for 3 probes; no call is slow.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct CircuitBreakerBuilder {
    failure_rate: f64,
    slow_call: Option<Duration>,
    slow_rate: Option<f64>,
    span: Span,
    minimum: u32,
    open_for: Duration,
    probes: u32,
    name: Option<String>,
    refused: Refused,
}

impl Default for CircuitBreakerBuilder {
    fn default() -> Self {
        Self {
            failure_rate: 0.5,
            slow_call: None,
            slow_rate: None,
            span: Span::Calls(100),
            minimum: 20,
            open_for: Duration::from_secs(30),
            probes: 3,
            name: None,
            refused: Refused::default(),
        }
    }
}

impl CircuitBreakerBuilder {
    /// Opens at this share of failed calls, above 0 and up to 1. Default: 0.5.
    pub fn failure_rate(mut self, share: f64) -> Self {
        self.failure_rate = self.refused.share("failure_rate", share);
        self
    }

    /// Calls that take this long or longer are slow, whether they succeed or not. Default: none is.
    pub fn slow_call(mut self, length: impl IntoDuration) -> Self {
        self.slow_call = Some(self.refused.span("slow_call", length));
        self
    }

    /// Opens at this share of slow calls, above 0 and up to 1; needs [`slow_call`](Self::slow_call). Default: 1.
    pub fn slow_rate(mut self, share: f64) -> Self {
        self.slow_rate = Some(self.refused.share("slow_rate", share));
        self
    }

    /// Judges by the last so many calls. Default: 100.
    pub fn window_calls(mut self, calls: impl IntoCount) -> Self {
        self.span = Span::Calls(self.refused.some("window_calls", calls.into_count()));
        self
    }

    /// Judges by the calls that ended in the last so many seconds, in steps of a tenth of it.
    pub fn window_time(mut self, length: impl IntoDuration) -> Self {
        self.span = Span::Time(self.refused.span("window_time", length));
        self
    }

    /// Does not judge by fewer calls. Default: 20, and never more than [`window_calls`](Self::window_calls).
    pub fn minimum_calls(mut self, calls: impl IntoCount) -> Self {
        self.minimum = self.refused.some("minimum_calls", calls.into_count());
        self
    }

    /// How long it refuses calls before it lets probes through. Default: 30 s.
    pub fn open_for(mut self, length: impl IntoDuration) -> Self {
        self.open_for = self.refused.span("open_for", length);
        self
    }

    /// How many calls are let through to probe the upstream, at the same rates. Default: 3.
    pub fn probes(mut self, calls: impl IntoCount) -> Self {
        self.probes = self.refused.some("probes", calls.into_count());
        self
    }

    /// Its name in errors, the log and [`FmStats::resilience`](crate::FmStats::resilience).
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name, unless it has one.
    pub(crate) fn named_or(mut self, name: &str) -> Self {
        self.name.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Builds it.
    ///
    /// # Errors
    ///
    /// [`is_config`](FmError::is_config): a share that is none, a length of time or number of calls that is zero, a `slow_rate` without
    /// `slow_call`.
    pub fn build(mut self) -> Result<CircuitBreaker, FmError> {
        let needs = self.slow_rate.is_none() || self.slow_call.is_some();
        self.refused.unless(needs, || "`slow_rate` needs `slow_call`: from which length on is a call slow?".into());
        self.refused.into_result()?;
        let minimum = match self.span {
            Span::Calls(calls) => self.minimum.min(calls),
            Span::Time(_) => self.minimum,
        };
        let rules = Rules {
            failure_rate: self.failure_rate,
            slow: self.slow_call.map(|length| (length, self.slow_rate.unwrap_or(1.0))),
            span: self.span,
            minimum,
            open_for: self.open_for,
            probes: self.probes,
        };
        let name = self.name.unwrap_or_else(|| "circuit breaker".into());
        let ledger = Ledger::named(&name);
        let machine = Mutex::new(Machine::new(rules));
        Ok(CircuitBreaker(Arc::new(Shared { name: name.into(), ledger, machine })))
    }
}
