//! Which outcomes are to be repeated.

use std::{
    error::Error,
    marker::PhantomData,
    ops::{BitAnd, BitOr, Deref},
};

use super::classify::{is_retryable_error, status_of};

/// What [`Retry::when`](super::policy::Retry::when) takes: a function of the error, or a block.
///
/// A function may take the error's own type (`fn(&AppError) -> bool`) or any error (`fn(&(dyn Error + 'static)) ->
/// bool`, as [`is_retryable_error`] does), or ignore it (`|_| true`). `How` tells these apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't say which outcomes to retry",
    label = "expected a function of the error (`fn(&{E}) -> bool`) or a block as `retry_on_status([429])`",
    note = "in an attribute it is what `retry` or `retry_on` says, by hand what `.when(..)` says"
)]
pub trait Predicate<T, E, How> {
    /// Whether this outcome is to be repeated.
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool;
}

/// A block that says which outcomes to retry; blocks are joined by `|` and `&`.
#[derive(Clone, Debug)]
#[must_use = "a predicate does nothing until a retry uses it"]
pub struct RetryOn<P>(P);

/// Retries errors for which `predicate` is true.
///
/// # Examples
///
/// ```
/// # use memory_core::{retry_on_error, retry_on_status, retry, is_retryable_error};
/// # async fn call() -> Result<u8, std::io::Error> { Ok(1) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let too_slow = |error: &std::io::Error| error.kind() == std::io::ErrorKind::TimedOut;
/// let outcome = retry().when(retry_on_error(too_slow) | retry_on_status([429])).run(call).await;
/// # assert_eq!(outcome.unwrap(), 1);
/// # }
/// ```
pub const fn retry_on_error<E: ?Sized, P: Fn(&E) -> bool>(predicate: P) -> RetryOn<OnError<E, P>> {
    RetryOn(OnError(predicate, PhantomData))
}

/// Retries `Ok` values for which `predicate` is true; when the retries are exhausted, the last `Ok` is the result.
///
/// # Examples
///
/// ```
/// # use memory_core::{retry, retry_on_result, stop_after_retries};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let pending = retry_on_result(|state: &Option<u8>| state.is_none());
/// let outcome: Result<_, std::io::Error> = retry().when(pending).run(|| async { Ok(Some(7)) }).await;
/// assert_eq!(outcome.unwrap(), Some(7));
/// # }
/// ```
pub const fn retry_on_result<T, P: Fn(&T) -> bool>(predicate: P) -> RetryOn<OnResult<T, P>> {
    RetryOn(OnResult(predicate, PhantomData))
}

/// Retries these HTTP statuses, besides everything that [`is_retryable_error`] retries.
///
/// # Examples
///
/// ```
/// # use memory_core::{retry, retry_on_status};
/// # async fn call() -> Result<u8, std::io::Error> { Ok(1) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let outcome = retry().when(retry_on_status([408, 425, 429])).run(call).await;
/// # assert_eq!(outcome.unwrap(), 1);
/// # }
/// ```
pub fn retry_on_status(statuses: impl IntoIterator<Item = u16>) -> RetryOn<OnStatus> {
    RetryOn(OnStatus(statuses.into_iter().collect()))
}

/// What [`retry_on_error`] makes.
pub struct OnError<E: ?Sized, P>(P, PhantomData<fn(&E)>);

/// What [`retry_on_result`] makes.
pub struct OnResult<T, P>(P, PhantomData<fn(&T)>);

/// What [`retry_on_status`] makes.
#[derive(Clone, Debug)]
pub struct OnStatus(Vec<u16>);

/// Either block asks for a retry.
#[derive(Clone, Debug)]
pub struct Either<A, B>(A, B);

/// Both blocks ask for a retry.
#[derive(Clone, Debug)]
pub struct Both<A, B>(A, B);

impl<E: ?Sized, P: Clone> Clone for OnError<E, P> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T, P: Clone> Clone for OnResult<T, P> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<A, B> BitOr<B> for RetryOn<A> {
    type Output = RetryOn<Either<Self, B>>;

    fn bitor(self, other: B) -> Self::Output {
        RetryOn(Either(self, other))
    }
}

impl<A, B> BitAnd<B> for RetryOn<A> {
    type Output = RetryOn<Both<Self, B>>;

    fn bitand(self, other: B) -> Self::Output {
        RetryOn(Both(self, other))
    }
}

