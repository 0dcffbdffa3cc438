//! What the arguments of `#[memorize]` say about a returned value.

use std::time::Duration;

use crate::{
    cache::outcome::Verdict,
    error::FmError,
    time::{Expiry, IntoDuration, IntoExpiry},
};

/// The verdict where nothing was said.
#[inline]
pub fn keep<T: ?Sized>(_: &T) -> Verdict {
    Verdict::keep()
}

/// `cache_if = |v| ..`.
#[inline]
pub fn kept_when<R: ?Sized>(returned: &R, condition: impl FnOnce(&R) -> bool) -> bool {
    condition(returned)
}

/// `expire = ..`.
///
/// # Errors
///
/// A negative expiry, or NaN.
#[inline]
pub fn life(expiry: impl IntoExpiry) -> Result<Expiry, FmError> {
    expiry.into_expiry()
}

/// `expire = |v| ..`.
///
/// # Errors
///
/// A negative expiry, or NaN.
#[inline]
pub fn life_of<R: ?Sized, E: IntoExpiry>(returned: &R, expiry: impl FnOnce(&R) -> E) -> Result<Expiry, FmError> {
    expiry(returned).into_expiry()
}

/// `time_to_idle = ..`.
///
/// # Errors
///
/// A negative length, or NaN.
#[inline]
pub fn span(length: impl IntoDuration) -> Result<Duration, FmError> {
    length.into_duration()
}

/// `jitter = ..`.
#[inline]
pub fn ratio(share: impl Into<f64>) -> f64 {
    share.into()
}
