//! The layers around a value: `Result` and `Option`, from the outside.

use std::{convert::Infallible, marker::PhantomData};

use crate::cache::outcome::{Fate, Split};

/// Layers around a value.
pub trait Wrapping {
    /// The return type around a `T`.
    type Return<T>;
    /// What is stored of it.
    type Stored<T>;
    /// What counts as absent.
    type Absent: Copy + Send + Sync + 'static;
    /// What is a failure.
    type Failure;

    /// Takes a returned value apart.
    fn split<T>(returned: Self::Return<T>) -> Split<Self::Stored<T>, Self::Absent, Self::Failure>;
    /// Puts a stored value together.
    fn value<T>(stored: Self::Stored<T>) -> Self::Return<T>;
    /// Puts a value together.
    fn wrap<T>(value: T) -> Self::Return<T>;
    /// Puts absence together.
    fn absent<T>(absent: Self::Absent) -> Self::Return<T>;
    /// Puts a failure together.
    fn failed<T>(failure: Self::Failure) -> Self::Return<T>;
    /// Changes the innermost value of what is stored.
    fn map<T, U>(stored: Self::Stored<T>, change: impl FnOnce(T) -> U) -> Self::Stored<U>;
    /// What is stored, where its innermost value is there.
    fn present<T>(stored: Self::Stored<Option<T>>) -> Option<Self::Stored<T>>;
    /// The innermost value of what was returned.
    fn inner<T>(returned: &Self::Return<T>) -> Option<&T>;

    /// The innermost value of what was returned.
    fn inner_mut<T>(returned: &mut Self::Return<T>) -> Option<&mut T>;

    /// Whom what was returned may reach.
    fn fate<T>(_: &Self::Return<T>) -> Fate {
        Fate::Stored
    }

    /// Whether the `Option` layer is `None`.
    fn is_none<T>(_: &Self::Return<T>) -> bool {
        false
    }

    /// Whether the `Result` layer is `Err`.
    fn is_err<T>(_: &Self::Return<T>) -> bool {
        false
    }
}

/// No layer.
pub struct Bare;
/// A `Result` whose errors are failures.
pub struct InResult<E>(PhantomData<fn() -> E>);
/// A `Result` that is stored whole.
pub struct InKeptResult<E>(PhantomData<fn() -> E>);
/// An `Option`, inside `W`, whose `None` is absence.
pub struct InOption<W>(PhantomData<fn() -> W>);
/// An `Option`, inside `W`, that is stored whole.
pub struct InKeptOption<W>(PhantomData<fn() -> W>);

impl Wrapping for Bare {
    type Return<T> = T;
    type Stored<T> = T;
    type Absent = Infallible;
    type Failure = Infallible;

    fn split<T>(returned: T) -> Split<T, Infallible, Infallible> {
        Split::Value(returned)
    }

    fn value<T>(stored: T) -> T {
        stored
    }

    fn wrap<T>(value: T) -> T {
        value
    }

    fn absent<T>(absent: Infallible) -> T {
        match absent {}
    }

    fn failed<T>(failure: Infallible) -> T {
        match failure {}
    }

    fn map<T, U>(stored: T, change: impl FnOnce(T) -> U) -> U {
        change(stored)
    }

    fn present<T>(stored: Option<T>) -> Option<T> {
        stored
    }

    fn inner<T>(returned: &T) -> Option<&T> {
        Some(returned)
    }

    fn inner_mut<T>(returned: &mut T) -> Option<&mut T> {
        Some(returned)
    }
}

impl<E> Wrapping for InResult<E> {
    type Return<T> = Result<T, E>;
    type Stored<T> = T;
    type Absent = Infallible;
    type Failure = E;

    fn split<T>(returned: Result<T, E>) -> Split<T, Infallible, E> {
        match returned {
            Ok(value) => Split::Value(value),
            Err(failure) => Split::Failed(failure),
        }
    }

    fn value<T>(stored: T) -> Result<T, E> {
        Ok(stored)
    }

    fn wrap<T>(value: T) -> Result<T, E> {
        Ok(value)
    }

    fn absent<T>(absent: Infallible) -> Result<T, E> {
        match absent {}
    }

    fn failed<T>(failure: E) -> Result<T, E> {
        Err(failure)
    }

    fn map<T, U>(stored: T, change: impl FnOnce(T) -> U) -> U {
        change(stored)
    }

    fn present<T>(stored: Option<T>) -> Option<T> {
        stored
    }

    fn inner<T>(returned: &Result<T, E>) -> Option<&T> {
        returned.as_ref().ok()
    }

    fn inner_mut<T>(returned: &mut Result<T, E>) -> Option<&mut T> {
        returned.as_mut().ok()
    }

    fn is_err<T>(returned: &Result<T, E>) -> bool {
        returned.is_err()
    }
}

impl<E> Wrapping for InKeptResult<E> {
    type Return<T> = Result<T, E>;
    type Stored<T> = Result<T, E>;
    type Absent = Infallible;
    type Failure = Infallible;

