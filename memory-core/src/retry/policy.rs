//! Retrying by hand: `retry().stop(..).wait(..).when(..).run(..)`.

use std::{error::Error, marker::PhantomData, ops::ControlFlow, time::Duration};

use super::{
    attempts::{Limit, Plan},
    budget::RetryBudget,
    error::RetryError,
    number::lenient,
    predicate::Predicate,
    run::{Rules, Run},
    sleep::pause_blocking,
    stop::{Stop, stop_after_retries},
    wait::{Jitter, Wait, no_wait},
};
use crate::{
    error::{FmError, Kind},
    stats::Ledger,
    time::IntoDuration,
};

/// A retry policy under construction; [`retry`] begins one, [`run`](Retry::run) uses it.
///
/// The type parameters follow from what is said: `When` from [`when`](Retry::when), `Hook` from
/// [`before_sleep`](Retry::before_sleep), `Exhausted` from [`reraise`](Retry::reraise), `Timed` from
/// [`attempt_timeout`](Retry::attempt_timeout) and [`deadline`](Retry::deadline), `Delay` from [`delay`](Retry::delay).
#[derive(Clone, Debug)]
#[must_use = "a policy does nothing until `.run(..)`"]
pub struct Retry<When = Unsaid, Hook = Silent, Exhausted = Original, Timed = Untimed, Delay = Unasked> {
    plan: Plan,
    when: When,
    hook: Hook,
    exhausted: Exhausted,
    timed: Timed,
    delay: Delay,
}

/// Begins a retry policy.
///
/// # Default
///
/// 3 calls in all, no wait, no jitter, no budget, the last error as it is. Which outcomes to repeat has to be said:
/// [`when`](Retry::when).
///
/// # Examples
///
/// ```
/// use std::io;
/// use memory_core::{exponential_backoff, is_retryable_error, retry, stop_after_delay, stop_after_retries};
///
/// # async fn fetch() -> io::Result<u8> { Ok(7) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// let value = retry()
///     .stop(stop_after_retries(5) | stop_after_delay(60))
///     .wait(exponential_backoff().min(2).max(30))
///     .when(is_retryable_error)
///     .run(|| async { fetch().await })
///     .await?;
/// # assert_eq!(value, 7);
/// # Ok(())
/// # }
/// ```
pub fn retry() -> Retry {
    let plan = Plan::new(stop_after_retries(3), no_wait());
    Retry { plan, when: Unsaid, hook: Silent, exhausted: Original, timed: Untimed, delay: Unasked }
}

