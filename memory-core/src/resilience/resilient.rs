//! All policies around one call, by hand.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use super::{Bulkhead, CircuitBreaker, Guards, Hedge, RateLimiter, is_failure};
use crate::{
    error::{FmError, Kind},
    retry::{
        AsError, Predicate, Retry,
        number::lenient,
        policy::{Delays, Expires, GivesUp, Notified, within},
    },
    stats::{Event, Ledger},
    time::IntoDuration,
};

/// Begins a call with policies around it; without any it is the call alone.
///
/// The steps may be given in any order. They apply in this one, outermost first: [`fallback`](Resilient::fallback),
/// [`timeout`](Resilient::timeout), [`retry`](Resilient::retry), [`hedge`](Resilient::hedge), and around each single attempt
/// [`circuit_breaker`](Resilient::circuit_breaker), [`rate_limit`](Resilient::rate_limit), [`bulkhead`](Resilient::bulkhead),
/// [`attempt_timeout`](Resilient::attempt_timeout).
///
/// # Examples
///
/// ```
/// use memory_core::{Bulkhead, CircuitBreaker, FmError, fixed, is_retryable_error, resilient, retry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FmError> {
/// let breaker = CircuitBreaker::builder().name("rates").build()?;
/// let bulkhead = Bulkhead::builder().max_concurrent(10).build()?;
/// let rate = resilient()
///     .fallback(|_: FmError| Ok(1.0))
///     .timeout(30)
///     .retry(retry().wait(fixed(0.2)).when(is_retryable_error))
///     .circuit_breaker(&breaker)
///     .bulkhead(&bulkhead)
///     .attempt_timeout(2)
///     .run(|| async { Ok::<_, FmError>(1.1) })
///     .await?;
/// assert_eq!(rate, 1.1);
/// # Ok(()) }
/// ```
pub fn resilient() -> Resilient<NoFallback, Once, Judged> {
    Resilient {
        fallback: NoFallback,
        repeats: Once,
        judge: Judged,
        timeout: None,
        hedge: None,
        guards: Guards::default(),
        name: None,
    }
}

/// A call with policies around it; see [`resilient`](crate::resilient()).
#[derive(Clone, Debug)]
#[must_use = "policies do nothing until `run`"]
pub struct Resilient<Fallback, Repeats, Judge> {
    fallback: Fallback,
    repeats: Repeats,
    judge: Judge,
    timeout: Option<Duration>,
    hedge: Option<Hedge>,
    guards: Guards,
    name: Option<String>,
}

impl<Fallback, Repeats, Judge> Resilient<Fallback, Repeats, Judge> {
    /// Answers an error, whichever policy it is from: with a value, or with an error after all.
    pub fn fallback<T, E, F: FnOnce(E) -> Result<T, E>>(self, fallback: F) -> Resilient<Answer<F>, Repeats, Judge> {
        let Self { repeats, judge, timeout, hedge, guards, name, .. } = self;
        Resilient { fallback: Answer(fallback), repeats, judge, timeout, hedge, guards, name }
    }

    /// Ends everything inside of it after this much time, waits and retries included. Seconds or a `Duration`.
    pub fn timeout(mut self, length: impl IntoDuration) -> Self {
        self.timeout = Some(lenient(length));
        self
    }

    /// Repeats what fails, by this policy.
    pub fn retry<When, Hook, Exhausted, Timed, Delay>(
        self,
        policy: Retry<When, Hook, Exhausted, Timed, Delay>,
    ) -> Resilient<Fallback, Retry<When, Hook, Exhausted, Timed, Delay>, Judge> {
        let Self { fallback, judge, timeout, hedge, guards, name, .. } = self;
        Resilient { fallback, repeats: policy, judge, timeout, hedge, guards, name }
    }

    /// Makes another call where one takes long. Each is guarded for itself.
    pub fn hedge(mut self, hedge: impl Into<Hedge>) -> Self {
        self.hedge = Some(hedge.into());
        self
    }

    /// Refuses attempts while this breaker is open.
    pub fn circuit_breaker(mut self, breaker: impl Into<CircuitBreaker>) -> Self {
        self.guards.breaker = Some(breaker.into());
        self
    }

    /// Which errors count as failures for the circuit breaker, instead of all but the caller's own mistakes.
    pub fn failure_on<E, F: Fn(&E) -> bool>(self, failure: F) -> Resilient<Fallback, Repeats, JudgedBy<E, F>> {
        let Self { fallback, repeats, timeout, hedge, guards, name, .. } = self;
        Resilient { fallback, repeats, judge: JudgedBy(failure, PhantomData), timeout, hedge, guards, name }
    }

    /// Each attempt takes a token of this limiter.
    pub fn rate_limit(mut self, limiter: impl Into<RateLimiter>) -> Self {
        self.guards.limiter = Some(limiter.into());
        self
    }

    /// Each attempt takes room in this bulkhead.
    pub fn bulkhead(mut self, bulkhead: impl Into<Bulkhead>) -> Self {
        self.guards.bulkhead = Some(bulkhead.into());
        self
    }

    /// Ends a single attempt after this much time, not counting what it waited for its turn. Seconds or a `Duration`.
    pub fn attempt_timeout(mut self, length: impl IntoDuration) -> Self {
        self.guards.timeout = Some(lenient(length));
        self
    }

