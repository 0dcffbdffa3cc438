//! A rate limiter: a token bucket on tokio's clock.
//!
//! The bucket is one number, the moment at which it will be full again (the "generic cell rate algorithm"), so that a call
//! is one compare-and-swap. The crate `governor` does the same on a clock of its own, and can neither wait by tokio's
//! clock, paused in tests, nor take back the token of a waiter that has gone.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::config::Refused;
use crate::{
    error::{FmError, Kind},
    retry::{
        IntoCount,
        sleep::{pause, pause_blocking},
    },
    stats::{Event, Ledger},
    time::IntoDuration,
};

/// Lets so many calls through per second, evenly, and a burst of them at once; the others wait or are refused.
///
/// A bucket holds `burst` tokens and gets `rate` of them per `per` seconds; a call takes one. Clones are one limiter.
///
/// # Examples
///
/// ```
/// use memory_core::{FmError, RateLimiter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FmError> {
/// let limiter = RateLimiter::builder().rate(100).per(1).burst(1).build()?;
/// limiter.acquire().await?;
/// let refused = limiter.acquire().await.unwrap_err();
/// assert!(refused.is_rate_limited() && refused.retry_after().is_some());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RateLimiter(Arc<Bucket>);

struct Bucket {
    name: Box<str>,
    ledger: Ledger,
    began: Instant,
    /// How long a token takes to come, in nanoseconds.
    interval: u64,
    /// How much earlier than evenly spaced a call may come: the burst but for one.
    tolerance: u64,
    max_wait: Duration,
    /// When the bucket will be full, in nanoseconds since it began.
    full_at: AtomicU64,
}

impl RateLimiter {
    /// Begins a limiter.
    pub fn builder() -> RateLimiterBuilder {
        RateLimiterBuilder::default()
    }

    /// Takes a token, waiting for it up to [`max_wait`](RateLimiterBuilder::max_wait).
    ///
    /// # Errors
    ///
    /// [`is_rate_limited`](FmError::is_rate_limited), at once, if none will come in time; then
    /// [`retry_after`](FmError::retry_after) says when.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the token back, unless others queue behind it.
    pub async fn acquire(&self) -> Result<(), FmError> {
        if let Some(reservation) = self.reserve()? {
            pause(reservation.wait).await;
            reservation.keep();
        }
        Ok(())
    }

    /// As [`acquire`](Self::acquire), blocking the thread.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking(&self) -> Result<(), FmError> {
        if let Some(reservation) = self.reserve()? {
            pause_blocking(reservation.wait);
            reservation.keep();
        }
        Ok(())
    }

    /// Takes a token; `Some`: one that is yet to come.
    fn reserve(&self) -> Result<Option<Reservation<'_>>, FmError> {
        let bucket = &*self.0;
        let now = u64::try_from(bucket.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut full_at = bucket.full_at.load(Ordering::Relaxed);
        loop {
            let wait = Duration::from_nanos(full_at.saturating_sub(bucket.tolerance).saturating_sub(now));
            if wait > bucket.max_wait {
                return Err(bucket.refuse(wait));
            }
            let then = full_at.max(now).saturating_add(bucket.interval);
            match bucket.full_at.compare_exchange_weak(full_at, then, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) if wait.is_zero() => return Ok(None),
                Ok(_) => {
                    bucket.ledger.note(Event::Queued { policy: "rate_limit" });
                    return Ok(Some(Reservation { bucket, wait, then, kept: false }));
                }
                Err(other) => full_at = other,
            }
        }
    }
}

impl Bucket {
    fn refuse(&self, wait: Duration) -> FmError {
        self.ledger.note(Event::Refused { policy: "rate_limit", retry_after: Some(wait) });
        let message = format!("the rate limiter `{}` has no token", self.name);
        FmError::refused(Kind::RateLimited, message, Some(wait))
    }
}

/// A token that is yet to come. Dropped before, it is given back, unless others have queued behind it.
struct Reservation<'a> {
    bucket: &'a Bucket,
    wait: Duration,
    then: u64,
    kept: bool,
}

impl Reservation<'_> {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let before = self.then - self.bucket.interval;
            // Where it fails, the tokens behind this one are promised to others for a certain moment.
            let _ = self.bucket.full_at.compare_exchange(self.then, before, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// Settings of a [`RateLimiter`]; times are seconds or a `Duration`.
///
/// # Default
///
/// `per` one second, a `burst` as large as the `rate`, and no waiting. The `rate` has to be given.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RateLimiterBuilder {
    rate: Option<u32>,
    per: Duration,
    burst: Option<u32>,
    max_wait: Duration,
    name: Option<String>,
    refused: Refused,
}

impl Default for RateLimiterBuilder {
    fn default() -> Self {
        let (per, refused) = (Duration::from_secs(1), Refused::default());
        Self { rate: None, per, burst: None, max_wait: Duration::ZERO, name: None, refused }
    }
}

impl RateLimiterBuilder {
    /// How many calls are let through [`per`](Self::per) second.
    pub fn rate(mut self, calls: impl IntoCount) -> Self {
        self.rate = Some(self.refused.some("rate", calls.into_count()));
        self
    }

    /// What the rate is measured by. Default: one second.
    pub fn per(mut self, length: impl IntoDuration) -> Self {
        self.per = self.refused.span("per", length);
        self
    }

    /// How many calls are let through at once after a rest. Default: the rate.
    pub fn burst(mut self, calls: impl IntoCount) -> Self {
        self.burst = Some(self.refused.some("burst", calls.into_count()));
        self
    }

    /// How long a call waits for its token; zero, the default: it is refused at once.
    pub fn max_wait(mut self, length: impl IntoDuration) -> Self {
        self.max_wait = self.refused.length(length);
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

    /// Builds it, with a full bucket.
    ///
    /// # Errors
    ///
    /// [`is_config`](FmError::is_config): no rate, or a number or `per` of zero.
    pub fn build(mut self) -> Result<RateLimiter, FmError> {
        self.refused.unless(self.rate.is_some(), || "a rate limiter needs a `rate`: how many calls per second".into());
        self.refused.into_result()?;
        let rate = self.rate.unwrap_or(1);
        let interval = u64::try_from(self.per.as_nanos() / u128::from(rate)).unwrap_or(u64::MAX).max(1);
        let name = self.name.unwrap_or_else(|| "rate limiter".into());
        Ok(RateLimiter(Arc::new(Bucket {
            ledger: Ledger::named(&name),
            name: name.into(),
            began: Instant::now(),
            interval,
            tolerance: interval.saturating_mul(u64::from(self.burst.unwrap_or(rate)) - 1),
            max_wait: self.max_wait,
            full_at: AtomicU64::new(0),
        })))
    }
}

impl From<&Self> for RateLimiter {
    fn from(limiter: &Self) -> Self {
        limiter.clone()
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("name", &self.0.name).finish_non_exhaustive()
    }
}
