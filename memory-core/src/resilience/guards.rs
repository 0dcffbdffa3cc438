//! The policies of a single attempt, as one wrapper.

use std::time::Duration;

use super::{Bulkhead, Chaos, CircuitBreaker, RateLimiter};
use crate::{
    error::FmError,
    retry::{
        attempts::Limit,
        policy::{expired, within},
    },
    stats::{Event, Ledger},
};

/// Circuit breaker → rate limit → bulkhead → timeout → chaos, those that are set. Clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guards {
    pub(crate) breaker: Option<CircuitBreaker>,
    pub(crate) limiter: Option<RateLimiter>,
    pub(crate) bulkhead: Option<Bulkhead>,
    pub(crate) timeout: Option<Duration>,
    /// Where timeouts are counted.
    pub(crate) ledger: Option<Ledger>,
}

impl Guards {
    /// Makes the attempt, if all let it through. `failure` says which errors speak against the upstream; `refused` makes an
    /// error of a refusal or a timeout.
    ///
    /// Dropped half-way, it gives back what it holds, and the breaker counts nothing.
    pub(crate) async fn run<T, E, F, Fut>(
        &self,
        attempt: F,
        failure: impl FnOnce(&E) -> bool,
        refused: impl Fn(FmError) -> E,
    ) -> Result<T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut admission = self.breaker.as_ref().map(CircuitBreaker::enter).transpose().map_err(&refused)?;
        if let Some(limiter) = &self.limiter {
            limiter.acquire().await.map_err(&refused)?;
        }
        let room = match &self.bulkhead {
            Some(bulkhead) => Some(bulkhead.acquire().await.map_err(&refused)?),
            None => None,
        };
        if let Some(admission) = &mut admission {
            admission.begin();
        }
        let attempt = async {
            Chaos::strike(self.ledger.as_ref()).await.map_err(&refused)?;
            attempt().await
        };
        let ended = match self.timeout {
            None => Some(attempt.await),
            Some(length) => within(length, attempt).await,
        };
        let cut = ended.is_none();
        let outcome = ended.unwrap_or_else(|| Err(refused(self.cut())));
        let failed = cut || outcome.as_ref().err().is_some_and(failure);
        if let Some(admission) = admission {
            admission.settle(failed);
        }
        // An upstream that fails is often quick about it, which does not mean that it has little to do.
        match room {
            Some(room) if cut => room.time_out(),
            Some(room) if !failed => room.finish(),
            _ => {}
        }
        outcome
    }

    /// As [`run`](Self::run), for a call that blocks: nothing can end it, and the bulkhead has no queue.
    pub(crate) fn run_blocking<T, E>(
        &self,
        attempt: impl FnOnce() -> Result<T, E>,
        failure: impl FnOnce(&E) -> bool,
        refused: impl Fn(FmError) -> E,
    ) -> Result<T, E> {
        let mut admission = self.breaker.as_ref().map(CircuitBreaker::enter).transpose().map_err(&refused)?;
        self.limiter.as_ref().map(RateLimiter::acquire_blocking).transpose().map_err(&refused)?;
        let room = self.bulkhead.as_ref().map(Bulkhead::try_acquire).transpose().map_err(&refused)?;
        if let Some(admission) = &mut admission {
            admission.begin();
        }
        let struck = Chaos::strike_blocking(self.ledger.as_ref()).map_err(&refused);
        let outcome = struck.and_then(|()| attempt());
        let failed = outcome.as_ref().err().is_some_and(failure);
        if let Some(admission) = admission {
            admission.settle(failed);
        }
        if let Some(room) = room.filter(|_| !failed) {
            room.finish();
        }
        outcome
    }

    fn cut(&self) -> FmError {
        if let Some(ledger) = &self.ledger {
            ledger.note(Event::TimedOut { limit: "attempt" });
        }
        expired(Limit::Attempt)
    }
}
