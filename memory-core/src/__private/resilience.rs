//! What the expansions of `#[circuit_breaker]`, `#[rate_limit]`, `#[bulkhead]`, `#[timeout]`, `#[hedge]` and `#[fallback]` call.
//!
//! A function has one `static SITE: LazyLock<Site>` for all of them:
//!
//! ```
//! use std::sync::LazyLock;
//! use memory_core::{__private::resilience, CircuitBreaker, FmError};
//!
//! static SITE: LazyLock<resilience::Site> = LazyLock::new(|| {
//!     resilience::Site::new("shop::price").circuit_breaker(CircuitBreaker::builder().failure_rate(0.5)).attempt_timeout(2)
//! });
//!
//! async fn price() -> Result<u8, FmError> {
//!     use resilience::probes::*;
//!     let attempt = async { Ok::<_, FmError>(7) };
//!     SITE.run(attempt, |error| (&&&&resilience::Failing(error)).is_failure(), resilience::of_refusal).await
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() { assert_eq!(price().await.unwrap(), 7); }
//! ```

pub use std;
use std::{error::Error, time::Duration};

use crate::{
    Bulkhead, BulkheadBuilder, CircuitBreaker, CircuitBreakerBuilder, FmError, Hedge, HedgeBuilder, IntoDuration,
    RateLimiter, RateLimiterBuilder,
    resilience::{Guards, is_failure, within_total},
    retry::{AsError, view},
    stats::{Event, Ledger},
};

/// The policies of a function.
pub struct Site {
    name: Box<str>,
    ledger: Ledger,
    guards: Guards,
    hedge: Option<Hedge>,
    timeout: Option<Duration>,
    /// A setting that can't be: every call returns it.
    broken: Option<FmError>,
}

/// An error type that refusals and timeouts can become.
#[diagnostic::on_unimplemented(
    message = "this policy needs an error type that its refusals can become: `{Self}: From<FmError>`",
    label = "implement `From<memory_core::FmError>` for this error type"
)]
pub trait FromRefusal {
    fn of_refusal(error: FmError) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<FmError>> FromRefusal for E {
    fn of_refusal(error: FmError) -> Self {
        error.into()
    }
}

/// What a refused call ends with. A call of its own, so that an error type which can't be one is one message.
pub fn of_refusal<E: FromRefusal>(refusal: FmError) -> E {
    E::of_refusal(refusal)
}

impl Site {
    /// Without a policy yet; `function` is its path, the name in the log and in the stats.
    #[must_use]
    pub fn new(function: &str) -> Self {
        let ledger = Ledger::named(function);
        let guards = Guards { ledger: Some(ledger.clone()), ..Guards::default() };
        Self { name: function.into(), ledger, guards, hedge: None, timeout: None, broken: None }
    }

    #[must_use]
    pub fn circuit_breaker(mut self, builder: CircuitBreakerBuilder) -> Self {
        self.guards.breaker = self.built(builder.named_or(&self.name).build());
        self
    }

    /// `with = &BREAKER`: a reference, so that a `&LazyLock<CircuitBreaker>` becomes one.
    #[must_use]
    pub fn circuit_breaker_with(mut self, breaker: &CircuitBreaker) -> Self {
        self.guards.breaker = Some(breaker.clone());
        self
    }

    #[must_use]
    pub fn rate_limit(mut self, builder: RateLimiterBuilder) -> Self {
        self.guards.limiter = self.built(builder.named_or(&self.name).build());
        self
    }

    #[must_use]
    pub fn rate_limit_with(mut self, limiter: &RateLimiter) -> Self {
        self.guards.limiter = Some(limiter.clone());
        self
    }

    #[must_use]
    pub fn bulkhead(mut self, builder: BulkheadBuilder) -> Self {
        self.guards.bulkhead = self.built(builder.named_or(&self.name).build());
        self
    }

    #[must_use]
    pub fn bulkhead_with(mut self, bulkhead: &Bulkhead) -> Self {
        self.guards.bulkhead = Some(bulkhead.clone());
        self
    }

    #[must_use]
    pub fn attempt_timeout(mut self, length: impl IntoDuration) -> Self {
        self.guards.timeout = self.built(length.into_duration());
        self
    }

    /// For [`within`](Self::within).
    #[must_use]
    pub fn timeout(mut self, length: impl IntoDuration) -> Self {
        self.timeout = self.built(length.into_duration());
        self
    }

    /// For [`hedged`](Self::hedged).
    #[must_use]
    pub fn hedge(mut self, builder: HedgeBuilder) -> Self {
        self.hedge = self.built(builder.named_or(&self.name).build());
        self
    }

    #[must_use]
    pub fn hedge_with(mut self, hedge: &Hedge) -> Self {
        self.hedge = Some(hedge.clone());
        self
    }

    /// Runs an attempt within its guards; `failure` says which errors count for the breaker, `refuse` makes one of a refusal.
    pub async fn run<T, E>(
        &self,
        attempt: impl Future<Output = Result<T, E>>,
        failure: impl FnOnce(&E) -> bool,
        refuse: impl Fn(FmError) -> E,
    ) -> Result<T, E> {
        self.check(&refuse)?;
        self.guards.run(|| attempt, failure, refuse).await
    }

    /// As [`run`](Self::run), for a sync function.
    pub fn run_blocking<T, E>(
        &self,
        attempt: impl FnOnce() -> Result<T, E>,
        failure: impl FnOnce(&E) -> bool,
        refuse: impl Fn(FmError) -> E,
    ) -> Result<T, E> {
        self.check(&refuse)?;
        self.guards.run_blocking(attempt, failure, refuse)
    }

