//! The derives.

pub(crate) mod retryable;
