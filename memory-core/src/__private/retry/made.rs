//! What can be made of the error type: the end of a timeout, and the last error of a call that gives up.

use std::{error::Error, marker::PhantomData};

use super::{Expire, Known, Wrap};
use crate::{FmError, retry::RetryError};

pub struct ErrorType<E>(PhantomData<E>);

pub fn error_type<T, E>(_: &Result<T, E>) -> ErrorType<E> {
    ErrorType(PhantomData)
}

#[diagnostic::on_unimplemented(
    message = "`attempt_timeout` needs an error type that a timeout can become: `{Self}: From<FmError>`",
    label = "implement `From<memory_core::FmError>` for this error type, or remove `attempt_timeout`"
)]
pub trait FromTimeout {}

impl FromTimeout for Known {}

/// What a call ends with.
pub struct OutcomeType<O>(pub(super) PhantomData<O>);

pub trait Expires {
    type Of;
    type Outcome;
    fn expire(self) -> Option<Expire<Self::Outcome>>;
}

pub struct CanExpire<O>(PhantomData<O>);

pub struct CannotExpire<O, E>(PhantomData<(O, E)>);

impl<T, E: From<FmError>> Expires for CanExpire<Result<T, E>> {
    type Of = Known;
    type Outcome = Result<T, E>;
    fn expire(self) -> Option<Expire<Result<T, E>>> {
        Some(|timeout| Err(timeout.into()))
    }
}

impl<O, E> Expires for CannotExpire<O, E> {
    type Of = E;
    type Outcome = O;
    fn expire(self) -> Option<Expire<O>> {
        None
    }
}

impl<T, E: From<FmError>> OutcomeType<Result<T, E>> {
    pub fn expires(&self) -> CanExpire<Result<T, E>> {
        CanExpire(PhantomData)
    }
}

pub trait NeverExpires {
    type Outcome;
    type Error;
    fn expires(&self) -> CannotExpire<Self::Outcome, Self::Error>;
}

impl<T, E> NeverExpires for OutcomeType<Result<T, E>> {
    type Outcome = Result<T, E>;
    type Error = E;
    fn expires(&self) -> CannotExpire<Self::Outcome, E> {
        CannotExpire(PhantomData)
    }
}

/// That it is no `Result` is said by [`outcome`](super::outcome), once.
pub trait ExpiresUnsaid {
    type Outcome;
    fn expires(&self) -> CannotExpire<Self::Outcome, Known>;
}

impl<O> ExpiresUnsaid for &OutcomeType<O> {
    type Outcome = O;
    fn expires(&self) -> CannotExpire<O, Known> {
        CannotExpire(PhantomData)
    }
}

/// For a deadline: the call under way is cut where that can be expressed.
pub fn may_expire<X: Expires>(expires: X) -> Option<Expire<X::Outcome>> {
    expires.expire()
}

/// For a timeout of each attempt, which has to be expressed.
pub fn must_expire<X>(expires: X) -> Option<Expire<X::Outcome>>
where
    X: Expires,
    X::Of: FromTimeout,
{
    expires.expire()
}

#[diagnostic::on_unimplemented(
    message = "`reraise = false` needs an error type that a `RetryError` can become: `{Self}: From<RetryError>`",
    label = "implement `From<memory_core::RetryError>` for this error type, or remove `reraise = false`",
    note = "the last error becomes its source, so the error type must also be `Into<Box<dyn Error + Send + Sync>>`"
)]
pub trait FromRetryError {}

impl FromRetryError for Known {}

pub trait Wraps {
    type Of;
    type Error;
    fn wrap(self) -> Wrap<Self::Error>;
}

pub struct CanWrap<E>(PhantomData<E>);

pub struct CannotWrap<E>(PhantomData<E>);

impl<E: From<RetryError> + Into<Box<dyn Error + Send + Sync>>> Wraps for CanWrap<E> {
    type Of = Known;
    type Error = E;
    fn wrap(self) -> Wrap<E> {
        |error, attempts, elapsed| RetryError::new(attempts, elapsed, error.into()).into()
    }
}

impl<E> Wraps for CannotWrap<E> {
    type Of = E;
    type Error = E;
    fn wrap(self) -> Wrap<E> {
        |error, _, _| error
    }
}

impl<E: From<RetryError> + Into<Box<dyn Error + Send + Sync>>> ErrorType<E> {
    pub fn wraps(&self) -> CanWrap<E> {
        CanWrap(PhantomData)
    }
}

pub trait NeverWraps {
    type Error;
    fn wraps(&self) -> CannotWrap<Self::Error>;
}

impl<E> NeverWraps for ErrorType<E> {
    type Error = E;
    fn wraps(&self) -> CannotWrap<E> {
        CannotWrap(PhantomData)
    }
}

pub fn wrapper<W>(wraps: W) -> Wrap<W::Error>
where
    W: Wraps,
    W::Of: FromRetryError,
{
    wraps.wrap()
}