/// How a predicate sees an outcome. Public only because it is part of public bounds.
pub(crate) mod how {
    use std::marker::PhantomData;

    /// A function of the error's own type.
    pub struct Typed;
    /// Handed to a closure that ignores its argument.
    pub struct Ignored;
    /// A function of any error.
    pub struct Any<View>(PhantomData<View>);
    /// A block, seeing the outcome as what is inside does.
    pub struct Block<How>(PhantomData<How>);
    /// The value alone.
    pub struct Value;
    /// Two blocks.
    pub struct Pair<A, B>(PhantomData<(A, B)>);
}

impl<T, E, P: Fn(&E) -> bool> Predicate<T, E, how::Typed> for P {
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        outcome.as_ref().is_err_and(self)
    }
}

// What `|_| true` takes is unknown without this, and could then be no reference.
impl<T, E, P: Fn(how::Ignored) -> bool> Predicate<T, E, how::Ignored> for P {
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        outcome.is_err() && self(how::Ignored)
    }
}

impl<T, E, View, P> Predicate<T, E, how::Any<View>> for P
where
    P: Fn(&(dyn Error + 'static)) -> bool,
    E: AsError<View>,
{
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        outcome.as_ref().is_err_and(|error| self(error.as_error()))
    }
}

impl<T, E, How, P: Predicate<T, E, How>> Predicate<T, E, how::Block<How>> for RetryOn<P> {
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        self.0.asks_for_retry(outcome)
    }
}

impl<T, E, P: Fn(&E) -> bool> Predicate<T, E, how::Typed> for OnError<E, P> {
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        outcome.as_ref().is_err_and(&self.0)
    }
}

impl<T, E, View, P> Predicate<T, E, how::Any<View>> for OnError<dyn Error + 'static, P>
where
    P: Fn(&(dyn Error + 'static)) -> bool,
    E: AsError<View>,
{
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        outcome.as_ref().is_err_and(|error| (self.0)(error.as_error()))
    }
}

impl<T, E, P: Fn(&T) -> bool> Predicate<T, E, how::Value> for OnResult<T, P> {
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        outcome.as_ref().is_ok_and(&self.0)
    }
}

impl<T, E: AsError<View>, View> Predicate<T, E, how::Any<View>> for OnStatus {
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        outcome.as_ref().is_err_and(|error| {
            let error = error.as_error();
            status_of(error).is_some_and(|status| self.0.contains(&status)) || is_retryable_error(error)
        })
    }
}

impl<T, E, A, B, X, Y> Predicate<T, E, how::Pair<X, Y>> for Either<A, B>
where
    A: Predicate<T, E, X>,
    B: Predicate<T, E, Y>,
{
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        self.0.asks_for_retry(outcome) || self.1.asks_for_retry(outcome)
    }
}

impl<T, E, A, B, X, Y> Predicate<T, E, how::Pair<X, Y>> for Both<A, B>
where
    A: Predicate<T, E, X>,
    B: Predicate<T, E, Y>,
{
    fn asks_for_retry(&self, outcome: &Result<T, E>) -> bool {
        self.0.asks_for_retry(outcome) && self.1.asks_for_retry(outcome)
    }
}

/// What can be seen as an error: every error, and the boxes of any error (`anyhow::Error`, `Box<dyn Error>`), which
/// are no errors themselves. `View` tells these apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error, so it can't be judged",
    label = "give a predicate of its own type: `|error: &{Self}| ..`"
)]
pub trait AsError<View> {
    /// The error inside.
    fn as_error(&self) -> &(dyn Error + 'static);
}

/// The views of [`AsError`]. Public only because it is part of public bounds.
pub(crate) mod view {
    /// An error.
    pub struct Plain;
    /// A box of any error that can be shared between threads.
    pub struct Shared;
    /// A box of any error.
    pub struct Local;
}

impl<E: Error + 'static> AsError<view::Plain> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

// `From` keeps `Arc<dyn Error>` out: it is an error itself, and would be seen in two ways.
impl<E> AsError<view::Shared> for E
where
    E: Deref<Target = dyn Error + Send + Sync + 'static> + From<std::fmt::Error>,
{
    fn as_error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}

impl<E> AsError<view::Local> for E
where
    E: Deref<Target = dyn Error + 'static> + From<std::fmt::Error>,
{
    fn as_error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}
