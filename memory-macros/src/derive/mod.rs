//! The derives.

pub(crate) mod cache_key;
