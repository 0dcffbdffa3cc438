//! Retrying by hand: `retry().stop(..).wait(..).when(..).run(..)`.

use std::{error::Error, marker::PhantomData, time::Duration};

use super::{
    attempts::{Attempts, Limit, Plan},
    error::RetryError,
    number::lenient,
    predicate::Predicate,
    sleep::{pause, pause_blocking},
    stop::{Stop, stop_after_retries},
    wait::{Jitter, Wait, no_wait},
};
use crate::{
    error::{FmError, Kind},
    time::IntoDuration,
};

/// A retry policy under construction; [`retry`] begins one, [`run`](Retry::run) uses it.
///
/// The type parameters follow from what is said: `When` from [`when`](Retry::when), `Hook` from
/// [`before_sleep`](Retry::before_sleep), `Exhausted` from [`reraise`](Retry::reraise), `Timed` from
/// [`attempt_timeout`](Retry::attempt_timeout) and [`deadline`](Retry::deadline).
#[derive(Clone, Debug)]
#[must_use = "a policy does nothing until `.run(..)`"]
pub struct Retry<When = Unsaid, Hook = Silent, Exhausted = Original, Timed = Untimed> {
    plan: Plan,
    when: When,
    hook: Hook,
    exhausted: Exhausted,
    timed: Timed,
}

/// Begins a retry policy.
///
/// # Default
///
/// 3 calls in all, no wait, no jitter, the last error as it is. Which outcomes to repeat has to be said:
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
    Retry { plan, when: Unsaid, hook: Silent, exhausted: Original, timed: Untimed }
}

impl<When, Hook, Exhausted, Timed> Retry<When, Hook, Exhausted, Timed> {
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

    /// Which outcomes to repeat: a function of the error (`|error: &AppError| ..`, [`is_retryable_error`]) or a block
    /// ([`retry_on_status`], [`retry_on_result`], …).
    ///
    /// [`is_retryable_error`]: crate::is_retryable_error
    /// [`retry_on_status`]: crate::retry_on_status
    /// [`retry_on_result`]: crate::retry_on_result
    pub fn when<P>(self, predicate: P) -> Retry<P, Hook, Exhausted, Timed> {
        let Self { plan, hook, exhausted, timed, .. } = self;
        Retry { plan, when: predicate, hook, exhausted, timed }
    }

    /// Calls `hook` before each wait that follows an error, with the number of the call that failed (from 1), its
    /// error and the wait.
    pub fn before_sleep<E, F: Fn(u32, &E, Duration)>(self, hook: F) -> Retry<When, Calling<E, F>, Exhausted, Timed> {
        let Self { plan, when, exhausted, timed, .. } = self;
        Retry { plan, when, hook: Calling(hook, PhantomData), exhausted, timed }
    }

    /// Whether exhausted retries end with the last error as it is (`true`, the default) or with a [`RetryError`]
    /// around it; then the error type must be `From<RetryError>`.
    pub fn reraise(self, reraise: bool) -> Retry<When, Hook, Wrapping, Timed> {
        let Self { plan, when, hook, timed, .. } = self;
        Retry { plan, when, hook, exhausted: Wrapping { reraise }, timed }
    }

    /// Ends a single call that takes longer; it is then repeated, whatever the predicate says of timeouts.
    ///
    /// Needs an error type that is `From<FmError>`. [`run_blocking`](Retry::run_blocking) can't end a call.
    pub fn attempt_timeout(mut self, timeout: impl IntoDuration) -> Retry<When, Hook, Exhausted, Limited> {
        self.plan.attempt_timeout = Some(lenient(timeout));
        self.limited()
    }

    /// Ends everything after this much time: no wait reaches beyond it, and a call still running then is ended.
    ///
    /// Needs an error type that is `From<FmError>`. [`run_blocking`](Retry::run_blocking) can't end a call, but begins
    /// none after the deadline.
    pub fn deadline(mut self, deadline: impl IntoDuration) -> Retry<When, Hook, Exhausted, Limited> {
        self.plan.deadline = Some(lenient(deadline));
        self.limited()
    }

