//! What a retried function returns, and whether that is worth another attempt.

use std::{error::Error, marker::PhantomData, time::Duration};

use crate::retry::{AsError, Predicate, Retryable, is_retryable_error, retry_after_hint, view};

#[diagnostic::on_unimplemented(
    message = "a retried function returns a `Result`, not `{Self}`",
    label = "only a `Result` can be seen to fail"
)]
pub trait Outcome<T, E> {
    fn into_result(self) -> Result<T, E>;
    fn of_result(result: Result<T, E>) -> Self;
}

impl<T, E> Outcome<T, E> for Result<T, E> {
    fn into_result(self) -> Self {
        self
    }

    fn of_result(result: Self) -> Self {
        result
    }
}

/// Makes what a call returns of its outcome.
pub type Back<R, T, E> = fn(Result<T, E>) -> R;

/// The outcome as the `Result` that it is, and how to return it. Where it is none, `T` and `E` are unknown, and nothing that
/// follows is another error.
pub fn outcome<R: Outcome<T, E>, T, E>(outcome: R) -> (Result<T, E>, Back<R, T, E>) {
    (outcome.into_result(), R::of_result)
}

pub fn asks<T, E, P: Predicate<T, E, How>, How>(outcome: &Result<T, E>, predicate: P) -> bool {
    predicate.asks_for_retry(outcome)
}

/// As [`asks`], telling a closure what it is called with.
pub fn asks_typed<T, E>(outcome: &Result<T, E>, predicate: impl Fn(&E) -> bool) -> bool {
    outcome.as_ref().is_err_and(predicate)
}

/// Tells a closure that it is called with the error.
pub fn of_error<T, E, P: Fn(&E) -> bool>(_: &Result<T, E>, predicate: P) -> P {
    predicate
}

/// Tells a closure that it is called with the value.
pub fn of_value<T, E, P: Fn(&T) -> bool>(_: &Result<T, E>, predicate: P) -> P {
    predicate
}

/// How long an error asks to wait, by the user's own word.
pub fn delay<T, E>(outcome: &Result<T, E>, delay: impl Fn(&E) -> Option<Duration>) -> Option<Duration> {
    outcome.as_ref().err().and_then(delay)
}

pub struct Ask<'a, E>(pub &'a E);

/// No candidate took the error.
pub struct CannotBeJudged<E>(PhantomData<E>);

#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be judged: it is unknown which of these errors are worth a retry",
    label = "this error type needs a predicate",
    note = "write `retry_on = ..` in `#[default_retry]`, `retry = retry_on_error(..)` in `#[retry]`, or implement `Retryable` or `std::error::Error` for it"
)]
pub trait Judgeable {}

/// The answer of a candidate.
pub trait Judgement {
    type Of;
    fn into_verdict(self) -> bool;
}

pub fn judged<J>(judgement: J) -> bool
where
    J: Judgement,
    J::Of: Judgeable,
{
    judgement.into_verdict()
}

/// The answer of a candidate that took the error.
pub struct Judged(bool);

/// Stands for every type that can do what is asked for.
pub struct Known;

impl Judgeable for Known {}

impl Judgement for Judged {
    type Of = Known;
    fn into_verdict(self) -> bool {
        self.0
    }
}

impl<E> Judgement for CannotBeJudged<E> {
    type Of = E;
    fn into_verdict(self) -> bool {
        false
    }
}

pub trait AskRetryable {
    fn ask(&self) -> Judged;
}

impl<E: Retryable> AskRetryable for &&&&Ask<'_, E> {
    fn ask(&self) -> Judged {
        Judged(self.0.is_retryable())
    }
}

pub trait AskError {
    fn ask(&self) -> Judged;
}

impl<E: Error + 'static> AskError for &&&Ask<'_, E> {
    fn ask(&self) -> Judged {
        Judged(is_retryable_error(self.0))
    }
}

pub trait AskShared {
    fn ask(&self) -> Judged;
}

impl<E: AsError<view::Shared>> AskShared for &&Ask<'_, E> {
    fn ask(&self) -> Judged {
        Judged(is_retryable_error(self.0.as_error()))
    }
}

pub trait AskLocal {
    fn ask(&self) -> Judged;
}

impl<E: AsError<view::Local>> AskLocal for &Ask<'_, E> {
    fn ask(&self) -> Judged {
        Judged(is_retryable_error(self.0.as_error()))
    }
}

/// Looks for what an error says of waits, as far as it can be looked through.
pub struct Hint<'a, E>(pub &'a E);

pub trait HintOfError {
    fn delay(&self) -> Option<Duration>;
}

impl<E: Error + 'static> HintOfError for &&&Hint<'_, E> {
    fn delay(&self) -> Option<Duration> {
        retry_after_hint(self.0)
    }
}

pub trait HintOfShared {
    fn delay(&self) -> Option<Duration>;
}

impl<E: AsError<view::Shared>> HintOfShared for &&Hint<'_, E> {
    fn delay(&self) -> Option<Duration> {
        retry_after_hint(self.0.as_error())
    }
}

pub trait HintOfLocal {
    fn delay(&self) -> Option<Duration>;
}

impl<E: AsError<view::Local>> HintOfLocal for &Hint<'_, E> {
    fn delay(&self) -> Option<Duration> {
        retry_after_hint(self.0.as_error())
    }
}

pub trait HintOfNone {
    fn delay(&self) -> Option<Duration>;
}

impl<E> HintOfNone for Hint<'_, E> {
    fn delay(&self) -> Option<Duration> {
        None
    }
}

pub trait AskAny {
    type Of;
    fn ask(&self) -> CannotBeJudged<Self::Of>;
}

impl<E> AskAny for Ask<'_, E> {
    type Of = E;
    fn ask(&self) -> CannotBeJudged<E> {
        CannotBeJudged(PhantomData)
    }
}

/// Asks the sources of a derived error type, where it is an error.
pub struct Source<'a, E>(pub &'a E);

pub trait AskSource {
    fn ask(&self) -> bool;
}

impl<E: Error + 'static> Source<'_, E> {
    pub fn ask(&self) -> bool {
        is_retryable_error(self.0)
    }
}

impl<E> AskSource for Source<'_, E> {
    fn ask(&self) -> bool {
        false
    }
}
