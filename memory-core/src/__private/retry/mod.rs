//! What the expansions of `#[retry]`, `#[default_retry]` and `#[derive(Retryable)]` call.
//!
//! What a type can do is asked by method resolution: the first candidate whose bounds hold wins, and the last one takes
//! every type and answers with a marker. A free function then has the bound that the marker lacks, so that the compiler
//! reports it in the words given here, at the tokens of the user.

mod again;
mod judge;
mod made;

use std::{
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

pub use ::std;

pub use self::{again::*, judge::*, made::*};
use crate::{
    FmError, IntoDuration,
    retry::{
        Around, Jitter, RetryBudget, Stop, Wait,
        attempts::{self, Limit},
        number::lenient,
        policy, sleep,
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

/// Makes a call's error of the last one, with a [`RetryError`](crate::RetryError) around it.
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
