//! Calls of one function for many ids at once: each is a call of its own, with its own entry and its own run; what they have to ask,
//! of the shared store and of the body, is asked together.

mod entries;
mod gather;
mod round;

use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    task::Poll,
};

use hashbrown::HashTable;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};
use tracing::Instrument;

pub use self::entries::Many;
use self::{
    entries::Entries,
    round::{Done, Round},
};
pub(crate) use self::{entries::EntriesOf, gather::Gathering};
use super::{
    Context, Job,
    engine::Turn,
    outcome::{BodyFuture, Face, Outcome, Share, Verdict},
};

/// One id of a batch, and the call for it.
pub(crate) struct Element<I, S: Outcome, X, H> {
    pub(crate) id: I,
    pub(crate) job: Job<S, X, H>,
    /// Skip the lookup.
    pub(crate) refresh: bool,
}

/// A batch, after its first look into memory.
pub(crate) struct Batch<R: Many, I, S: Outcome, X, H> {
    /// What is answered.
    entries: R::Entries,
    /// What is not, each key once.
    absent: Vec<Element<I, S, X, H>>,
    /// Their places, by their keys.
    places: HashTable<usize>,
    /// What is answered and wants to be refreshed.
    due: Vec<Element<I, S, X, H>>,
    /// Ids whose calls can't be cached.
    past: Vec<I>,
}

impl<R, I, S, X, H> Batch<R, I, S, X, H>
where
    R: Many<One = S::Return, Entries: EntriesOf<I>>,
    I: Clone,
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// For so many ids.
    pub(crate) fn of(count: usize) -> Self {
        let (absent, places, due, past) = (Vec::new(), HashTable::new(), Vec::new(), Vec::new());
        Self { entries: R::Entries::with_room(count), absent, places, due, past }
    }

    /// An answer from memory.
    pub(crate) fn found(&mut self, id: I, one: S::Return) {
        if let Ok(Some(value)) = R::found(one) {
            self.entries.put(id, value);
        }
    }

    /// What is answered and wants to be refreshed.
    pub(crate) fn due(&mut self, element: Element<I, S, X, H>) {
        self.due.push(element);
    }

    /// What memory does not have.
    pub(crate) fn absent(&mut self, element: Element<I, S, X, H>) {
        let (hash, absent) = (element.job.key.as_key().hash(), &self.absent);
        let is_same = |at: &usize| absent[*at].job.key.as_key() == element.job.key.as_key();
        if self.places.find(hash, is_same).is_none() {
            self.places.insert_unique(hash, absent.len(), |at| absent[*at].job.key.as_key().hash());
            self.absent.push(element);
        }
    }

    /// What can't be cached.
    pub(crate) fn past(&mut self, id: I) {
        self.past.push(id);
    }

    /// Whether there is nothing left to wait for.
    pub(crate) fn is_answered(&self) -> bool {
        self.absent.is_empty() && self.past.is_empty()
    }

    /// Whether anything wants to be refreshed.
    pub(crate) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The answer.
    pub(crate) fn whole(self) -> R {
        R::whole(self.entries)
    }

    /// Answers, and runs the body in the caller's task. `tools` judge what is returned for an id, and start the body for some ids.
    pub(crate) async fn answer_here<J, B, F>(mut self, tools: (J, B)) -> R
    where
        J: FnMut(&I, &S::Return) -> Verdict,
        B: FnMut(Vec<I>) -> F,
        F: Future<Output = R>,
    {
        let round = |round: Round<I, S, X, H>, tools| round.run::<R, _, _, _>(tools);
        match self.answer_in_time(tools, true, round).await {
            Ok(_) => self.whole(),
            Err(failed) => failed,
        }
    }

    /// Answers, with stale values where the limit of the calls says so.
    ///
    /// # Errors
    ///
    /// The failure of an id is the failure of the batch.
    async fn answer_in_time<T, D>(
        &mut self,
        tools: T,
        renew_here: bool,
        lead: impl FnMut(Round<I, S, X, H>, T) -> D,
    ) -> Result<Option<T>, R>
    where
        D: Future<Output = (Done<I, S, X, H>, T)>,
    {
        let Some(deadline) = self.soft_deadline() else {
            return self.answer(tools, renew_here, lead).await.map(Some);
        };
        let calls = self.absent.iter().map(|element| (element.id.clone(), element.job.clone())).collect();
        let mut answering = Box::pin(self.answer(tools, renew_here, lead));
        if let Ok(answered) = timeout_at(deadline, &mut answering).await {
            return answered.map(Some);
        }
        let Some(stale) = stale(calls).await else { return answering.await.map(Some) };
        drop(answering);
        stale.into_iter().try_for_each(|(id, one)| self.take(id, one)).map(|()| None)
    }

    /// When this batch takes stale values rather than to wait on; `None`: never.
    fn soft_deadline(&self) -> Option<Instant> {
        let wants_the_body = !self.past.is_empty() || self.absent.iter().any(|element| element.refresh);
        self.absent.first().filter(|_| !wants_the_body)?.job.soft_deadline()
    }

    /// Waits for the runs under way and leads the others, in as many rounds as it takes: whoever has led runs of others may hand
    /// them over.
    async fn answer<T, D>(
        &mut self,
        mut tools: T,
        renew_here: bool,
        mut lead: impl FnMut(Round<I, S, X, H>, T) -> D,
    ) -> Result<T, R>
    where
        D: Future<Output = (Done<I, S, X, H>, T)>,
    {
        let calls = mem::take(&mut self.absent).into_iter().map(|element| {
            Box::pin(async move {
                let turn = element.job.next(element.refresh).await;
                (element, turn)
            })
        });
        let mut calls: Vec<_> = calls.collect();
        loop {
            let mut round = Round::past(mem::take(&mut self.past));
            if renew_here {
                round.renew(mem::take(&mut self.due));
            }
            for (element, turn) in ready(&mut calls, round.is_empty()).await {
                match turn {
                    Turn::Answer(one) => self.take(element.id, one)?,
                    Turn::Lead(leading) => round.lead(element, leading),
                    Turn::Bypass => round.bypass(element),
                }
            }
            if !round.is_empty() {
                let (done, kept) = lead(round, tools).await;
                tools = kept;
                self.take_all(done)?;
            } else if calls.is_empty() {
                return Ok(tools);
            }
        }
    }

    fn take_all(&mut self, done: Done<I, S, X, H>) -> Result<(), R> {
        let Done { answers, due, failed } = done;
        if let Some(failed) = failed {
            R::found(failed)?;
        }
        self.due.extend(due);
        answers.into_iter().try_for_each(|(id, one)| self.take(id, one))
    }

    fn take(&mut self, id: I, one: S::Return) -> Result<(), R> {
        match R::found(one)? {
            Some(value) => self.entries.put(id, value),
            None => drop(self.entries.take(&id)),
        }
        Ok(())
    }
}

