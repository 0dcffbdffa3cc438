//! Caching, retries and a resilient HTTP client for axum and tokio services.

// The rooms, ground floor first; a room imports only rooms before it in this list: error, time, sync; key, codec; entry;
// backend; flight; stats; cache; retry (no cache room); singleton; client (retry); __private, for the macros.
#[doc(hidden)]
pub mod __private;
pub mod backend;
mod cache;
#[cfg(feature = "client")]
mod client;
mod codec;
mod entry;
mod error;
#[allow(dead_code, unused_imports, reason = "its own tests, which include it by path, use all of it")]
mod flight;
mod key;
mod lru;
#[cfg(feature = "retry")]
mod retry;
mod singleton;
mod stats;
mod sync;
mod time;

pub use __private::FmKey;
#[cfg(feature = "memory")]
pub use backend::{FmMemoryBackend, FmMemoryBackendBuilder};
pub use cache::{ClearMany, Compute, FmCache, FmCacheBuilder, FmCacheManager, Get, GetMany, Put, Remove, Set, SetMany};
#[cfg(feature = "axum")]
pub use cache::{FmCacheLayer, FmCacheService};
#[cfg(feature = "client")]
pub use client::{
    FmBody, FmClientError, FmFailure, FmHttpError, FmJsonFuture, FmJsonRequest, FmRawRequest, FmResilientClient,
    FmResilientClientBuilder,
};
pub use error::FmError;
pub use key::CacheKey;
pub use lru::{CacheInfo, FmLru};
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
#[cfg(feature = "macros")]
pub use memory_macros::{CacheKey, cached_singleton, fm_lru, memorize};
#[cfg(feature = "client")]
pub use reqwest;
#[cfg(feature = "retry")]
pub use retry::{
    AsError, Backoff, IntoCount, IntoSeconds, Jitter, Predicate, Retry, RetryError, RetryOn, Retryable, Stop, Wait,
    chain, decorrelated_jitter, exponential_backoff, fixed, full_jitter, incrementing, is_retryable_error, no_wait,
    random_between, retry, retry_on_error, retry_on_result, retry_on_status, stop_after_delay, stop_after_retries,
    stop_before_delay, stop_never,
};
pub use stats::{FmFunctionStats, FmStats};
pub use time::{Expiry, FOREVER, IntoDuration, IntoExpiry};