impl<When, Hook, Exhausted, Timed, Delay> Retry<When, Hook, Exhausted, Timed, Delay> {
    /// When to give up.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.plan.stop = stop;
        self
    }

    /// How long to wait between calls.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.plan.wait = wait;
        self
    }

    /// How to spread the waits.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.plan.jitter = jitter;
        self
    }

    /// Makes every random draw repeatable: the same seed gives the same waits.
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = Some(seed);
        self
    }

    /// What the retries are paid from; clones of a [`RetryBudget`] are one budget. Without one there is no bound.
    pub fn budget(mut self, budget: impl Into<RetryBudget>) -> Self {
        self.plan.budget = budget.into();
        self
    }

    /// Names the policy in the log and in [`FmStats::resilience`](crate::FmStats::resilience).
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.plan.ledger = Some(Ledger::named(name.as_ref()));
        self
    }

    /// The longest delay that is waited for where an error asks for one; beyond it the error is returned at once. 300 s
    /// by default. See [`delay`](Retry::delay).
    pub fn max_delay(mut self, delay: impl IntoDuration) -> Self {
        self.plan.longest_delay = lenient(delay);
        self
    }

    /// Lets an error say how long to wait before the next call, instead of [`wait`](Retry::wait); `None`: as usual.
    ///
    /// # Examples
    ///
    /// ```
    /// use memory_core::{FmError, retry, retry_after_hint};
    ///
    /// # async fn call() -> Result<u8, FmError> { Ok(1) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let policy = retry().when(|_: &FmError| true).delay(|error: &FmError| retry_after_hint(error));
    /// # assert_eq!(policy.clone().run(call).await.unwrap(), 1);
    /// # }
    /// ```
    pub fn delay<E, F: Fn(&E) -> Option<Duration>>(
        self,
        delay: F,
    ) -> Retry<When, Hook, Exhausted, Timed, Asking<E, F>> {
        let Self { plan, when, hook, exhausted, timed, .. } = self;
        Retry { plan, when, hook, exhausted, timed, delay: Asking(delay, PhantomData) }
    }

    /// Which outcomes to repeat: a function of the error (`|error: &AppError| ..`, [`is_retryable_error`]) or a block
    /// ([`retry_on_status`], [`retry_on_result`], …).
    ///
    /// [`is_retryable_error`]: crate::is_retryable_error
    /// [`retry_on_status`]: crate::retry_on_status
    /// [`retry_on_result`]: crate::retry_on_result
    pub fn when<P>(self, predicate: P) -> Retry<P, Hook, Exhausted, Timed, Delay> {
        let Self { plan, hook, exhausted, timed, delay, .. } = self;
        Retry { plan, when: predicate, hook, exhausted, timed, delay }
    }

    /// Calls `hook` before each wait that follows an error, with the number of the call that failed (from 1), its
    /// error and the wait.
    pub fn before_sleep<E, F: Fn(u32, &E, Duration)>(
        self,
        hook: F,
    ) -> Retry<When, Calling<E, F>, Exhausted, Timed, Delay> {
        let Self { plan, when, exhausted, timed, delay, .. } = self;
        Retry { plan, when, hook: Calling(hook, PhantomData), exhausted, timed, delay }
    }

    /// Whether exhausted retries end with the last error as it is (`true`, the default) or with a [`RetryError`]
    /// around it; then the error type must be `From<RetryError>`.
    pub fn reraise(self, reraise: bool) -> Retry<When, Hook, Wrapping, Timed, Delay> {
        let Self { plan, when, hook, timed, delay, .. } = self;
        Retry { plan, when, hook, exhausted: Wrapping { reraise }, timed, delay }
    }

    /// Ends a single call that takes longer; it is then repeated, whatever the predicate says of timeouts.
    ///
    /// Needs an error type that is `From<FmError>`. [`run_blocking`](Retry::run_blocking) can't end a call.
    pub fn attempt_timeout(mut self, timeout: impl IntoDuration) -> Retry<When, Hook, Exhausted, Limited, Delay> {
        self.plan.attempt_timeout = Some(lenient(timeout));
        self.limited()
    }

    /// Ends everything after this much time: no wait reaches beyond it, and a call still running then is ended.
    ///
    /// Needs an error type that is `From<FmError>`. [`run_blocking`](Retry::run_blocking) can't end a call, but begins
    /// none after the deadline.
    pub fn deadline(mut self, deadline: impl IntoDuration) -> Retry<When, Hook, Exhausted, Limited, Delay> {
        self.plan.deadline = Some(lenient(deadline));
        self.limited()
    }

    fn limited(self) -> Retry<When, Hook, Exhausted, Limited, Delay> {
        let Self { plan, when, hook, exhausted, delay, .. } = self;
        Retry { plan, when, hook, exhausted, timed: Limited, delay }
    }

    /// Calls `operation` until an outcome is not to be repeated, or the policy gives up.
    ///
    /// # Errors
    ///
    /// An error that is not to be repeated, or the last one; see [`reraise`](Retry::reraise). When the last outcome
    /// is an `Ok` that [`retry_on_result`](crate::retry_on_result) asked to repeat, it is the result.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the call under way or the wait; no further call is made.
    pub fn run<T, E, How, F, Fut>(self, operation: F) -> Ruled<When, Hook, Exhausted, Delay, T, E, F, Fut>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        When: Predicate<T, E, How>,
        Hook: Notified<E>,
        Exhausted: GivesUp<E>,
        Timed: Expires<E>,
        Delay: Delays<E>,
    {
        let Self { plan, when, hook, exhausted, timed, delay } = self;
        Run::new(plan, timed.error(), Rules::new(when, hook, exhausted, delay), operation)
    }

    /// As [`run`](Retry::run), for a plain function: the waits block the thread.
    ///
    /// # Errors
    ///
    /// As [`run`](Retry::run).
    pub fn run_blocking<T, E, How, F>(self, mut operation: F) -> Result<T, E>
    where
        F: FnMut() -> Result<T, E>,
        When: Predicate<T, E, How>,
        Hook: Notified<E>,
        Exhausted: GivesUp<E>,
        Delay: Delays<E>,
    {
        let (mut attempts, rules) = (self.plan.begin(), Rules::new(self.when, self.hook, self.exhausted, self.delay));
        loop {
            let outcome = attempts.surroundings().sync_scope(&mut operation);
            match rules.after(&mut attempts, outcome, None) {
                ControlFlow::Continue(wait) => pause_blocking(wait),
                ControlFlow::Break(outcome) => return outcome,
            }
        }
    }
}

