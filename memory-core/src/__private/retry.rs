//! What the expansions of `#[retry]`, `#[default_retry]` and `#[derive(Retryable)]` call.
//!
//! What a type can do is asked by method resolution: the first candidate whose bounds hold wins, and the last one takes
//! every type and answers with a marker. A free function then has the bound that the marker lacks, so that the compiler
//! reports it in the words given here, at the tokens of the user.

use std::{
    error::Error,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

pub use ::std;

use crate::{
    FmError, IntoDuration,
    retry::{
        Around, AsError, Jitter, Predicate, RetryBudget, RetryError, Retryable, Stop, Wait,
        attempts::{self, Limit},
        is_retryable_error,
        number::lenient,
        policy, retry_after_hint, sleep, view,
    },
    stats::{Calls, Event, Ledger},
};

/// A policy under construction.
pub struct Plan(attempts::Plan);

/// What all calls of a retried function share.
pub struct Site {
    budget: RetryBudget,
    ledger: Ledger,
    /// The calls that were begun without a plan.
    calls: Arc<Calls>,
}

/// After so many calls of a thread the budget takes note of when they were.
const OFTEN: u64 = 256;

impl Site {
    pub fn new(function: &str) -> Self {
        let (ledger, calls) = (Ledger::named(function), Arc::default());
        ledger.include(&calls);
        Self { budget: RetryBudget::fed_by(Arc::clone(&calls)), ledger, calls }
    }

    /// Begins a call that has no plan before its first attempt has failed.
    #[inline]
    #[must_use]
    pub fn begin(&self) -> Attempts {
        let around = Around::beginning();
        if around.is_repetition() {
            self.ledger.note(Event::Attempt(1));
        } else {
            self.ledger.trace(Event::Attempt(1));
            if self.calls.add_one().is_multiple_of(OFTEN) {
                self.budget.look();
            }
        }
        Attempts(State::First(around))
    }
}

/// A retried call under way.
pub struct Attempts(State);

enum State {
    /// In its first attempt, which nothing limits.
    First(Around),
    Planned(Box<Planned>),
}

struct Planned {
    attempts: attempts::Attempts,
    cut: Option<Limit>,
}

/// An attempt under way.
pub struct Attempt<'a, F> {
    around: &'a mut Around,
    attempt: Pin<&'a mut F>,
}

impl<F: Future> Future for Attempt<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        let Self { around, attempt } = self.get_mut();
        around.enter(|| attempt.as_mut().poll(task))
    }
}

/// What comes after an attempt.
pub enum Next {
    /// The outcome stands.
    Done,
    /// It should be repeated, but the policy gives up.
    Exhausted,
    /// Another attempt, after this wait.
    After(Duration),
}

/// Makes a call's outcome of a timeout.
pub type Expire<O> = fn(FmError) -> O;

/// Makes a call's error of the last one, with a [`RetryError`] around it.
pub type Wrap<E> = fn(E, u32, Duration) -> E;

impl Plan {
    pub fn new(stop: Stop, wait: Wait) -> Self {
        Self(attempts::Plan::new(stop, wait))
    }

    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.0.jitter = jitter;
        self
    }

    #[must_use]
    pub fn deadline(mut self, deadline: impl IntoDuration) -> Self {
        self.0.deadline = Some(lenient(deadline));
        self
    }

    #[must_use]
    pub fn attempt_timeout(mut self, timeout: impl IntoDuration) -> Self {
        self.0.attempt_timeout = Some(lenient(timeout));
        self
    }

    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = Some(seed);
        self
    }

    #[must_use]
    pub fn max_delay(mut self, delay: impl IntoDuration) -> Self {
        self.0.longest_delay = lenient(delay);
        self
    }

    /// What the retries are paid from, and who they are.
    #[must_use]
    pub fn of(mut self, site: &Site) -> Self {
        self.0.budget = site.budget.clone();
        self.0.ledger = Some(site.ledger.clone());
        self
    }

    #[must_use]
    pub fn budget(mut self, budget: impl Into<RetryBudget>) -> Self {
        self.0.budget = budget.into();
        self
    }

    #[must_use]
    pub fn begin(self) -> Attempts {
        self.planned(attempts::Plan::begin)
    }

    fn planned(self, begin: impl FnOnce(attempts::Plan) -> attempts::Attempts) -> Attempts {
        Attempts(State::Planned(Box::new(Planned { attempts: begin(self.0), cut: None })))
    }
}

impl Attempts {
    /// Runs an attempt that nothing limits, so that the retries inside of it know of this one.
    #[inline]
    pub fn run<'a, F: Future>(&'a mut self, attempt: Pin<&'a mut F>) -> Attempt<'a, F> {
        Attempt { around: self.attempt(), attempt }
    }

    /// As [`run`](Self::run), for a call that blocks.
    pub fn run_blocking<R>(&mut self, attempt: impl FnOnce() -> R) -> R {
        match &mut self.0 {
            State::Planned(planned) => planned.attempts.surroundings().sync_scope(attempt),
            State::First(around) => around.enter(attempt),
        }
    }

    /// An attempt begins.
    #[inline]
    fn attempt(&mut self) -> &mut Around {
        match &mut self.0 {
            State::First(around) => around,
            State::Planned(planned) => {
                planned.attempts.attempt();
                planned.attempts.around()
            }
        }
    }