    fn split<T>(returned: Result<T, E>) -> Split<Result<T, E>, Infallible, Infallible> {
        Split::Value(returned)
    }

    fn value<T>(stored: Result<T, E>) -> Result<T, E> {
        stored
    }

    fn wrap<T>(value: T) -> Result<T, E> {
        Ok(value)
    }

    fn absent<T>(absent: Infallible) -> Result<T, E> {
        match absent {}
    }

    fn failed<T>(failure: Infallible) -> Result<T, E> {
        match failure {}
    }

    fn map<T, U>(stored: Result<T, E>, change: impl FnOnce(T) -> U) -> Result<U, E> {
        stored.map(change)
    }

    fn present<T>(stored: Result<Option<T>, E>) -> Option<Result<T, E>> {
        stored.transpose()
    }

    fn inner<T>(returned: &Result<T, E>) -> Option<&T> {
        returned.as_ref().ok()
    }

    fn inner_mut<T>(returned: &mut Result<T, E>) -> Option<&mut T> {
        returned.as_mut().ok()
    }

    fn is_err<T>(returned: &Result<T, E>) -> bool {
        returned.is_err()
    }
}

impl<W: Wrapping<Absent = Infallible>> Wrapping for InOption<W> {
    type Return<T> = W::Return<Option<T>>;
    type Stored<T> = W::Stored<T>;
    type Absent = ();
    type Failure = W::Failure;

    fn split<T>(returned: Self::Return<T>) -> Split<W::Stored<T>, (), W::Failure> {
        match W::split(returned) {
            Split::Value(stored) => W::present(stored).map_or(Split::Absent(()), Split::Value),
            Split::Absent(absent) => match absent {},
            Split::Failed(failure) => Split::Failed(failure),
        }
    }

    fn value<T>(stored: W::Stored<T>) -> Self::Return<T> {
        W::value(W::map(stored, Some))
    }

    fn wrap<T>(value: T) -> Self::Return<T> {
        W::wrap(Some(value))
    }

    fn absent<T>((): ()) -> Self::Return<T> {
        W::wrap(None)
    }

    fn failed<T>(failure: W::Failure) -> Self::Return<T> {
        W::failed(failure)
    }

    fn map<T, U>(stored: W::Stored<T>, change: impl FnOnce(T) -> U) -> W::Stored<U> {
        W::map(stored, change)
    }

    fn present<T>(stored: W::Stored<Option<T>>) -> Option<W::Stored<T>> {
        W::present(stored)
    }

    fn inner<T>(returned: &Self::Return<T>) -> Option<&T> {
        W::inner(returned).and_then(Option::as_ref)
    }

    fn inner_mut<T>(returned: &mut Self::Return<T>) -> Option<&mut T> {
        W::inner_mut(returned).and_then(Option::as_mut)
    }

    fn fate<T>(returned: &Self::Return<T>) -> Fate {
        W::fate(returned)
    }

    fn is_none<T>(returned: &Self::Return<T>) -> bool {
        W::inner(returned).is_some_and(Option::is_none)
    }

    fn is_err<T>(returned: &Self::Return<T>) -> bool {
        W::is_err(returned)
    }
}

impl<W: Wrapping> Wrapping for InKeptOption<W> {
    type Return<T> = W::Return<Option<T>>;
    type Stored<T> = W::Stored<Option<T>>;
    type Absent = W::Absent;
    type Failure = W::Failure;

    fn split<T>(returned: Self::Return<T>) -> Split<Self::Stored<T>, W::Absent, W::Failure> {
        W::split(returned)
    }

    fn value<T>(stored: Self::Stored<T>) -> Self::Return<T> {
        W::value(stored)
    }

    fn wrap<T>(value: T) -> Self::Return<T> {
        W::wrap(Some(value))
    }

    fn absent<T>(absent: W::Absent) -> Self::Return<T> {
        W::absent(absent)
    }

    fn failed<T>(failure: W::Failure) -> Self::Return<T> {
        W::failed(failure)
    }

    fn map<T, U>(stored: Self::Stored<T>, change: impl FnOnce(T) -> U) -> Self::Stored<U> {
        W::map(stored, |kept: Option<T>| kept.map(change))
    }

    fn present<T>(stored: W::Stored<Option<Option<T>>>) -> Option<W::Stored<Option<T>>> {
        W::present(W::map(stored, |kept: Option<Option<T>>| kept.map_or(Some(None), |inner| inner.map(Some))))
    }

    fn inner<T>(returned: &Self::Return<T>) -> Option<&T> {
        W::inner(returned).and_then(Option::as_ref)
    }

    fn inner_mut<T>(returned: &mut Self::Return<T>) -> Option<&mut T> {
        W::inner_mut(returned).and_then(Option::as_mut)
    }

    fn fate<T>(returned: &Self::Return<T>) -> Fate {
        W::fate(returned)
    }

    fn is_none<T>(returned: &Self::Return<T>) -> bool {
        W::inner(returned).is_some_and(Option::is_none)
    }

    fn is_err<T>(returned: &Self::Return<T>) -> bool {
        W::is_err(returned)
    }
}