/// The output, unless it takes longer than `length`.
pub(crate) async fn within<Output>(length: Duration, attempt: impl Future<Output = Output>) -> Option<Output> {
    tokio::time::timeout(length, attempt).await.ok()
}

/// The error of an attempt that was cut.
pub(crate) fn expired(limit: Limit) -> FmError {
    FmError::new(
        Kind::Timeout,
        match limit {
            Limit::Attempt => "the attempt took longer than its timeout",
            Limit::Deadline => "the deadline of the retries has passed",
        },
    )
}

type Ruled<When, Hook, Exhausted, Delay, T, E, F, Fut> = Run<Rules<When, Hook, Exhausted, Delay, T, E>, F, Fut, E>;

/// No [`when`](Retry::when) yet.
#[derive(Clone, Copy, Debug)]
pub struct Unsaid;

/// No hook.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

/// A hook.
#[derive(Clone)]
pub struct Calling<E, F>(F, PhantomData<fn(&E)>);

/// Errors say nothing of waits.
#[derive(Clone, Copy, Debug)]
pub struct Unasked;

/// Errors are asked how long to wait.
#[derive(Clone)]
pub struct Asking<E, F>(F, PhantomData<fn(&E)>);

/// Exhausted retries end with the last error.
#[derive(Clone, Copy, Debug)]
pub struct Original;

/// Exhausted retries end with the last error or a [`RetryError`] around it.
#[derive(Clone, Copy, Debug)]
pub struct Wrapping {
    reraise: bool,
}

/// Calls may take as long as they like.
#[derive(Clone, Copy, Debug)]
pub struct Untimed;

/// Calls are ended by a timeout or a deadline.
#[derive(Clone, Copy, Debug)]
pub struct Limited;

/// Who is told about a wait.
pub trait Notified<E> {
    /// Call `attempt` failed with `error`; `wait` follows.
    fn notified(&self, attempt: u32, error: &E, wait: Duration);
}

/// How long an error asks to wait.
pub trait Delays<E> {
    /// `None`: it does not say.
    fn delay(&self, error: &E) -> Option<Duration>;
}

/// What exhausted retries end with.
#[diagnostic::on_unimplemented(
    message = "`reraise` needs an error type that a `RetryError` can become: `{E}: From<RetryError>`",
    label = "implement `From<memory_core::RetryError>` for `{E}`, or remove `.reraise(..)`",
    note = "the last error becomes its source, so `{E}` must also be `Into<Box<dyn Error + Send + Sync>>`"
)]
pub trait GivesUp<E> {
    /// The error to return.
    fn give_up(&self, error: E, attempts: u32, elapsed: Duration) -> E;
}

/// Whether calls can be ended, and how the timeout becomes the error of the call.
#[diagnostic::on_unimplemented(
    message = "`attempt_timeout` and `deadline` need an error type that a timeout can become: `{E}: From<FmError>`",
    label = "implement `From<memory_core::FmError>` for `{E}`, or remove the limit"
)]
pub trait Expires<E> {
    /// Makes the call's error of a timeout; `None`: calls are never ended.
    fn error(&self) -> Option<fn(FmError) -> E>;
}

impl<E> Notified<E> for Silent {
    fn notified(&self, _: u32, _: &E, _: Duration) {}
}

impl<E, F: Fn(u32, &E, Duration)> Notified<E> for Calling<E, F> {
    fn notified(&self, attempt: u32, error: &E, wait: Duration) {
        (self.0)(attempt, error, wait);
    }
}

impl<E> Delays<E> for Unasked {
    fn delay(&self, _: &E) -> Option<Duration> {
        None
    }
}

impl<E, F: Fn(&E) -> Option<Duration>> Delays<E> for Asking<E, F> {
    fn delay(&self, error: &E) -> Option<Duration> {
        (self.0)(error)
    }
}

impl<E> GivesUp<E> for Original {
    fn give_up(&self, error: E, _: u32, _: Duration) -> E {
        error
    }
}

#[diagnostic::do_not_recommend]
impl<E: From<RetryError> + Into<Box<dyn Error + Send + Sync>>> GivesUp<E> for Wrapping {
    fn give_up(&self, error: E, attempts: u32, elapsed: Duration) -> E {
        if self.reraise { error } else { RetryError::new(attempts, elapsed, error.into()).into() }
    }
}

