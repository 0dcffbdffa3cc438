//! Running a body, and what becomes of what it returns.

use std::{
    future::{Future, pending, poll_fn, ready},
    panic::resume_unwind,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};
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
        let run = match self.begin_here(leading) {
            Ok(run) => run,
            Err((leading, remote)) => match Box::pin(self.begin_remote(remote, leading)).await {
                Begun::Run(run) => run,
                Begun::Answer(answer) => return answer,
                Begun::Due(answer) => return Box::pin(self.renew_here(answer, miss)).await,
            },
        };
        let (judge, start) = miss();
        let surroundings = Self::surroundings(&run.lead, Context::current());
        self.run_body(run, judge, surroundings.scope(self.gathered(start()))).await
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
                let (judge, start) = miss();
                let surroundings = Self::surroundings(&run.lead, Context::current());
                self.run_body(run, judge, surroundings.scope(self.gathered(start()))).await
            }
            Begun::Answer(answer) | Begun::Due(answer) => answer,
        }
    }

    /// Runs a body in the surroundings it needs.
    async fn run_body<F>(&self, run: Run<S::Stored>, judge: impl FnOnce(&S::Return) -> Verdict, body: F) -> S::Return
    where
        F: Future<Output = S::Return>,
    {
        self.counters().runs.add_one();
        let mut body = pin!(body);
        let mut body = poll_fn(|task| self.counting_panics(|| body.as_mut().poll(task)));
        let is_one_of_many = run.lead.is_one_of_many();
        let ended = match self.hard_limit() {
            None if !is_one_of_many => Ok(body.await),
            limit => match Box::pin(self.within(&run.lead, limit, &mut body)).await {
                Raced::First(answer) => return answer,
                Raced::Second(ended) => ended,
            },
        };
        match ended {
            Ok(returned) => match self.conclude(run, returned, judge) {
                Conclusion::Done(returned) => returned,
                more => Box::pin(self.act(more)).await,
            },
            Err(ended) => Box::pin(self.end(run, ended, judge)).await,
        }
    }

    /// The output of a body that has a limit, or whose run is led by others as well: the first success is everybody's.
    async fn within<F: Future<Output = S::Return> + Unpin>(
        &self,
        lead: &Lead<Key, Published>,
        limit: Option<(Duration, Ours<S::Return>)>,
        body: F,
    ) -> Raced<S::Return, Result<S::Return, Ended<S::Return>>> {
        let body = self.within_limit(limit, body);
        if lead.is_one_of_many() { race(self.overtaken(lead), body).await } else { Raced::Second(body.await) }
    }

    /// The output of the body, all of it.
    async fn gathered<F: Future<Output = S::Return>>(&self, body: F) -> S::Return {
        let mut returned = body.await;
        poll_fn(|task| self.shape.poll_whole(&mut returned, task)).await;
        returned
    }

    /// After what time the body is aborted, where what the function returns can say so.
    pub(super) fn hard_limit(&self) -> Option<(Duration, Ours<S::Return>)> {
        self.limits.hard.zip(self.ours).filter(|_| Handle::try_current().is_ok())
    }

    /// The output of the body, or the error that it took too long.
    pub(super) async fn within_limit<F: Future>(
        &self,
        limit: Option<(Duration, Ours<S::Return>)>,
        body: F,
    ) -> Result<F::Output, Ended<S::Return>> {
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
        let returned = self.counting_panics(|| Self::surroundings(&run.lead, Context::current()).sync_scope(body));
        block_on(async {
            let returned = self.gathered(ready(returned)).await;
            self.act(self.conclude(run, returned, judge)).await
        })
    }

    /// Counts a failure when `work`, a part of the body, panics. (A run that is dropped while something else unwinds is none.)
    pub(super) fn counting_panics<R>(&self, work: impl FnOnce() -> R) -> R {
        let panic = CountFailure(self.counters());
        let done = work();
        std::mem::forget(panic);
        done
    }

    /// The surroundings of a run that is begun in these.
    pub(super) fn surroundings(lead: &Lead<Key, Published>, around: Context) -> Context {
        Context { run: Some(lead.id()), exchange: None, ..around.shared() }
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

    pub(super) async fn act(&self, conclusion: Conclusion<S>) -> S::Return {
        match conclusion {
            Conclusion::Keep(kept) => {
                let stored = kept.stored.clone();
                if let Some(remote) = self.shared_store() {
                    self.keep_remote(remote, kept).await;
                }
                self.shape.value(Arc::unwrap_or_clone(stored))
            }
            Conclusion::Excused(excused) => self.excuse(excused).await,
            Conclusion::Done(returned) => returned,
        }
    }

    /// Stores what the body returned, as the verdict says, and tells the waiters, as far as that needs no waiting. (No failure, which
    /// need not be `Send`, is left to be held across an await.)
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
                let (life, print) = (self.life(&verdict), self.print(&stored));
                if self.exchange.is_some() {
                    self.tell(Served::made(FmOutcome::Computed, life, print.clone()));
                }
                let kept = Kept { run, stored: Arc::new(stored), life, groups, print };
                if self.shared_store().is_some() {
                    return Conclusion::Keep(kept);
                }
                let stored = kept.stored.clone();
                self.keep_here(kept);
                Conclusion::Done(self.shape.value(Arc::unwrap_or_clone(stored)))
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
        if let (Some(remote), Some(stamp), Excuse::Remote(copied)) = (self.shared_store(), run.stamp, run.excuse) {
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
                if let Some(renewal) = Arc::new(self).renewal() {
                    let (judge, start) = miss();
                    renewal.spawn(Box::new(judge), start());
                }
                answer
            }
            Hit::Nothing => {
                let deadline = self.soft_deadline();
                match Box::pin(self.turn_detached(deadline, false)).await {
                    Turn::Answer(answer) => answer,
                    Turn::Lead(leading) => {
                        let (judge, start) = miss();
                        Box::pin(Arc::new(self).lead_detached(deadline, leading, Box::new(judge), start())).await
                    }
                    Turn::Bypass => self.bypass(start_of(miss)).await,
                }
            }
        }
    }

    /// What a call is to do that found nothing in memory, or must not look.
    ///
    /// Thousands of calls may wait here for one run. And of what can be done without knowing the function, nothing is compiled for
    /// each: its body comes in a box, and what judges its value does.
    pub(crate) async fn turn_detached(&self, deadline: Option<Instant>, refresh: bool) -> Turn<S> {
        if self.is_to_bypass() {
            return Turn::Bypass;
        }
        if let Some(exchange) = self.only_if_cached() {
            return Turn::Answer(Box::pin(self.answer_if_cached(exchange)).await);
        }
        self.next_by(deadline, refresh).await.unwrap_or_else(Turn::Answer)
    }

    /// Leads a run.
    pub(crate) async fn lead_detached(
        self: Arc<Self>,
        deadline: Option<Instant>,
        leading: Leading,
        judge: Judge<S::Return>,
        body: BodyFuture<S::Return>,
    ) -> S::Return {
        let run = match Arc::clone(&self).spawn(leading, judge, body) {
            Ok(run) => run,
            Err((leading, judge, body)) => return Box::pin(self.run_here(leading, || (judge, || body))).await,
        };
        match deadline {
            None => run.await,
            Some(deadline) => Box::pin(self.or_stale(deadline, run)).await.unwrap_or_else(|stale| stale),
        }
    }

    /// Runs the body in a task of its own, which goes on when the caller goes away or is never polled again. Gives everything
    /// back where there can be none.
    #[allow(clippy::type_complexity, reason = "it is what it was given")]
    fn spawn(
        self: Arc<Self>,
        mut leading: Leading,
        judge: Judge<S::Return>,
        body: BodyFuture<S::Return>,
    ) -> Result<impl Future<Output = S::Return> + use<S, X, H>, (Leading, Judge<S::Return>, BodyFuture<S::Return>)>
    {
        let Some(runtime) = Handle::try_current().ok().filter(|_| !leading.lead.is_one_of_many()) else {
            return Err((leading, judge, body));
        };
        // The caller's own run waits for this one as long as the caller does, not as long as the task lives.
        let edge = leading.lead.take_edge();
        let surroundings = Self::surroundings(&leading.lead, Context::current());
        let task = surroundings.scope(async move {
            match self.begin(leading).await {
                Begun::Run(run) => self.run_body(run, judge, self.gathered(body)).await,
                Begun::Answer(answer) => answer,
                Begun::Due(answer) => {
                    if let Some(renewal) = self.renewal() {
                        renewal.spawn(judge, body);
                    }
                    answer
                }
            }
        });
        // Boxed, since to start a task is to move it several times.
        let task: BodyFuture<S::Return> = Box::pin(task.in_current_span());
        let task = runtime.spawn(task);
        Ok(async move {
            let _edge = edge;
            match task.await {
                Ok(returned) => returned,
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(_) => resume_unwind(Box::new("the tokio runtime that ran a memorized body was shut down")),
            }
        })
    }

    /// The refresh of a value that is good enough to be answered, unless it is under way already.
    pub(crate) fn renewal(self: Arc<Self>) -> Option<Renewal<S, X, H>> {
        let runtime = Handle::try_current().ok()?;
        let leading = self.renew()?;
        Some(Renewal { runtime, job: self, leading })
    }
}

