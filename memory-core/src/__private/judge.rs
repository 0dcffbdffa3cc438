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

/// `stale_on = |error| ..`.
#[inline]
pub fn fails_when<R: Fallible>(returned: &R, condition: impl FnOnce(&R::Error) -> bool) -> bool {
    returned.as_result().as_ref().is_err_and(condition)
}

/// `stale_on = predicate`: a function of the error, of any error, or a block as `retry_on_status([404])`.
#[cfg(feature = "retry")]
#[inline]
pub fn fails_by<R: Fallible, P, How>(returned: &R, predicate: P) -> bool
where
    P: crate::retry::Predicate<R::Value, R::Error, How>,
{
    predicate.asks_for_retry(returned.as_result())
}

/// `stale_on = predicate`: a function of the error.
#[cfg(not(feature = "retry"))]
#[inline]
pub fn fails_by<R: Fallible>(returned: &R, predicate: impl FnOnce(&R::Error) -> bool) -> bool {
    fails_when(returned, predicate)
}

/// What can be an error.
#[diagnostic::on_unimplemented(
    message = "`stale_on` judges errors, and this function returns none",
    label = "not a `Result`",
    note = "return a `Result`, or remove `stale_on`"
)]
pub trait Fallible {
    /// What it is when it is none.
    type Value;
    /// The error.
    type Error;
    /// Which of them it is.
    fn as_result(&self) -> &Result<Self::Value, Self::Error>;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
    type Error = E;

    fn as_result(&self) -> &Self {
        self
    }
}

/// One of `tags = [..]`.
#[inline]
pub fn tag<T: Tag + ?Sized>(tag: &T) -> String {
    tag.to_tag()
}

/// `tags = ..`.
#[inline]
pub fn tags<L: Tags>(tags: L) -> Vec<String> {
    tags.to_tags()
}

/// `tags = |v| ..`.
#[inline]
pub fn tags_of<'r, R: ?Sized, L: Tags>(returned: &'r R, list: impl FnOnce(&'r R) -> L) -> Vec<String> {
    list(returned).to_tags()
}

/// What can be a list of tags: whatever goes through things that can be displayed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of tags",
    label = "not a list of `Display` values",
    note = "write `tags = [..]`, or something that implements `IntoIterator` over what implements `Display`"
)]
pub trait Tags {
    /// Their texts.
    fn to_tags(self) -> Vec<String>;
}

#[diagnostic::do_not_recommend]
impl<I: IntoIterator<Item: std::fmt::Display>> Tags for I {
    fn to_tags(self) -> Vec<String> {
        self.into_iter().map(|tag| tag.to_string()).collect()
    }
}

/// What can be a tag: whatever can be displayed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a tag",
    label = "not `Display`",
    note = "tags are text: write `format!(..)`, or something that implements `Display`"
)]
pub trait Tag {
    /// Its text.
    fn to_tag(&self) -> String;
}

#[diagnostic::do_not_recommend]
impl<T: std::fmt::Display + ?Sized> Tag for T {
    fn to_tag(&self) -> String {
        self.to_string()
    }
}