    /// Names the call in the log and in [`FmStats::resilience`](crate::FmStats::resilience).
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Makes the call within its policies; `operation` is called once for each attempt that they let through.
    ///
    /// # Errors
    ///
    /// The call's own, or what a policy makes of an [`FmError`]: [`is_timeout`](FmError::is_timeout),
    /// [`is_circuit_open`](FmError::is_circuit_open), [`is_rate_limited`](FmError::is_rate_limited),
    /// [`is_bulkhead_full`](FmError::is_bulkhead_full).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the calls under way, and gives back what they hold of every policy.
    pub async fn run<T, E, F, Fut, View, How>(mut self, operation: F) -> Result<T, E>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<FmError>,
        Fallback: Answers<T, E>,
        Repeats: Repeated<T, E, How>,
        Judge: Judges<E, View>,
    {
        let ledger = Ledger::named(self.name.as_deref().unwrap_or("resilient"));
        self.guards.ledger = Some(ledger.clone());
        let Self { fallback, repeats, judge, timeout, hedge, guards, .. } = self;
        let call = Arc::new(Call { operation, judge, guards, hedge });
        let repeated = repeats.repeated(move || Arc::clone(&call).hedged());
        let outcome = match timeout {
            Some(length) => within_total(&ledger, length, repeated, E::from).await,
            None => repeated.await,
        };
        outcome.or_else(|error| {
            if Fallback::ANSWERS {
                ledger.note(Event::Fallback);
            }
            fallback.answer(error)
        })
    }
}

/// What is repeated. Shared by the attempts and not borrowed from the caller, so that their futures are of one type
/// whatever their lifetime, and can be `Send`.
struct Call<Operation, Judge> {
    operation: Operation,
    judge: Judge,
    guards: Guards,
    hedge: Option<Hedge>,
}

impl<Operation, Judge> Call<Operation, Judge> {
    async fn hedged<T, E, Fut, View>(self: Arc<Self>) -> Result<T, E>
    where
        Operation: Fn() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<FmError>,
        Judge: Judges<E, View>,
    {
        match self.hedge.clone() {
            Some(hedge) => hedge.run(move || Arc::clone(&self).guarded()).await,
            None => self.guarded().await,
        }
    }

    async fn guarded<T, E, Fut, View>(self: Arc<Self>) -> Result<T, E>
    where
        Operation: Fn() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<FmError>,
        Judge: Judges<E, View>,
    {
        self.guards.run(&self.operation, |error: &E| self.judge.is_failure(error), E::from).await
    }
}

/// Ends a call that takes longer in all.
pub(crate) async fn within_total<T, E>(
    ledger: &Ledger,
    length: Duration,
    call: impl Future<Output = Result<T, E>>,
    refused: impl FnOnce(FmError) -> E,
) -> Result<T, E> {
    within(length, call).await.unwrap_or_else(|| {
        ledger.note(Event::TimedOut { limit: "total" });
        Err(refused(FmError::new(Kind::Timeout, "the call took longer than its timeout")))
    })
}

/// Errors are returned.
#[derive(Clone, Copy, Debug)]
pub struct NoFallback;

/// Errors are answered.
#[derive(Clone, Copy)]
pub struct Answer<F>(F);

/// What fails is not repeated.
#[derive(Clone, Copy, Debug)]
pub struct Once;

/// All errors but the caller's mistakes are failures.
#[derive(Clone, Copy, Debug)]
pub struct Judged;

/// A function says which errors are failures.
#[derive(Clone, Copy)]
pub struct JudgedBy<E, F>(F, PhantomData<fn(&E)>);

/// What answers an error.
pub trait Answers<T, E> {
    /// Whether it does anything.
    const ANSWERS: bool;

    /// What is returned for it.
    fn answer(self, error: E) -> Result<T, E>;
}

/// How often a call is made.
pub trait Repeated<T, E, How> {
    /// Makes it so often.
    fn repeated<F, Fut>(self, call: F) -> impl Future<Output = Result<T, E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>;
}

/// Which errors count for a circuit breaker.
#[diagnostic::on_unimplemented(
    message = "`{E}` can't be judged: it is unknown which of these errors are failures",
    label = "say which: `.failure_on(|error: &{E}| ..)`"
)]
pub trait Judges<E, View> {
    /// Whether this one does.
    fn is_failure(&self, error: &E) -> bool;
}

impl<T, E> Answers<T, E> for NoFallback {
    const ANSWERS: bool = false;

    fn answer(self, error: E) -> Result<T, E> {
        Err(error)
    }
}

impl<T, E, F: FnOnce(E) -> Result<T, E>> Answers<T, E> for Answer<F> {
    const ANSWERS: bool = true;

    fn answer(self, error: E) -> Result<T, E> {
        (self.0)(error)
    }
}

impl<T, E> Repeated<T, E, ()> for Once {
    fn repeated<F, Fut>(self, mut call: F) -> impl Future<Output = Result<T, E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        call()
    }
}

impl<T, E, How, When, Hook, Exhausted, Timed, Delay> Repeated<T, E, How> for Retry<When, Hook, Exhausted, Timed, Delay>
where
    When: Predicate<T, E, How>,
    Hook: Notified<E>,
    Exhausted: GivesUp<E>,
    Timed: Expires<E>,
    Delay: Delays<E>,
{
    fn repeated<F, Fut>(self, call: F) -> impl Future<Output = Result<T, E>>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run(call)
    }
}

impl<E: AsError<View>, View> Judges<E, View> for Judged {
    fn is_failure(&self, error: &E) -> bool {
        is_failure(error.as_error())
    }
}

impl<E, F: Fn(&E) -> bool> Judges<E, ()> for JudgedBy<E, F> {
    fn is_failure(&self, error: &E) -> bool {
        (self.0)(error)
    }
}