/// A refresh in a task that nobody waits for.
pub(crate) struct Renewal<S: Outcome, X, H> {
    runtime: Handle,
    job: Arc<Job<S, X, H>>,
    leading: Leading,
}

impl<S, X, H> Renewal<S, X, H>
where
    S: Outcome,
    S::Return: Send + 'static,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    pub(crate) fn spawn(self, judge: Judge<S::Return>, body: BodyFuture<S::Return>) {
        let Self { runtime, job, leading } = self;
        let this = Job { exchange: None, ..Arc::unwrap_or_clone(job) };
        let surroundings = Job::<S, X, H>::surroundings(&leading.lead, Context::behind());
        let task = surroundings.scope(async move {
            if let Begun::Run(run) = this.begin(leading).await {
                this.counters().refreshes.add_one();
                this.run_body(run, judge, this.gathered(body)).await;
            }
        });
        let task: BodyFuture<()> = Box::pin(task.in_current_span());
        runtime.spawn(task);
    }
}

/// What starts the body, where nobody judges what it returns.
pub(crate) fn start_of<J, B>(miss: impl FnOnce() -> (J, B)) -> B {
    let (_, start) = miss();
    start
}

/// What judges a returned value, in whatever task that is.
pub(crate) type Judge<R> = Box<dyn FnOnce(&R) -> Verdict + Send>;

/// What a returned value calls for.
pub(super) enum Conclusion<S: Outcome> {
    /// Store it in the shared store, where it has a life.
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