impl<E> Expires<E> for Untimed {
    fn error(&self) -> Option<fn(FmError) -> E> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<E: From<FmError>> Expires<E> for Limited {
    fn error(&self) -> Option<fn(FmError) -> E> {
        Some(E::from)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, io};

    use tokio::time::Instant;

    use super::*;
    use crate::retry::{is_retryable_error, retry_on_error, retry_on_result, retry_on_status, stop_never};

    fn broken() -> io::Error {
        io::ErrorKind::ConnectionReset.into()
    }

    #[tokio::test(start_paused = true)]
    async fn the_defaults_are_three_calls_without_waits() {
        let (calls, began) = (Cell::new(0), Instant::now());
        let outcome: io::Result<()> = retry()
            .when(is_retryable_error)
            .run(|| {
                calls.set(calls.get() + 1);
                async { Err(broken()) }
            })
            .await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!((calls.get(), began.elapsed()), (3, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn every_kind_of_predicate_is_taken() {
        async fn once<P, How>(predicate: P) -> u32
        where
            P: Predicate<u8, io::Error, How>,
        {
            let calls = Cell::new(0);
            let count = || calls.set(calls.get() + 1);
            let _ = retry().when(predicate).run(|| async { Err(broken()) }.inspect_start(count)).await;
            calls.get()
        }
        assert_eq!(once(|_| true).await, 3);
        assert_eq!(once(|_| false).await, 1);
        assert_eq!(once(|_: &io::Error| true).await, 3);
        assert_eq!(once(|_: &io::Error| false).await, 1);
        assert_eq!(once(is_retryable_error).await, 3);
        assert_eq!(once(retry_on_error(is_retryable_error)).await, 3);
        assert_eq!(once(retry_on_status([404])).await, 3);
        assert_eq!(once(retry_on_result(|_: &u8| true)).await, 1);
        assert_eq!(once(retry_on_result(|_: &u8| true) | retry_on_error(|_: &io::Error| true)).await, 3);
        assert_eq!(once(retry_on_status([404]) & (|_: &io::Error| false)).await, 1);
    }

    /// Counts a call when it begins.
    trait InspectStart: Future + Sized {
        fn inspect_start(self, count: impl FnOnce()) -> Self {
            count();
            self
        }
    }
    impl<F: Future> InspectStart for F {}

    #[tokio::test(start_paused = true)]
    async fn a_deadline_cuts_the_call_under_way() {
        let began = Instant::now();
        let outcome: Result<(), FmError> = retry()
            .stop(stop_never())
            .when(|_: &FmError| true)
            .deadline(5)
            .run(|| async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Err(FmError::new(Kind::Backend, "down"))
            })
            .await;
        assert!(outcome.unwrap_err().is_timeout());
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_was_cut_is_gone_before_the_hook_hears_of_it() {
        struct Held<'a>(&'a Cell<u32>);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        let (held, heard) = (Cell::new(0), Cell::new(0));
        let outcome: Result<(), FmError> = retry()
            .attempt_timeout(1)
            .when(|_: &FmError| false)
            .before_sleep(|_, error: &FmError, _| {
                assert!(error.is_timeout() && held.get() == 0);
                heard.set(heard.get() + 1);
            })
            .run(|| async {
                held.set(held.get() + 1);
                let _held = Held(&held);
                std::future::pending().await
            })
            .await;
        assert!(outcome.unwrap_err().is_timeout());
        assert_eq!(heard.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_has_ended_does_not_call_again() {
        let calls = Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            async { Ok::<_, io::Error>(7) }
        };
        let mut run = std::pin::pin!(retry().when(is_retryable_error).run(call));
        assert_eq!(run.as_mut().await.unwrap(), 7);
        let again = tokio::time::timeout(Duration::from_millis(1), run).await;
        assert!(again.is_err() && calls.get() == 1);
    }

    // Without the feature it would wait two hours.
    #[cfg(feature = "test-util")]
    #[tokio::test(start_paused = true)]
    async fn blocking_waits_move_a_paused_clock() {
        let began = Instant::now();
        let outcome: io::Result<()> =
            retry().wait(crate::retry::fixed(3600)).when(is_retryable_error).run_blocking(|| Err(broken()));
        assert!(outcome.is_err());
        assert_eq!(began.elapsed(), Duration::from_secs(7200));
    }
}
