//! Caching, retries, singletons and a resilient HTTP client for axum and tokio services.
//!
//! Everything is at the root of the crate; the Redis backend is in the crate `memory-redis`.
//!
//! | to … | use |
//! |---|---|
//! | cache what a function returns | [`macro@memorize`], [`derive@CacheKey`] |
//! | use the cache by hand | [`FmCacheManager`] (the process-wide one), [`FmCache`] (a handle) |
//! | keep entries in memory | [`FmMemoryBackend`] |
//! | spare an upstream, and who waits for it | [`fn@resilient`], [`CircuitBreaker`], [`RateLimiter`], [`Bulkhead`], [`Hedge`] |
//! | call again what fails for now | [`macro@default_retry`], [`macro@retry`], [`fn@retry`], [`derive@Retryable`] |
//! | tell HTTP clients what is cached | [`FmCacheHeadersLayer`], [`FmJson`](struct@FmJson) |
//! | make a value once | [`macro@cached_singleton`] |
//! | remember the last results | [`macro@fm_lru`], [`FmLru`] |
//! | call an upstream over HTTP | [`FmResilientClient`], with an [`FmHttpCache`] |
//! | cache whole responses | [`FmResponseCacheLayer`] |
//!
//! # Caching
//!
//! The arguments are the key, all of them and typed; `skip(..)` and `key = ..` say otherwise, and an axum `State` is left
//! out. `Err` and `None` are not stored. Callers that miss together wait for one run, which goes on when its caller goes away.
//! Beside the function stands a type of its name with companions that take the arguments of the key.
//!
//! ```
//! use memory_core::{FmCacheManager, FmError, FmMemoryBackend, memorize};
//!
//! #[memorize(expire = 60, namespace = "users")]
//! async fn user_name(id: u64) -> Result<String, FmError> {
//!     Ok(format!("user {id}"))
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), FmError> {
//!     FmCacheManager::init(FmMemoryBackend::new(), "app-cache")?;
//!     assert_eq!(user_name(7).await?, "user 7");
//!     assert!(user_name::peek(7).await?.is_some());
//!     assert!(user_name::invalidate(7).await?);
//!     assert_eq!(FmCacheManager::stats().runs, 1);
//!     Ok(())
//! }
//! ```
//!
//! By hand, with the same promises:
//!
//! ```
//! # use memory_core::{FmCacheManager, FmError};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), FmError> {
//! FmCacheManager::set("loaderReport:SNF", vec![1, 2]).expire(3600).await?;
//! assert_eq!(FmCacheManager::get::<Vec<i32>>("loaderReport:SNF").await?, Some(vec![1, 2]));
//! let sum = FmCacheManager::get_or_compute("sum", || async { Ok::<_, FmError>(3) }).expire(0.5).await?;
//! # assert_eq!(sum, 3); Ok(()) }
//! ```
//!
//! In tests, [`FmCache::scope`] gives each test a cache of its own, and paused tokio time moves every expiry with it.
//!
//! # Retries
//!
//! ```
//! use memory_core::{default_retry, fixed, is_retryable_error, retry, stop_after_retries};
//! use std::io;
//!
//! #[default_retry(attempts = 5, wait_min = 1, wait_max = 30)]
//! async fn read_rates() -> io::Result<String> {
//!     tokio::fs::read_to_string("/mnt/rates").await
//! }
//!
//! async fn by_hand() -> io::Result<String> {
//!     let policy = retry().stop(stop_after_retries(3)).wait(fixed(0.2)).when(is_retryable_error);
//!     policy.run(|| async { tokio::fs::read_to_string("/mnt/rates").await }).await
//! }
//! ```
//!
//! # Singletons
//!
//! ```
//! use memory_core::{cached_singleton, fm_lru};
//!
//! #[cached_singleton]
//! fn get_settings() -> Vec<String> {
//!     std::env::args().collect()
//! }
//!
//! #[fm_lru(maxsize = 128)]
//! fn slug(title: &str) -> String {
//!     title.to_lowercase().replace(' ', "-")
//! }
//!
//! let settings: &'static Vec<String> = get_settings();
//! assert_eq!(slug("A b") + &slug("A b"), "a-ba-b");
//! assert_eq!(slug::cache_info().hits, 1);
//! ```
//!
//! # HTTP client
//!
//! ```no_run
//! use memory_core::{FmError, FmResilientClient};
//!
//! # async fn example() -> Result<(), FmError> {
//! let upstream = FmResilientClient::builder().base_url("http://api.example.com:8080").timeout(5).build()?;
//! let names: Vec<String> = upstream.get_json("names").query([("page", 2)]).await?;
//! # Ok(()) }
//! ```
//!
//! # Errors
//!
//! [`FmError`] is one opaque type with questions (`is_timeout()`, `is_backend()`, …). A store that fails fails no call:
//! it is counted in [`FmStats`], and calls run their bodies. `.strict()` on a direct call asks for the error.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `macros` | yes | the attributes and derives |
//! | `memory` | yes | [`FmMemoryBackend`] |
//! | `moka` | no | `FmMemoryEngine::Moka`: entries in memory are kept by the crate `moka` |
//! | `retry` | yes | retry policies |
//! | `client` | yes | [`FmResilientClient`]; `reqwest::Error`s are judged |
//! | `axum` | yes | extractors as key parts, responses as cached values, [`FmCacheHeadersLayer`], [`FmJson`](struct@FmJson), [`FmResponseCacheLayer`], [`FmCache::layer`], errors as responses |
//! | `test-util` | no | [`test_util`](https://docs.rs/memory-core/latest/memory_core/test_util): faults from a seed, a simulated Redis; under paused tokio time, the waits of sync retries move the clock instead of blocking |
//! | `chaos` | no | [`Chaos`] injects in release builds too |
//! | `metrics` | no | nothing yet |

// The rooms, ground floor first; a room imports only rooms before it in this list: error, time, sync; key, codec; print, entry;
// backend; flight; stats; cache; http; retry (no cache room); resilience (retry); singleton; client (retry, resilience); __private, for the macros.
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
#[cfg(feature = "axum")]
mod http;
mod key;
mod lru;
#[cfg(feature = "axum")]
mod print;
#[cfg(not(feature = "axum"))]
mod print {
    //! Without axum no value is shown to HTTP clients.

    /// There is none.
    #[derive(Debug)]
    pub enum Print {}
}
#[cfg(feature = "retry")]
mod resilience;
#[cfg(feature = "retry")]
mod retry;
mod singleton;
mod stats;
mod sync;
#[cfg(all(feature = "test-util", feature = "memory"))]
pub mod test_util;
mod time;

pub use __private::FmKey;
#[cfg(feature = "memory")]
pub use backend::{FmMemoryBackend, FmMemoryBackendBuilder, FmMemoryEngine};
pub use cache::{
    ClearMany, Compute, FmCache, FmCacheBuilder, FmCacheManager, FmCall, FmOutcome, FmTier, Get, GetMany,
    InvalidateTag, Put, Remove, RemoveMany, Set, SetMany,
};
#[cfg(feature = "axum")]
pub use cache::{FmCacheLayer, FmCacheService};
#[cfg(feature = "client")]
pub use client::{
    FmAnswer, FmBody, FmClientError, FmClientStats, FmFailure, FmHttpError, FmJsonFuture, FmJsonRequest, FmRawRequest,
    FmResilientClient, FmResilientClientBuilder, FmResponse, FmRetryLayer, FmRetryService,
};
pub use error::FmError;
#[cfg(all(feature = "axum", feature = "client"))]
pub use http::FmHttpCache;
#[cfg(feature = "axum")]
pub use http::{
    FmCacheHeadersFuture, FmCacheHeadersLayer, FmCacheHeadersService, FmJson, FmResponseCacheLayer,
    FmResponseCacheService,
};
pub use key::CacheKey;
pub use lru::{CacheInfo, FmLru};
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::Retryable;
/// # Examples
///
/// ```
/// # use memory_core::{FmError, bulkhead};
/// #[bulkhead(max_concurrent = 10, max_queued = 20, max_wait = 1)]
/// async fn price(id: u64) -> Result<u64, FmError> {
///     Ok(id * 100)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(price(2).await.unwrap(), 200); }
/// ```
///
/// ---
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::bulkhead;
/// # Examples
///
/// ```
/// # use memory_core::{FmError, circuit_breaker, retry, stop_after_retries};
/// #[retry(stop = stop_after_retries(3))]
/// #[circuit_breaker(failure_rate = 0.5, open_for = 30)]
/// async fn price(id: u64) -> Result<u64, FmError> {
///     Ok(id * 100)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(price(2).await.unwrap(), 200); }
/// ```
///
/// ---
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::circuit_breaker;
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
/// # use memory_core::{FmError, fallback};
/// #[fallback(0, on = |error| error.is_timeout())]
/// async fn price(id: u64) -> Result<u64, FmError> {
///     Ok(id * 100)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(price(2).await.unwrap(), 200); }
/// ```
///
/// ---
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::fallback;
/// # Examples
///
/// ```
/// # use memory_core::{FmError, hedge};
/// #[hedge(after = 0.1)]
/// async fn price(id: u64) -> Result<u64, FmError> {
///     Ok(id * 100)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(price(2).await.unwrap(), 200); }
/// ```
///
/// ---
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::hedge;
/// # Examples
///
/// ```
/// # use memory_core::{FmError, rate_limit};
/// #[rate_limit(rate = 100, per = 1, max_wait = 0.5)]
/// async fn price(id: u64) -> Result<u64, FmError> {
///     Ok(id * 100)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(price(2).await.unwrap(), 200); }
/// ```
///
/// ---
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::rate_limit;
/// # Examples
///
/// ```
/// # use memory_core::{FmError, resilient};
/// #[resilient(fallback(0), timeout(30, attempt = 2), default_retry(attempts = 3), circuit_breaker, bulkhead(max_concurrent = 10))]
/// async fn price(id: u64) -> Result<u64, FmError> {
///     Ok(id * 100)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(price(2).await.unwrap(), 200); }
/// ```
///
/// ---
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::resilient;
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
/// # Examples
///
/// ```
/// # use memory_core::{FmError, timeout};
/// #[timeout(30, attempt = 2)]
/// async fn price(id: u64) -> Result<u64, FmError> {
///     Ok(id * 100)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(price(2).await.unwrap(), 200); }
/// ```
///
/// ---
#[cfg(all(feature = "macros", feature = "retry"))]
pub use memory_macros::timeout;
#[cfg(feature = "macros")]
pub use memory_macros::{CacheKey, cached_singleton, fm_lru, memorize};
#[cfg(feature = "client")]
pub use reqwest;
#[cfg(feature = "retry")]
pub use resilience::{
    Bulkhead, BulkheadBuilder, BulkheadRoom, Chaos, ChaosBuilder, CircuitBreaker, CircuitBreakerBuilder, CircuitState,
    Hedge, HedgeBuilder, RateLimiter, RateLimiterBuilder, Resilient, resilient,
};
#[cfg(feature = "retry")]
pub use retry::{
    AsError, Backoff, IntoCount, IntoSeconds, Jitter, Predicate, Retry, RetryBudget, RetryError, RetryOn, Retryable,
    Stop, Wait, chain, decorrelated_jitter, exponential_backoff, fixed, full_jitter, incrementing, is_retryable_error,
    no_wait, random_between, retry, retry_after_hint, retry_on_error, retry_on_result, retry_on_status,
    stop_after_delay, stop_after_retries, stop_before_delay, stop_never,
};
#[cfg(feature = "retry")]
pub use stats::FmResilienceStats;
pub use stats::{FmFunctionStats, FmStats};
pub use time::{Expiry, FOREVER, IntoDuration, IntoExpiry};
