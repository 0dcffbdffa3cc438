//! Running a body, and what becomes of what it returns.

use std::{
    future::{Future, pending, poll_fn, ready},
    panic::resume_unwind,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::runtime::Handle;
use tracing::Instrument;

use super::{
    Context, Hit, Job, Served, Topic, block_on,
    engine::{Begun, Excuse, Leading, Ours, Published, Run, Said, Turn},
    keep::Kept,
    outcome::{BodyFuture, Face, Fate, Outcome, Share, Split, Verdict},
    report::{FmOutcome, FmTier, Provenance},
};
use crate::{
    backend::Group,
    error::{FmError, Kind},
    flight::Lead,
    key::Key,
    stats::Counters,
    time::Tick,
};

impl<S, X, H> Job<S, X, H>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// Runs the body in the caller's task: dropped with the caller, and then the next waiter takes over.
    pub(crate) async fn run_here<J, B, F>(&self, leading: Leading, miss: impl FnOnce() -> (J, B)) -> S::Return
    where
        J: FnOnce(&S::Return) -> Verdict,
        B: FnOnce() -> F,
        F: Future<Output = S::Return>,
    {
        match self.begin(leading).await {
            Begun::Run(run) => self.start_body(run, miss).await,
            Begun::Answer(answer) => answer,
            Begun::Due(answer) => self.renew_here(answer, miss).await,
        }
    }

    /// Refreshes a value that is good enough to be answered, in the caller's task, since there is no other: the others have
    /// that value meanwhile.
    pub(crate) async fn renew_here<J, B, F>(&self, answer: S::Return, miss: impl FnOnce() -> (J, B)) -> S::Return
    where
        J: FnOnce(&S::Return) -> Verdict,
        B: FnOnce() -> F,
        F: Future<Output = S::Return>,
    {
        let Some(leading) = self.renew() else { return answer };
        match self.begin(leading).await {
            Begun::Run(run) => {
                self.counters().refreshes.add_one();
                self.start_body(run, miss).await
            }
            Begun::Answer(answer) | Begun::Due(answer) => answer,
        }
    }

    async fn start_body<J, B, F>(&self, run: Run<S::Stored>, miss: impl FnOnce() -> (J, B)) -> S::Return
    where
        J: FnOnce(&S::Return) -> Verdict,
        B: FnOnce() -> F,
        F: Future<Output = S::Return>,
    {
        let (judge, start) = miss();
        self.run_body(run, judge, start()).await
    }

    async fn run_body<F>(&self, run: Run<S::Stored>, judge: impl FnOnce(&S::Return) -> Verdict, body: F) -> S::Return
    where
        F: Future<Output = S::Return>,
    {
        self.counters().runs.add_one();
        let mut body = pin!(self.surroundings(&run.lead).scope(self.gathered(body)));
        let body = poll_fn(|task| self.counting_panics(|| body.as_mut().poll(task)));
        let body = self.within_limit(body);
        if !run.lead.is_one_of_many() {
            return match body.await {
                Ok(returned) => self.complete(run, returned, judge).await,
                Err(ended) => self.end(run, ended, judge).await,
            };
        }
        match race(self.overtaken(&run.lead), body).await {
            Raced::First(answer) => answer,
            Raced::Second(Ok(returned)) => self.complete(run, returned, judge).await,
            Raced::Second(Err(ended)) => self.end(run, ended, judge).await,
        }
    }

    /// The output of the body, all of it.
    async fn gathered<F: Future<Output = S::Return>>(&self, body: F) -> S::Return {
        let mut returned = body.await;
        poll_fn(|task| self.shape.poll_whole(&mut returned, task)).await;
        returned
    }

    /// The output of the body, or the error that it took too long, where what the function returns can say so.
    pub(super) async fn within_limit<F: Future>(&self, body: F) -> Result<F::Output, Ended<S::Return>> {
        let limit = self.limits.hard.zip(self.ours).filter(|_| Handle::try_current().is_ok());
        let Some((limit, ours)) = limit else { return Ok(body.await) };
        tokio::time::timeout(limit, body).await.map_err(|_| {
            self.counters().timeouts.add_one();
            Ended { error: too_slow(limit), ours }
        })
    }

    /// Where an earlier run failed with an error that cannot be shared, several callers run side by side, and the first success is
    /// everybody's. Never ready when that success is of another type: then this caller's own run goes on.
    fn overtaken(&self, lead: &Lead<Key, Published>) -> impl Future<Output = S::Return> + use<'_, S, X, H> {
        let overtaken = lead.overtaken();
        async move {
            match self.answer(&*overtaken.await) {
                Some(answer) => answer,
                None => pending().await,
            }
        }
    }

    /// Runs a synchronous body.
    pub(crate) fn run_blocking(
        &self,
        leading: Leading,
        judge: impl FnOnce(&S::Return) -> Verdict,
        body: impl FnOnce() -> S::Return,
    ) -> S::Return {
        let run = match block_on(self.begin(leading)) {
            Begun::Run(run) => run,
            Begun::Answer(answer) | Begun::Due(answer) => return answer,
        };
        self.counters().runs.add_one();
        let returned = self.counting_panics(|| self.surroundings(&run.lead).sync_scope(body));
        block_on(async { self.complete(run, self.gathered(ready(returned)).await, judge).await })
    }

    /// Counts a failure when `work`, a part of the body, panics. (A run that is dropped while something else unwinds is none.)
    pub(super) fn counting_panics<R>(&self, work: impl FnOnce() -> R) -> R {
        let panic = CountFailure(self.counters());
        let done = work();
        std::mem::forget(panic);
        done
    }

    pub(super) fn surroundings(&self, lead: &Lead<Key, Published>) -> Context {
        Context { run: Some(lead.id()), exchange: None, ..Context::shared() }
    }

    /// Tells everybody that the run was ended.
    async fn end(
        &self,
        run: Run<S::Stored>,
        Ended { error, ours }: Ended<S::Return>,
        judge: impl FnOnce(&S::Return) -> Verdict,
    ) -> S::Return {
        let returned = ours(error.clone());
        let verdict = judge(&returned);
        self.counters().failures.add_one();
        self.tell(Served::unstored(FmOutcome::Computed));
        let groups = self.cache.core().groups(self.key.as_key(), &verdict.tags);
        let conclusion = match self.stand_in(&run, &verdict, &returned) {
            Some((value, what)) => Conclusion::Excused(Excused { run, value, what }),
            None => {
                run.answer(Said::Ended(error), groups);
                Conclusion::Done(returned)
            }
        };
        self.act(conclusion).await
    }

    /// Stores what the body returned, as the verdict says, and tells the waiters.
    async fn complete(
        &self,
        run: Run<S::Stored>,
        returned: S::Return,
        judge: impl FnOnce(&S::Return) -> Verdict,
    ) -> S::Return {
        let conclusion = self.conclude(run, returned, judge);
        self.act(conclusion).await
    }

    pub(super) async fn act(&self, conclusion: Conclusion<S>) -> S::Return {
        match conclusion {
            Conclusion::Keep(kept) => {
                let stored = kept.stored.clone();
                self.keep(kept).await;
                self.shape.value(Arc::unwrap_or_clone(stored))
            }
            Conclusion::Excused(excused) => self.excuse(excused).await,
            Conclusion::Done(returned) => returned,
        }
    }

    /// What is not to be stored is done with at once. (Apart from `complete`, so that no failure, which need not be `Send`, is held
    /// across an await.)
    pub(super) fn conclude(
        &self,
        run: Run<S::Stored>,
        returned: S::Return,
        judge: impl FnOnce(&S::Return) -> Verdict,
    ) -> Conclusion<S> {
        let mut verdict = judge(&returned);
        let fate = self.shape.fate(&returned);
        verdict.store &= fate == Fate::Stored;
        if self.shape.is_err(&returned) {
            self.counters().failures.add_one();
        }
        if let Some((value, what)) = self.stand_in(&run, &verdict, &returned) {
            return Conclusion::Excused(Excused { run, value, what });
        }
        let core = self.cache.core();
        core.note(self.key.as_key(), Provenance::of(FmOutcome::Computed));
        if fate == Fate::OneCaller {
            self.tell(Served::unstored(FmOutcome::Computed));
            // Nobody else may have it: who waits runs the body.
            if run.lead.has_waiters() {
                run.lead.scatter();
            }
            return Conclusion::Done(returned);
        }
        let groups = core.groups(self.key.as_key(), &verdict.tags);
        match self.shape.split(returned) {
            Split::Value(stored) => {
                let life = self.life(&verdict);
                let served = Served::made(FmOutcome::Computed, life, self.print(&stored));
                self.tell(served.clone());
                Conclusion::Keep(Kept { run, stored: Arc::new(stored), life, groups, served })
            }
            Split::Absent(absent) => {
                self.tell(Served::unstored(FmOutcome::Computed));
                run.answer(Said::Absent(Arc::new(absent)), groups);
                Conclusion::Done(self.shape.absent(absent))
            }
            Split::Failed(failure) => {
                self.tell(Served::unstored(FmOutcome::Computed));
                Conclusion::Done(self.shape.failed(self.fail(run, failure, groups)))
            }
        }
    }

    /// The older value that stands in for what the body returned, where that is a failure and there is one.
    pub(super) fn stand_in(
        &self,
        run: &Run<S::Stored>,
        verdict: &Verdict,
        returned: &S::Return,
    ) -> Option<(Arc<S::Stored>, Provenance)> {
        let core = self.cache.core();
        if matches!(run.excuse, Excuse::None) || !verdict.is_failure.unwrap_or_else(|| self.shape.is_err(returned)) {
            return None;
        }
        let now = Tick::now();
        core.excuse(self.key.as_key(), now).or_else(|| match &run.excuse {
            Excuse::Remote(copied)
                if copied.entry.excuses(now)
                    && !core.epochs.covers(run.epoch, copied.entry.groups())
                    && !run.lead.is_detached() =>
            {
                Some((copied.value.clone(), Provenance::of_entry(&copied.entry, FmTier::Remote, now)))
            }
            _ => None,
        })
    }

    /// Answers with an older value, and sees to it that nobody tries again for a while.
    async fn excuse(&self, Excused { run, value, what }: Excused<S::Stored>) -> S::Return {
        let core = self.cache.core();
        core.rest(self.key.as_key());
        core.note(self.key.as_key(), what);
        let served = Served::instead(what, self.print(&value));
        self.tell(served.clone());
        let answer = run.publication(Said::Value(value.clone()), Box::default(), Some(what), Some(served));
        run.lead.answer(answer);
        if let (Some(remote), Some(stamp), Excuse::Remote(copied)) = (self.remote(), run.stamp, run.excuse) {
            core.rest_remote(remote, &self.key, self.face, *copied, stamp).await;
        }
        self.shape.value(Arc::unwrap_or_clone(value))
    }

    /// Tells the waiters of a failure; what the caller that started the run gets.
    fn fail(&self, run: Run<S::Stored>, failure: S::Failure, groups: Box<[Group]>) -> S::Failure {
        // Somebody who comes after this look takes over the dropped lead and runs, as one who came after the end.
        if !run.lead.has_waiters() {
            return failure;
        }
        match self.share.share(failure) {
            (own, Some(shared)) => {
                run.answer(Said::Failed(Arc::new(shared)), groups);
                own
            }
            (own, None) => {
                self.warn_of_unshareable();
                run.lead.scatter();
                own
            }
        }
    }

    pub(super) fn warn_of_unshareable(&self) {
        let error = std::any::type_name::<S::Failure>();
        self.warn(Topic::Unshareable, |key| {
            tracing::warn!(
                key,
                error,
                "callers that wait for a run of this function can't share its error and run the body themselves: \
                 make the error `Clone`, give it `From<FmError>`, or return `Result<T, Arc<E>>`"
            );
        });
    }
}

