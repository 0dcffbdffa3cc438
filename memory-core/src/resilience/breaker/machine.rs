//! The states of a breaker and how it goes from one to another. No clock and no lock: both are the caller's.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    CircuitState,
    window::{Span, Tally, Verdict, Window},
};

/// By what a breaker judges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) failure_rate: f64,
    /// Calls from this length on are slow, and this share of them opens.
    pub(super) slow: Option<(Duration, f64)>,
    pub(super) span: Span,
    pub(super) minimum: u32,
    pub(super) open_for: Duration,
    pub(super) probes: u32,
}

pub(super) struct Machine {
    rules: Rules,
    phase: Phase,
    /// Counts the phases, so that a call that began in an earlier one has no say in this.
    era: u64,
}

enum Phase {
    Closed(Window),
    Open {
        until: Instant,
    },
    /// `given` probes were let through and not given back; `seen` are those that have ended.
    HalfOpen {
        given: u32,
        seen: Tally,
    },
    /// By hand.
    Held(CircuitState),
}

/// A call that was let through: the era in which it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass(u64);

/// A call that was not let through, and when the next may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) Option<Duration>);

impl Machine {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, phase: Phase::Closed(Window::new(rules.span)), era: 0 }
    }

    /// A new one with the same rules.
    #[cfg(feature = "client")]
    pub(super) fn anew(&self) -> Self {
        Self::new(self.rules)
    }

    pub(super) fn state(&self, now: Instant) -> CircuitState {
        match &self.phase {
            Phase::Open { until } if now >= *until => CircuitState::HalfOpen,
            _ => self.noted(),
        }
    }

    /// The state that was last gone to, whatever time it is.
    pub(super) fn noted(&self) -> CircuitState {
        match &self.phase {
            Phase::Closed(_) => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
            Phase::Held(state) => *state,
        }
    }

    /// A call asks to be let through.
    pub(super) fn enter(&mut self, now: Instant) -> Result<Pass, Refusal> {
        if let Phase::Open { until } = &self.phase {
            if now < *until {
                return Err(Refusal(Some(*until - now)));
            }
            self.go(Phase::HalfOpen { given: 0, seen: Tally::default() });
        }
        match &mut self.phase {
            Phase::Held(CircuitState::Open) => return Err(Refusal(None)),
            Phase::HalfOpen { given, .. } if *given >= self.rules.probes => return Err(Refusal(None)),
            Phase::HalfOpen { given, .. } => *given += 1,
            Phase::Closed(_) | Phase::Open { .. } | Phase::Held(_) => {}
        }
        Ok(Pass(self.era))
    }

    /// A call ends without a verdict: it was cancelled, or a policy inside refused it.
    pub(super) fn give_back(&mut self, pass: Pass) {
        match &mut self.phase {
            Phase::HalfOpen { given, .. } if pass.0 == self.era => *given -= 1,
            _ => {}
        }
    }

    /// A call ends.
    pub(super) fn settle(&mut self, pass: Pass, failed: bool, took: Duration, now: Instant) {
        if pass.0 != self.era {
            return;
        }
        let verdict = Verdict { failed, slow: self.rules.slow.is_some_and(|(length, _)| took >= length) };
        match &mut self.phase {
            Phase::Closed(window) => {
                let tally = window.add(verdict, now);
                if tally.calls >= self.rules.minimum && self.rules.is_bad(tally, tally.calls) {
                    self.open(now);
                }
            }
            Phase::HalfOpen { seen, .. } => {
                seen.add(verdict);
                let seen = *seen;
                // Of all the probes: so the first ones suffice to open again, but not to close.
                if self.rules.is_bad(seen, self.rules.probes) {
                    self.open(now);
                } else if seen.calls >= self.rules.probes {
                    self.close();
                }
            }
            Phase::Open { .. } | Phase::Held(_) => {}
        }
    }

    pub(super) fn hold(&mut self, state: CircuitState) {
        self.go(Phase::Held(state));
    }

    pub(super) fn close(&mut self) {
        self.go(Phase::Closed(Window::new(self.rules.span)));
    }

    fn open(&mut self, now: Instant) {
        let longest = Duration::from_secs(30 * 365 * 86_400);
        self.go(Phase::Open { until: now + self.rules.open_for.min(longest) });
    }

    fn go(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
    }
}

impl Rules {
    /// Whether the failures, or the slow ones, are too large a share of `calls`.
    fn is_bad(&self, tally: Tally, calls: u32) -> bool {
        let reaches = |count: u32, rate: f64| f64::from(count) >= rate * f64::from(calls);
        reaches(tally.failed, self.failure_rate) || self.slow.is_some_and(|(_, rate)| reaches(tally.slow, rate))
    }
}