impl<R, I, S, X, H> Batch<R, I, S, X, H>
where
    R: Many<One = S::Return, Entries: EntriesOf<I>> + Send + 'static,
    I: Clone + Send + 'static,
    S: Outcome<Return: Send + 'static>,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// Answers, and runs the body in tasks of their own, which go on when the caller goes away.
    pub(crate) async fn answer_detached<J, B>(mut self, tools: (J, B)) -> R
    where
        J: FnMut(&I, &S::Return) -> Verdict + Send + 'static,
        B: FnMut(Vec<I>) -> BodyFuture<R> + Send + 'static,
    {
        let round = |round: Round<I, S, X, H>, tools| round.run_in_a_task::<R, _, _>(tools);
        match self.answer_in_time(tools, false, round).await {
            Ok(tools) => {
                if let Some(tools) = tools {
                    self.renew_behind(|| tools);
                }
                self.whole()
            }
            Err(failed) => failed,
        }
    }

    /// Refreshes what is answered and wants it, in a task that nobody waits for.
    pub(crate) fn renew_behind<J, B>(&mut self, tools: impl FnOnce() -> (J, B))
    where
        J: FnMut(&I, &S::Return) -> Verdict + Send + 'static,
        B: FnMut(Vec<I>) -> BodyFuture<R> + Send + 'static,
    {
        let (Ok(runtime), due) = (Handle::try_current(), mem::take(&mut self.due)) else { return };
        let mut round = Round::past(Vec::new());
        round.renew(due);
        if round.is_empty() {
            return;
        }
        let tools = tools();
        let task = Context::behind().scope(async move { drop(round.run::<R, _, _, _>(tools).await) });
        runtime.spawn(task.in_current_span());
    }
}

/// The stale values that are at hand for these calls; `None` unless there is one for each.
async fn stale<I, S, X, H>(calls: Vec<(I, Job<S, X, H>)>) -> Option<Vec<(I, S::Return)>>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    let calls = calls.into_iter().map(|(id, job)| async move {
        let (stored, _) = job.cache.core().bridge(&job.key, job.face).await?;
        Some((id, job.shape.value(stored)))
    });
    gather::together(None, calls).await.into_iter().collect()
}

/// Takes the calls out that are ready; where the caller has nothing else to do, it waits for one.
async fn ready<F: Future>(calls: &mut Vec<Pin<Box<F>>>, waits: bool) -> Vec<F::Output> {
    poll_fn(|task| {
        let mut outputs = Vec::new();
        calls.retain_mut(|call| match call.as_mut().poll(task) {
            Poll::Ready(output) => {
                outputs.push(output);
                false
            }
            Poll::Pending => true,
        });
        if waits && outputs.is_empty() && !calls.is_empty() { Poll::Pending } else { Poll::Ready(outputs) }
    })
    .await
}