impl<S, X, H> Job<S, X, H>
where
    S: Outcome,
    S::Return: Send + 'static,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// Answers a direct call.
    pub(crate) async fn answer_detached<J, B>(self, miss: impl FnOnce() -> (J, B)) -> S::Return
    where
        J: FnOnce(&S::Return) -> Verdict + Send + 'static,
        B: FnOnce() -> BodyFuture<S::Return>,
    {
        let core = self.cache.core();
        if core.is_closed() {
            return self.bypass(start_of(miss)).await;
        }
        match core.hit(self.key.as_key(), |stored: &S::Stored| self.shape.value(stored.clone())) {
            Hit::Answer(answer) => answer,
            Hit::Due(answer) => {
                self.renew_behind(miss);
                answer
            }
            Hit::Nothing => Box::pin(self.miss_detached(false, miss)).await,
        }
    }

    /// Answers a call that found nothing in memory, or must not look.
    pub(crate) async fn miss_detached<J, B>(self, refresh: bool, miss: impl FnOnce() -> (J, B)) -> S::Return
    where
        J: FnOnce(&S::Return) -> Verdict + Send + 'static,
        B: FnOnce() -> BodyFuture<S::Return>,
    {
        let deadline = if refresh { None } else { self.soft_deadline() };
        match self.or_stale(deadline, self.next(refresh)).await {
            Err(answer) | Ok(Turn::Answer(answer)) => answer,
            Ok(Turn::Lead(leading)) => {
                let (judge, start) = miss();
                let run = self.clone().run_detached(leading, judge, start());
                self.or_stale(deadline, run).await.unwrap_or_else(|stale| stale)
            }
            Ok(Turn::Bypass) => self.bypass(start_of(miss)).await,
        }
    }

    /// Runs the body in a task of its own, which goes on when the caller goes away or is never polled again.
    pub(crate) async fn run_detached(
        self,
        mut leading: Leading,
        judge: impl FnOnce(&S::Return) -> Verdict + Send + 'static,
        body: BodyFuture<S::Return>,
    ) -> S::Return {
        let Some(runtime) = Handle::try_current().ok().filter(|_| !leading.lead.is_one_of_many()) else {
            return self.run_here(leading, || (judge, || body)).await;
        };
        // The caller's own run waits for this one as long as the caller does, not as long as the task lives.
        let _edge = leading.lead.take_edge();
        let task = Context::current().scope(async move {
            match self.begin(leading).await {
                Begun::Run(run) => self.run_body(run, judge, body).await,
                Begun::Answer(answer) => answer,
                Begun::Due(answer) => {
                    self.renew_behind(|| (judge, || body));
                    answer
                }
            }
        });
        match runtime.spawn(task.in_current_span()).await {
            Ok(returned) => returned,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => resume_unwind(Box::new("the tokio runtime that ran a memorized body was shut down")),
        }
    }

    /// Refreshes a value that is good enough to be answered, in a task that nobody waits for, unless somebody does already.
    pub(crate) fn renew_behind<J, B>(self, miss: impl FnOnce() -> (J, B))
    where
        J: FnOnce(&S::Return) -> Verdict + Send + 'static,
        B: FnOnce() -> BodyFuture<S::Return>,
    {
        let Ok(runtime) = Handle::try_current() else { return };
        let Some(leading) = self.renew() else { return };
        let (judge, start) = miss();
        let body = start();
        let this = Self { exchange: None, ..self };
        let task = Context::behind().scope(async move {
            if let Begun::Run(run) = this.begin(leading).await {
                this.counters().refreshes.add_one();
                this.run_body(run, judge, body).await;
            }
        });
        runtime.spawn(task.in_current_span());
    }
}

