//! Under construction.
#[cfg(feature = "retry")]
pub mod retry;
