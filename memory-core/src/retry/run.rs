//! A policy at work.
//!
//! [`Retry::run`](super::Retry::run) returns a future that has a name, and not one of an `async fn`: of that, the compiler
//! would report an unmet bound at the call, at the future and once more where it is awaited. So its bounds stand nowhere
//! else, and what they let a policy do is kept as functions.

use std::{
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Timeout, timeout};

use super::{
    attempts::{Attempts, Limit, Plan},
    policy::{Delays, GivesUp, Notified, expired},
    predicate::Predicate,
    sleep::pause,
};
use crate::{cache::Surrounded, error::FmError};

/// What a policy says of outcomes.
pub struct Rules<When, Hook, Exhausted, Delay, T, E> {
    when: When,
    hook: Hook,
    exhausted: Exhausted,
    delay: Delay,
    asks: fn(&When, &Result<T, E>) -> bool,
    notify: fn(&Hook, u32, &E, Duration),
    give_up: fn(&Exhausted, E, u32, Duration) -> E,
    delays: fn(&Delay, &E) -> Option<Duration>,
}

impl<When, Hook, Exhausted, Delay, T, E> Rules<When, Hook, Exhausted, Delay, T, E> {
    pub(super) fn new<How>(when: When, hook: Hook, exhausted: Exhausted, delay: Delay) -> Self
    where
        When: Predicate<T, E, How>,
        Hook: Notified<E>,
        Exhausted: GivesUp<E>,
        Delay: Delays<E>,
    {
        let (asks, notify, give_up) = (When::asks_for_retry, Hook::notified, Exhausted::give_up);
        Self { when, hook, exhausted, delay, asks, notify, give_up, delays: Delay::delay }
    }

    /// Counts an attempt, which may have been cut by a limit: another one follows after a wait, or this is the end.
    pub(super) fn after(
        &self,
        attempts: &mut Attempts,
        outcome: Result<T, E>,
        cut: Option<Limit>,
    ) -> ControlFlow<Result<T, E>, Duration> {
        attempts.count();
        if let Some(limit) = cut {
            attempts.was_cut(limit);
        }
        let again = match cut {
            Some(Limit::Deadline) => return ControlFlow::Break(self.exhausted(attempts, outcome)),
            Some(Limit::Attempt) => true,
            None => (self.asks)(&self.when, &outcome),
        };
        if !again {
            return ControlFlow::Break(outcome);
        }
        let delay = outcome.as_ref().err().and_then(|error| (self.delays)(&self.delay, error));
        let Some(wait) = attempts.next_wait(delay) else {
            return ControlFlow::Break(self.exhausted(attempts, outcome));
        };
        self.announce(attempts, &outcome, wait);
        ControlFlow::Continue(wait)
    }

    fn exhausted(&self, attempts: &Attempts, outcome: Result<T, E>) -> Result<T, E> {
        outcome.map_err(|error| (self.give_up)(&self.exhausted, error, attempts.made(), attempts.elapsed()))
    }

    /// Tells the hook.
    fn announce(&self, attempts: &Attempts, outcome: &Result<T, E>, wait: Duration) {
        if let Err(error) = outcome {
            (self.notify)(&self.hook, attempts.made(), error, wait);
        }
    }
}

/// The future of [`Retry::run`](super::Retry::run).
#[must_use = "a retried call does nothing until it is awaited"]
pub struct Run<R, F, Fut, E> {
    plan: Plan,
    /// Begun when the future is first polled.
    attempts: Option<Attempts>,
    /// Makes the error of a call that was ended; `None`: none ever is.
    expire: Option<fn(FmError) -> E>,
    rules: R,
    operation: F,
    step: Step<Fut, E>,
}

/// Where a run stands.
enum Step<Fut, E> {
    /// Before an attempt.
    Next,
    /// In an attempt.
    Attempt(Pin<Box<Surrounded<Fut>>>),
    /// In an attempt that this limit ends, and then with this error.
    Limited(Pin<Box<Timeout<Surrounded<Fut>>>>, Limit, fn(FmError) -> E),
    /// Before the next attempt.
    Wait(Pin<Box<dyn Future<Output = ()> + Send + Sync>>),
    /// No attempt and no wait is under way. A future that has ended stays there, and does not call again.
    Over,
}

impl<Fut: Future, E> Step<Fut, E> {
    fn begin(attempt: Surrounded<Fut>, limit: Option<(Duration, Limit)>, expire: Option<fn(FmError) -> E>) -> Self {
        match (limit, expire) {
            (Some((length, limit)), Some(expire)) => Self::Limited(Box::pin(timeout(length, attempt)), limit, expire),
            _ => Self::Attempt(Box::pin(attempt)),
        }
    }
}

impl<R, F, Fut, E> Run<R, F, Fut, E> {
    pub(super) fn new(plan: Plan, expire: Option<fn(FmError) -> E>, rules: R, operation: F) -> Self {
        Self { plan, attempts: None, expire, rules, operation, step: Step::Next }
    }
}

/// Nothing in it is polled but what is boxed.
impl<R, F, Fut, E> Unpin for Run<R, F, Fut, E> {}

impl<When, Hook, Exhausted, Delay, T, E, F, Fut> Future for Run<Rules<When, Hook, Exhausted, Delay, T, E>, F, Fut, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Result<T, E>> {
        let Self { plan, attempts, expire, rules, operation, step } = self.get_mut();
        let attempts = attempts.get_or_insert_with(|| plan.clone().begin());
        loop {
            let (outcome, cut) = match step {
                Step::Over => return Poll::Pending,
                Step::Next => {
                    let (surroundings, limit) = (attempts.surroundings(), attempts.limit());
                    let attempt = surroundings.clone().sync_scope(&mut *operation);
                    *step = Step::begin(surroundings.scope(attempt), limit, *expire);
                    continue;
                }
                Step::Wait(wait) => {
                    ready!(wait.as_mut().poll(task));
                    *step = Step::Next;
                    continue;
                }
                Step::Attempt(attempt) => (ready!(attempt.as_mut().poll(task)), None),
                Step::Limited(attempt, limit, expire) => match ready!(attempt.as_mut().poll(task)) {
                    Ok(outcome) => (outcome, None),
                    Err(_) => (Err(expire(expired(*limit))), Some(*limit)),
                },
            };
            // An attempt that was cut is gone before anybody hears of it.
            *step = Step::Over;
            match rules.after(attempts, outcome, cut) {
                ControlFlow::Continue(wait) => *step = Step::Wait(Box::pin(pause(wait))),
                ControlFlow::Break(outcome) => return Poll::Ready(outcome),
            }
        }
    }
}
