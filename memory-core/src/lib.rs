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
pub use cache::{ClearMany, Compute, FmCache, FmCacheBuilder, FmCacheManager, Get, GetMany, Remove, Set, SetMany};
#[cfg(feature = "axum")]
pub use cache::{FmCacheLayer, FmCacheService};
pub use error::FmError;
pub use key::CacheKey;
pub use lru::{CacheInfo, FmLru};
#[cfg(feature = "macros")]
pub use memory_macros::{CacheKey, cached_singleton, fm_lru, memorize};
#[cfg(feature = "client")]
pub use reqwest;
pub use stats::{FmFunctionStats, FmStats};
pub use time::{Expiry, FOREVER, IntoDuration, IntoExpiry};