    fn limited(self) -> Retry<When, Hook, Exhausted, Limited> {
        let Self { plan, when, hook, exhausted, .. } = self;
        Retry { plan, when, hook, exhausted, timed: Limited }
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
    pub async fn run<T, E, How, F, Fut>(self, mut operation: F) -> Result<T, E>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        When: Predicate<T, E, How>,
        Hook: Notified<E>,
        Exhausted: GivesUp<E>,
        Timed: Expires<E>,
    {
        let Self { plan, when, hook, exhausted, timed } = self;
        let mut attempts = plan.begin();
        loop {
            // A scope of its own: the outcome must not live on during the wait, or it would have to be `Send`.
            let wait = {
                let (outcome, limit) = timed_out(&timed, &attempts, operation()).await;
                attempts.count();
                let again = match limit {
                    Some(Limit::Deadline) => return give_up(&exhausted, &attempts, outcome),
                    Some(Limit::Attempt) => true,
                    None => when.asks_for_retry(&outcome),
                };
                if !again {
                    return outcome;
                }
                let Some(wait) = attempts.next_wait() else { return give_up(&exhausted, &attempts, outcome) };
                announce(&hook, &attempts, &outcome, wait);
                wait
            };
            pause(wait).await;
        }
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
    {
        let mut attempts = self.plan.begin();
        loop {
            let outcome = operation();
            attempts.count();
            if !self.when.asks_for_retry(&outcome) {
                return outcome;
            }
            let Some(wait) = attempts.next_wait() else { return give_up(&self.exhausted, &attempts, outcome) };
            announce(&self.hook, &attempts, &outcome, wait);
            drop(outcome);
            pause_blocking(wait);
        }
    }
}

/// Runs one attempt within its limit; an attempt that was cut has the timeout for its outcome.
async fn timed_out<T, E>(
    timed: &impl Expires<E>,
    attempts: &Attempts,
    attempt: impl Future<Output = Result<T, E>>,
) -> (Result<T, E>, Option<Limit>) {
    let (Some((length, limit)), Some(error)) = (attempts.limit(), timed.error()) else { return (attempt.await, None) };
    match within(length, attempt).await {
        Some(outcome) => (outcome, None),
        None => (Err(error(expired(limit))), Some(limit)),
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

fn give_up<T, E>(exhausted: &impl GivesUp<E>, attempts: &Attempts, outcome: Result<T, E>) -> Result<T, E> {
    outcome.map_err(|error| exhausted.give_up(error, attempts.made(), attempts.elapsed()))
}

/// Tells the log and the hook.
fn announce<T, E>(hook: &impl Notified<E>, attempts: &Attempts, outcome: &Result<T, E>, wait: Duration) {
    log(attempts.made(), wait);
    if let Err(error) = outcome {
        hook.notified(attempts.made(), error, wait);
    }
}

/// Never the error itself: it may carry what must not be logged.
pub(crate) fn log(attempt: u32, wait: Duration) {
    tracing::debug!(attempt, ?wait, "retrying");
}

/// No [`when`](Retry::when) yet.
#[derive(Clone, Copy, Debug)]
pub struct Unsaid;

/// No hook.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

/// A hook.
#[derive(Clone)]
pub struct Calling<E, F>(F, PhantomData<fn(&E)>);

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

/// What exhausted retries end with.
pub trait GivesUp<E> {
    /// The error to return.
    fn give_up(&self, error: E, attempts: u32, elapsed: Duration) -> E;
}

/// Whether calls can be ended, and how the timeout becomes the error of the call.
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

impl<E> GivesUp<E> for Original {
    fn give_up(&self, error: E, _: u32, _: Duration) -> E {
        error
    }
}

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
