//! Faults and delays on purpose, to see how a service takes them.

use std::{
    fmt, io,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::config::Refused;
use crate::{
    error::{FmError, Kind},
    retry::{
        entropy::Entropy,
        sleep::{pause, pause_blocking},
    },
    stats::{Event, Ledger},
    sync::lock,
    time::IntoDuration,
};

/// Injects faults and delays into the guarded calls made inside of [`scope`](Chaos::scope), innermost: in place of, or before,
/// the call itself, so that every policy around it sees them.
///
/// Guarded is what a circuit breaker, rate limit, bulkhead or attempt timeout is around, and every attempt of
/// [`resilient`](crate::resilient()). A fault is an `FmError` caused by a connection that was reset, and so worth a retry. In a
/// release build it injects nothing unless the feature `chaos` is on.
///
/// A task that is spawned inside is outside of the scope.
///
/// # Examples
///
/// ```
/// use memory_core::{Chaos, FmError, resilient};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FmError> {
/// let chaos = Chaos::builder().fault_rate(1.0).seed(7).build()?;
/// let outcome = chaos.scope(resilient().run(|| async { Ok::<_, FmError>(7) })).await;
/// assert!(outcome.is_err());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Chaos(Arc<Injector>);

struct Injector {
    fault_rate: f64,
    latency: Duration,
    latency_rate: f64,
    entropy: Mutex<Entropy>,
}

tokio::task_local! {
    static HERE: Chaos;
}

/// Whether this build injects anything.
const IS_ON: bool = cfg!(any(debug_assertions, feature = "chaos"));

impl Chaos {
    /// Begins an injector that does nothing.
    pub fn builder() -> ChaosBuilder {
        ChaosBuilder::default()
    }

    /// Runs `inside` with its guarded calls disturbed.
    ///
    /// # Cancel safety
    ///
    /// That of `inside`.
    pub async fn scope<F: Future>(&self, inside: F) -> F::Output {
        HERE.scope(self.clone(), inside).await
    }

    /// Disturbs the call that is about to begin, where there is chaos around it.
    pub(crate) async fn strike(ledger: Option<&Ledger>) -> Result<(), FmError> {
        let Some(blow) = Self::drawn() else { return Ok(()) };
        if let Some(latency) = blow.latency {
            note(ledger, "latency");
            pause(latency).await;
        }
        blow.fault(ledger)
    }

    /// As [`strike`](Self::strike), blocking the thread.
    pub(crate) fn strike_blocking(ledger: Option<&Ledger>) -> Result<(), FmError> {
        let Some(blow) = Self::drawn() else { return Ok(()) };
        if let Some(latency) = blow.latency {
            note(ledger, "latency");
            pause_blocking(latency);
        }
        blow.fault(ledger)
    }

    fn drawn() -> Option<Blow> {
        if !IS_ON {
            return None;
        }
        HERE.try_with(|chaos| chaos.0.draw()).ok()
    }
}

/// What happens to one call.
struct Blow {
    latency: Option<Duration>,
    is_fault: bool,
}

impl Injector {
    /// Draws both numbers always, so that a rate does not change what the other one draws.
    fn draw(&self) -> Blow {
        let mut entropy = lock(&self.entropy);
        let (delays, fails) = (entropy.draw() < self.latency_rate, entropy.draw() < self.fault_rate);
        Blow { latency: delays.then_some(self.latency), is_fault: fails }
    }
}

impl Blow {
    fn fault(&self, ledger: Option<&Ledger>) -> Result<(), FmError> {
        if !self.is_fault {
            return Ok(());
        }
        note(ledger, "fault");
        let cause = io::Error::from(io::ErrorKind::ConnectionReset);
        Err(FmError::with_source(Kind::Run, "a fault injected by `Chaos`", cause))
    }
}

fn note(ledger: Option<&Ledger>, what: &'static str) {
    match ledger {
        Some(ledger) => ledger.note(Event::Injected { what }),
        None => Event::Injected { what }.trace(""),
    }
}

/// Settings of a [`Chaos`].
///
/// # Default
///
/// Nothing is injected; the draws differ from run to run.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct ChaosBuilder {
    fault_rate: f64,
    latency: Duration,
    latency_rate: Option<f64>,
    seed: Option<u64>,
    refused: Refused,
}

impl ChaosBuilder {
    /// The share of calls that fail instead of being made, from 0 to 1. Default: 0.
    pub fn fault_rate(mut self, share: f64) -> Self {
        self.fault_rate = self.refused.rate("fault_rate", share);
        self
    }

    /// How much later calls are made, in seconds or as a `Duration`. Default: not at all.
    pub fn latency(mut self, length: impl IntoDuration) -> Self {
        self.latency = self.refused.length(length);
        self
    }

    /// The share of calls that are made later, from 0 to 1. Default: all, if there is a [`latency`](Self::latency).
    pub fn latency_rate(mut self, share: f64) -> Self {
        self.latency_rate = Some(self.refused.rate("latency_rate", share));
        self
    }

    /// Makes the draws repeatable: the same seed disturbs the same calls, where they are made in the same order.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds it.
    ///
    /// # Errors
    ///
    /// [`is_config`](FmError::is_config): a rate that is no share, or a length of time that is none.
    pub fn build(self) -> Result<Chaos, FmError> {
        self.refused.into_result()?;
        let default_rate = if self.latency.is_zero() { 0.0 } else { 1.0 };
        Ok(Chaos(Arc::new(Injector {
            fault_rate: self.fault_rate,
            latency: self.latency,
            latency_rate: self.latency_rate.unwrap_or(default_rate),
            entropy: Mutex::new(self.seed.map_or_else(Entropy::fresh, Entropy::seeded)),
        })))
    }
}

impl From<&Self> for Chaos {
    fn from(chaos: &Self) -> Self {
        chaos.clone()
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos")
            .field("fault_rate", &self.0.fault_rate)
            .field("latency", &self.0.latency)
            .field("latency_rate", &self.0.latency_rate)
            .finish_non_exhaustive()
    }
}