/// What starts the body, where nobody judges what it returns.
pub(crate) fn start_of<J, B>(miss: impl FnOnce() -> (J, B)) -> B {
    let (_, start) = miss();
    start
}

/// What a returned value calls for.
pub(super) enum Conclusion<S: Outcome> {
    /// Store it, where it has a life.
    Keep(Kept<S::Stored>),
    /// Answer an older value.
    Excused(Excused<S::Stored>),
    /// Nothing more.
    Done(S::Return),
}

/// An older value in the place of a failure.
pub(super) struct Excused<T> {
    pub(super) run: Run<T>,
    pub(super) value: Arc<T>,
    pub(super) what: Provenance,
}

/// A body that took too long.
pub(super) struct Ended<R> {
    pub(super) error: FmError,
    pub(super) ours: Ours<R>,
}

fn too_slow(limit: Duration) -> FmError {
    FmError::new(Kind::Timeout, format!("the run took longer than its timeout of {limit:?} and was aborted"))
}

impl<T> Run<T> {
    /// What is told to those who wait.
    pub(super) fn publication(
        &self,
        said: Said,
        groups: Box<[Group]>,
        stored: Option<Provenance>,
        served: Option<Served>,
    ) -> Arc<Published> {
        Arc::new(Published { said, run: self.lead.id(), epoch: self.epoch, groups, stored, served })
    }

    /// Ends with an answer that is not to be stored.
    pub(super) fn answer(self, said: Said, groups: Box<[Group]>) {
        let publication = self.publication(said, groups, None, None);
        self.lead.answer(publication);
    }
}

/// Counts a failure when it is dropped.
struct CountFailure<'a>(&'a Counters);

impl Drop for CountFailure<'_> {
    fn drop(&mut self) {
        self.0.failures.add_one();
    }
}

enum Raced<A, B> {
    First(A),
    Second(B),
}

/// Whichever future ends first; the other is dropped.
async fn race<A: Future, B: Future>(first: A, second: B) -> Raced<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|task| {
        if let Poll::Ready(output) = first.as_mut().poll(task) {
            return Poll::Ready(Raced::First(output));
        }
        second.as_mut().poll(task).map(Raced::Second)
    })
    .await
}
