//! Caching, retries and a resilient HTTP client for axum and tokio services.

// Rooms, ground floor first: a room imports only rooms above it in this list.
#[doc(hidden)]
pub mod __private;
pub mod backend;
mod cache;
#[cfg(feature = "client")]
mod client;
mod codec;
mod entry;
mod error;
mod flight;
mod key;
#[cfg(feature = "retry")]
mod retry;
mod singleton;
mod time;

pub use error::FmError;
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::Retryable;
/// # Examples
///
/// ```
/// # use memory_core::default_retry;
/// #[default_retry(attempts = 5, wait_min = 1, wait_max = 30)]
/// async fn read(path: &str) -> Result<String, std::io::Error> {
///     Ok(path.to_uppercase())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(read("a").await.unwrap(), "A"); }
/// ```
///
/// ---
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::default_retry;
/// # Examples
///
/// ```
/// use memory_core::{exponential_backoff, retry, retry_on_error, stop_after_delay, stop_after_retries};
///
/// #[retry(
///     stop = stop_after_retries(5) | stop_after_delay(60),
///     wait = exponential_backoff(multiplier = 2, min = 2, max = 30),
///     retry = retry_on_error(|error| error.kind() == std::io::ErrorKind::TimedOut),
///     before_sleep = |attempt, error, wait| eprintln!("attempt {attempt}: {error}; waiting {wait:?}"),
/// )]
/// async fn read(path: &str) -> Result<String, std::io::Error> {
///     Ok(path.to_uppercase())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(read("a").await.unwrap(), "A"); }
/// ```
///
/// ---
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::retry;
#[cfg(feature = "client")]
pub use reqwest;
#[cfg(feature = "retry")]
pub use retry::{
    AsError, Backoff, IntoCount, IntoSeconds, Jitter, Predicate, Retry, RetryError, RetryOn, Retryable, Stop, Wait,
    chain, decorrelated_jitter, exponential_backoff, fixed, full_jitter, incrementing, is_retryable_error, no_wait,
    random_between, retry, retry_on_error, retry_on_result, retry_on_status, stop_after_delay, stop_after_retries,
    stop_before_delay, stop_never,
};
pub use time::{Expiry, FOREVER, IntoDuration, IntoExpiry};