    /// Runs everything inside of the total timeout.
    pub async fn within<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        refuse: impl Fn(FmError) -> E,
    ) -> Result<T, E> {
        self.check(&refuse)?;
        match self.timeout {
            Some(length) => within_total(&self.ledger, length, call, refuse).await,
            None => call.await,
        }
    }

    /// Makes the call, and again where it takes long.
    pub async fn hedged<T, E, Fut: Future<Output = Result<T, E>>>(
        &self,
        mut call: impl FnMut() -> Fut,
        refuse: impl Fn(FmError) -> E,
    ) -> Result<T, E> {
        self.check(refuse)?;
        match &self.hedge {
            Some(hedge) => hedge.run(call).await,
            None => call().await,
        }
    }

    /// An error is about to be answered by the fallback.
    pub fn falls_back(&self) {
        self.ledger.note(Event::Fallback);
    }

    fn check<E>(&self, refuse: impl FnOnce(FmError) -> E) -> Result<(), E> {
        self.broken.clone().map_or(Ok(()), |error| Err(refuse(error)))
    }

    fn built<P>(&mut self, policy: Result<P, FmError>) -> Option<P> {
        policy.map_err(|error| self.broken.get_or_insert(error).clone()).ok()
    }
}

/// Tells a closure that it is called with the error; for `failure_on` and `on`.
pub fn of_error<T, E, P: Fn(&E) -> bool>(_: &Result<T, E>, predicate: P) -> P {
    predicate
}

/// Whether a predicate says so of this error; it tells a closure what it is called with.
pub fn asks<E>(error: &E, predicate: impl FnOnce(&E) -> bool) -> bool {
    predicate(error)
}

/// What a fallback answers; it tells a closure what it is called with.
pub fn instead<E, R>(error: E, fallback: impl FnOnce(E) -> R) -> R {
    fallback(error)
}

/// Whether an error counts as a failure for the breaker, as far as it can be looked through:
/// `(&&&&Failing(error)).is_failure()`, where the type of the error is known by then.
pub struct Failing<'a, E>(pub &'a E);

pub trait FailingError {
    fn is_failure(&self) -> bool;
}

impl<E: Error + 'static> FailingError for &&&Failing<'_, E> {
    fn is_failure(&self) -> bool {
        is_failure(self.0)
    }
}

pub trait FailingShared {
    fn is_failure(&self) -> bool;
}

impl<E: AsError<view::Shared>> FailingShared for &&Failing<'_, E> {
    fn is_failure(&self) -> bool {
        is_failure(self.0.as_error())
    }
}

pub trait FailingLocal {
    fn is_failure(&self) -> bool;
}

impl<E: AsError<view::Local>> FailingLocal for &Failing<'_, E> {
    fn is_failure(&self) -> bool {
        is_failure(self.0.as_error())
    }
}

pub trait FailingAny {
    fn is_failure(&self) -> bool;
}

impl<E> FailingAny for Failing<'_, E> {
    fn is_failure(&self) -> bool {
        true
    }
}

pub mod probes {
    //! The traits behind [`Failing`](super::Failing), for a glob import.

    pub use super::{FailingAny as _, FailingError as _, FailingLocal as _, FailingShared as _};
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{probes::*, *};

    struct Opaque;

    #[test]
    #[allow(clippy::needless_borrow, reason = "as expansions ask, whatever the type")]
    fn an_error_is_judged_as_far_as_it_can_be_looked_through() {
        let mistake = || RateLimiter::builder().build().unwrap_err();
        assert!((&&&&Failing(&io::Error::other("down"))).is_failure());
        assert!(!(&&&&Failing(&mistake())).is_failure());
        let boxed: Box<dyn Error + Send + Sync> = mistake().into();
        assert!(!(&&&&Failing(&boxed)).is_failure());
        let boxed: Box<dyn Error> = mistake().into();
        assert!(!(&&&&Failing(&boxed)).is_failure());
        assert!((&&&&Failing(&Opaque)).is_failure());
    }

    #[tokio::test]
    async fn a_setting_that_cannot_be_is_the_error_of_every_call() {
        let site = Site::new("site").circuit_breaker(CircuitBreaker::builder().failure_rate(1.5));
        for _ in 0..2 {
            let refused: Result<(), FmError> = site.run(async { Ok(()) }, |_| true, of_refusal).await;
            assert!(refused.unwrap_err().is_config());
        }
        assert!(site.run_blocking(|| Ok::<_, FmError>(()), |_| true, of_refusal).unwrap_err().is_config());
    }

    #[test]
    fn a_blocking_call_is_guarded_and_gives_its_room_back() {
        let breaker = CircuitBreaker::builder().minimum_calls(2).build().unwrap();
        let site = Site::new("blocking")
            .circuit_breaker_with(&breaker)
            .rate_limit(RateLimiter::builder().rate(1_000))
            .bulkhead(Bulkhead::builder().max_concurrent(1));
        let inside = || site.run_blocking(|| Ok::<_, FmError>(()), |_| true, of_refusal);
        assert!(site.run_blocking(inside, |_| false, of_refusal).unwrap_err().is_bulkhead_full());
        let failing = || {
            site.run_blocking(|| Err::<(), _>(FmError::new(crate::error::Kind::Backend, "down")), |_| true, of_refusal)
        };
        assert!(failing().unwrap_err().is_backend());
        assert!(failing().unwrap_err().is_circuit_open(), "one success and one failure of two");
    }
}
