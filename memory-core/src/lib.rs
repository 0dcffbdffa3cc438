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

pub use cache::FmCache;
pub use error::FmError;
pub use key::CacheKey;
#[cfg(feature = "macros")]
pub use memory_macros::memorize;
#[cfg(feature = "client")]
pub use reqwest;
pub use time::{Expiry, FOREVER, IntoDuration, IntoExpiry};