    /// Runs an attempt within its limits, where the error type can express that it was cut.
    pub async fn within<F, X>(&mut self, attempt: Pin<&mut F>, expires: X) -> F::Output
    where
        F: Future,
        X: FnOnce(OutcomeType<F::Output>) -> Option<Expire<F::Output>>,
    {
        let State::Planned(planned) = &mut self.0 else { return self.run(attempt).await };
        let attempt = planned.attempts.surroundings().scope(attempt);
        let (Some((length, limit)), Some(expire)) = (planned.attempts.limit(), expires(OutcomeType(PhantomData)))
        else {
            return attempt.await;
        };
        if let Some(outcome) = policy::within(length, attempt).await {
            return outcome;
        }
        planned.cut = Some(limit);
        expire(policy::expired(limit))
    }

    /// Counts an attempt and decides what comes next; one that was cut by its own timeout is always repeated. `delay` is
    /// how long the error asks to wait, `plan` what the call goes by if it has no plan yet.
    #[inline]
    pub fn next(
        &mut self,
        again: bool,
        delay: impl FnOnce() -> Option<Duration>,
        plan: impl FnOnce() -> Option<Plan>,
    ) -> Next {
        match &mut self.0 {
            State::First(_) if !again => return Next::Done,
            State::First(around) => {
                let around = std::mem::take(around);
                let Some(plan) = plan() else { return Next::Exhausted };
                *self = plan.planned(|plan| plan.go_on(around));
            }
            State::Planned(_) => {}
        }
        self.judge(again, delay)
    }

    fn judge(&mut self, again: bool, delay: impl FnOnce() -> Option<Duration>) -> Next {
        let State::Planned(planned) = &mut self.0 else { return Next::Done };
        planned.attempts.count();
        let cut = planned.cut.take();
        if let Some(limit) = cut {
            planned.attempts.was_cut(limit);
        }
        match cut {
            Some(Limit::Deadline) => return Next::Exhausted,
            None if !again => return Next::Done,
            Some(Limit::Attempt) | None => {}
        }
        planned.attempts.next_wait(delay()).map_or(Next::Exhausted, Next::After)
    }

    /// How many attempts were made.
    pub fn made(&self) -> u32 {
        self.planned().map_or(1, attempts::Attempts::made)
    }

    pub fn give_up<T, E>(&self, outcome: Result<T, E>, reraise: bool, wrap: Wrap<E>) -> Result<T, E> {
        if reraise {
            return outcome;
        }
        let elapsed = self.planned().map(attempts::Attempts::elapsed).unwrap_or_default();
        outcome.map_err(|error| wrap(error, self.made(), elapsed))
    }

    fn planned(&self) -> Option<&attempts::Attempts> {
        match &self.0 {
            State::First(_) => None,
            State::Planned(planned) => Some(&planned.attempts),
        }
    }
}

/// Waits.
pub async fn pause(wait: Duration) {
    sleep::pause(wait).await;
}

/// Waits, blocking the thread.
pub fn pause_blocking(wait: Duration) {
    sleep::pause_blocking(wait);
}

/// Tells the user's hook about a wait that follows an error.
pub fn before_sleep<T, E>(outcome: &Result<T, E>, attempt: u32, wait: Duration, hook: impl Fn(u32, &E, Duration)) {
    if let Err(error) = outcome {
        hook(attempt, error, wait);
    }
}

// What a retried function returns.

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

// Predicates.

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

// Whether an error can be judged without a predicate.

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

// Arguments by value.

pub struct Copies<'a, T>(pub &'a T);

pub struct NotClone<T>(PhantomData<T>);

pub struct Duplicate<T>(T);

// The argument is a parameter, not `Self`: the compiler would propose to demand this trait of a generic argument.
#[diagnostic::on_unimplemented(
    message = "`{T}` is taken by value and retried, so it must be `Clone`",
    label = "each attempt gets a clone of this argument",
    note = "take a reference (`&{T}`, `&mut {T}`), or share it in an `Arc`"
)]
pub trait Again<T> {
    /// Never called: nothing implements this.
    fn again(not: NotClone<T>) -> T;
}

pub trait Duplicated {
    type Value;
    fn into_value(self) -> Self::Value;
}

impl<T> Duplicated for Duplicate<T> {
    type Value = T;
    fn into_value(self) -> T {
        self.0
    }
}

impl<T> Duplicated for NotClone<T>
where
    Known: Again<T>,
{
    type Value = T;
    fn into_value(self) -> T {
        Known::again(self)
    }
}

pub fn owned<D: Duplicated>(duplicate: D) -> D::Value {
    duplicate.into_value()
}

impl<T: Clone> Copies<'_, T> {
    pub fn duplicate(&self) -> Duplicate<T> {
        Duplicate(self.0.clone())
    }
}

/// An extractor that is not `Clone` itself, but may be duplicated with what it holds.
pub trait DuplicateInside {
    type Of;
    fn duplicate(self) -> Duplicate<Self::Of>;
}

/// By value, so that method lookup finds it before the others.
#[cfg(feature = "axum")]
impl<T: Clone> DuplicateInside for Copies<'_, axum::extract::Path<T>> {
    type Of = axum::extract::Path<T>;
    fn duplicate(self) -> Duplicate<Self::Of> {
        Duplicate(axum::extract::Path(self.0.0.clone()))
    }
}

pub trait CannotDuplicate {
    type Of;
    fn duplicate(&self) -> NotClone<Self::Of>;
}

impl<T> CannotDuplicate for Copies<'_, T> {
    type Of = T;
    fn duplicate(&self) -> NotClone<T> {
        NotClone(PhantomData)
    }
}

// What can be made of the error type.

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
pub struct OutcomeType<O>(PhantomData<O>);

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

/// That it is no `Result` is said by [`outcome`], once.
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
