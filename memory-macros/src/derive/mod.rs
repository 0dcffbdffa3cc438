//! The derives.

pub(crate) mod cache_key;
pub(crate) mod retryable;
