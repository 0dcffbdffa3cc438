//! The error of a retry that gave up.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::error::{FmError, Kind};

/// All calls failed: how many there were, how long it took, and the last error as [`source`](Error::source).
///
/// Made only where `reraise = false` asks for it, and only when the retries are exhausted: an error that is not worth
/// a retry is returned as it is. Cloning is one reference count.
///
/// # Examples
///
/// ```
/// # use memory_core::{RetryError, is_retryable_error, retry, stop_after_retries};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let outcome: Result<(), Box<dyn std::error::Error + Send + Sync>> = retry()
///     .stop(stop_after_retries(2))
///     .when(is_retryable_error)
///     .reraise(false)
///     .run(|| async { Err(std::io::Error::other("down").into()) })
///     .await;
/// let error = outcome.unwrap_err();
/// assert_eq!(error.downcast_ref::<RetryError>().map(RetryError::attempts), Some(2));
/// # }
/// ```
#[derive(Clone)]
pub struct RetryError {
    inner: Arc<Inner>,
}

struct Inner {
    attempts: u32,
    elapsed: Duration,
    source: Box<dyn Error + Send + Sync>,
}

impl RetryError {
    pub(crate) fn new(attempts: u32, elapsed: Duration, source: Box<dyn Error + Send + Sync>) -> Self {
        Self { inner: Arc::new(Inner { attempts, elapsed, source }) }
    }

    /// How many calls were made.
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// How long all calls and waits took.
    pub fn elapsed(&self) -> Duration {
        self.inner.elapsed
    }
}

impl fmt::Display for RetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { attempts, elapsed, .. } = &*self.inner;
        let calls = if *attempts == 1 { "attempt" } else { "attempts" };
        write!(f, "gave up after {attempts} {calls} in {elapsed:.1?}")
    }
}

impl fmt::Debug for RetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { attempts, elapsed, source } = &*self.inner;
        f.debug_struct("RetryError")
            .field("attempts", attempts)
            .field("elapsed", elapsed)
            .field("source", source)
            .finish()
    }
}

impl Error for RetryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.inner.source)
    }
}

impl From<RetryError> for FmError {
    fn from(error: RetryError) -> Self {
        Self::with_source(Kind::Retry, "all attempts failed", error)
    }
}
