//! A circuit breaker: calls that would fail are refused, so that the upstream can recover.

mod builder;
mod machine;
mod window;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

pub use self::builder::CircuitBreakerBuilder;
use self::machine::{Machine, Pass};
use super::guards::Guards;
use crate::{
    error::{FmError, Kind},
    resilience::is_failure,
    retry::AsError,
    stats::{Event, Ledger},
    sync::lock,
};

/// Refuses calls to an upstream that fails, for a while; then lets a few probes through, and opens or closes by how they go.
///
/// It judges by a sliding window, of the last calls or of the last seconds. The calls that end there count: failed if
/// they are an `Err` that is no mistake of the caller (an HTTP 4xx other than 408 and 429 is one), slow if they took long. A call that
/// is cancelled counts for nothing, and a probe that is cancelled makes room for another.
///
/// Clones are one breaker: share it between all functions that call the same upstream.
///
/// # Examples
///
/// ```
/// use memory_core::{CircuitBreaker, CircuitState, FmError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FmError> {
/// let breaker = CircuitBreaker::builder().failure_rate(0.5).minimum_calls(2).open_for(30).name("payments").build()?;
/// for _ in 0..2 {
///     let failed: Result<(), std::io::Error> = breaker
///         .run_when(|_| true, || async { Err(std::io::ErrorKind::ConnectionReset.into()) }, std::io::Error::other)
///         .await;
///     assert!(failed.is_err());
/// }
/// assert_eq!(breaker.state(), CircuitState::Open);
///
/// let refused = breaker.run(|| async { Ok::<_, FmError>(7) }).await.unwrap_err();
/// assert!(refused.is_circuit_open() && refused.retry_after().is_some());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Shared>);

struct Shared {
    name: Box<str>,
    ledger: Ledger,
    machine: Mutex<Machine>,
}

/// What a circuit breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitState {
    /// Lets all through.
    Closed,
    /// Refuses all.
    Open,
    /// Lets a few through, to see how they go.
    HalfOpen,
}

impl CircuitBreaker {
    /// Begins a breaker with the defaults.
    pub fn builder() -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::default()
    }

    /// What it would do with a call now.
    pub fn state(&self) -> CircuitState {
        lock(&self.0.machine).state(Instant::now())
    }

    /// Refuses every call until [`force_closed`](Self::force_closed) or [`reset`](Self::reset).
    pub fn force_open(&self) {
        self.change(|machine, _| machine.hold(CircuitState::Open));
    }

    /// Lets every call through, however they go, until [`force_open`](Self::force_open) or [`reset`](Self::reset).
    pub fn force_closed(&self) {
        self.change(|machine, _| machine.hold(CircuitState::Closed));
    }

    /// Closed, with an empty window: as newly built.
    pub fn reset(&self) {
        self.change(|machine, _| machine.close());
    }

    /// One with the same settings and a state of its own, which is counted and told under the same name.
    #[cfg(feature = "client")]
    pub(crate) fn anew(&self) -> Self {
        let machine = Mutex::new(lock(&self.0.machine).anew());
        Self(Arc::new(Shared { name: self.0.name.clone(), ledger: self.0.ledger.clone(), machine }))
    }

    /// Makes the call, if it is let through.
    ///
    /// # Errors
    ///
    /// The call's own, or [`is_circuit_open`](FmError::is_circuit_open).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the call; it counts for nothing, and a probe is given back.
    pub async fn run<T, E, View, F, Fut>(&self, operation: F) -> Result<T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<FmError> + AsError<View>,
    {
        self.run_when(|error: &E| is_failure(error.as_error()), operation, E::from).await
    }

    /// As [`run`](Self::run), for any error type: `failure` says which errors count as one, and `refused` makes an error
    /// of a refusal.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_when<T, E, F, Fut>(
        &self,
        failure: impl FnOnce(&E) -> bool,
        operation: F,
        refused: impl Fn(FmError) -> E,
    ) -> Result<T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let guards = Guards { breaker: Some(self.clone()), ..Guards::default() };
        guards.run(operation, failure, refused).await
    }

    /// Lets a call through, or refuses it.
    pub(crate) fn enter(&self) -> Result<Admission, FmError> {
        match self.change(Machine::enter) {
            Ok(pass) => Ok(Admission { breaker: self.clone(), pass: Some(pass), began: Instant::now() }),
            Err(refusal) => {
                self.0.ledger.note(Event::Refused { policy: "circuit_breaker", retry_after: refusal.0 });
                let message = format!("the circuit breaker `{}` is open", self.0.name);
                Err(FmError::refused(Kind::CircuitOpen, message, refusal.0))
            }
        }
    }

    /// Does something to the machine, and tells the log if that changes its state.
    fn change<R>(&self, change: impl FnOnce(&mut Machine, Instant) -> R) -> R {
        let (before, outcome, after) = {
            let mut machine = lock(&self.0.machine);
            let now = Instant::now();
            let before = machine.noted();
            let outcome = change(&mut machine, now);
            (before, outcome, machine.noted())
        };
        if before != after {
            self.0.ledger.note(Event::Circuit { from: before.name(), to: after.name() });
        }
        outcome
    }
}

impl CircuitState {
    fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A call that was let through. Dropped without a verdict, it counts for nothing.
pub(crate) struct Admission {
    breaker: CircuitBreaker,
    pass: Option<Pass>,
    began: Instant,
}

impl Admission {
    /// The call itself begins, after what the policies inside had it wait.
    pub(crate) fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// The call has ended.
    pub(crate) fn settle(mut self, failed: bool) {
        if let Some(pass) = self.pass.take() {
            let took: Duration = self.began.elapsed();
            self.breaker.change(|machine, now| machine.settle(pass, failed, took, now));
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.breaker.change(|machine, _| machine.give_back(pass));
        }
    }
}

impl From<&Self> for CircuitBreaker {
    fn from(breaker: &Self) -> Self {
        breaker.clone()
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.0.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
