//! Running a body, and what becomes of what it returns.

use std::{
    future::{Future, pending, poll_fn},
    ops::ControlFlow,
    panic::resume_unwind,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::runtime::Handle;
use tracing::Instrument;

use super::{
    Context, Job, Topic, block_on,
    engine::{Leading, Published, Run},
    life::Life,
    outcome::{BodyFuture, Face, Outcome, Share, Split, Verdict},
};
use crate::{
    backend::{RemoteTier, Stamp},
    flight::Lead,
    key::Key,
    stats::Counters,
};

impl<S, X, H> Job<S, X, H>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// Runs the body in the caller's task: dropped with the caller, and then the next waiter takes over.
    pub(crate) async fn run_here<F>(
        &self,
        leading: Leading,
        judge: impl FnOnce(&S::Return) -> Verdict,
        start: impl FnOnce() -> F,
    ) -> S::Return
    where
        F: Future<Output = S::Return>,
    {
        let run = match self.begin(leading).await {
            ControlFlow::Continue(run) => run,
            ControlFlow::Break(answer) => return answer,
        };
        self.counters().runs.add_one();
        let mut body = pin!(self.surroundings(&run).scope(start()));
        let body = poll_fn(|task| self.counting_panics(|| body.as_mut().poll(task)));
        if !run.lead.is_one_of_many() {
            let returned = body.await;
            return self.complete(run, returned, judge).await;
        }
        match race(self.overtaken(&run), body).await {
            Raced::First(answer) => answer,
            Raced::Second(returned) => self.complete(run, returned, judge).await,
        }
    }

    /// Where an earlier run failed with an error that cannot be shared, several callers run side by side, and the first success is
    /// everybody's. Never ready when that success is of another type: then this caller's own run goes on.
    fn overtaken(&self, run: &Run) -> impl Future<Output = S::Return> + use<'_, S, X, H> {
        let overtaken = run.lead.overtaken();
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
            ControlFlow::Continue(run) => run,
            ControlFlow::Break(answer) => return answer,
        };
        self.counters().runs.add_one();
        let returned = self.counting_panics(|| self.surroundings(&run).sync_scope(body));
        block_on(self.complete(run, returned, judge))
    }

    /// Counts a failure when `work`, a part of the body, panics. (A run that is dropped while something else unwinds is none.)
    fn counting_panics<R>(&self, work: impl FnOnce() -> R) -> R {
        let panic = CountFailure(self.counters());
        let done = work();
        std::mem::forget(panic);
        done
    }

    fn surroundings(&self, run: &Run) -> Context {
        Context { run: Some(run.lead.id()), ..Context::current() }
    }

    /// Stores what the body returned, as the verdict says, and tells the waiters.
    async fn complete(&self, run: Run, returned: S::Return, judge: impl FnOnce(&S::Return) -> Verdict) -> S::Return {
        match self.conclude(run, returned, judge) {
            Conclusion::Keep(run, stored, life) => {
                self.keep(run, stored.clone(), life).await;
                self.shape.value(Arc::unwrap_or_clone(stored))
            }
            Conclusion::Done(returned) => returned,
        }
    }

    /// What is not to be stored is done with at once. (Apart from `complete`, so that no failure, which need not be `Send`, is held
    /// across an await.)
    fn conclude(&self, run: Run, returned: S::Return, judge: impl FnOnce(&S::Return) -> Verdict) -> Conclusion<S> {
        let verdict = judge(&returned);
        match self.shape.split(returned) {
            Split::Value(stored) => Conclusion::Keep(run, Arc::new(stored), self.life(verdict)),
            Split::Absent(absent) => {
                run.lead.answer(Arc::new(Published::Absent(Arc::new(absent))));
                Conclusion::Done(self.shape.absent(absent))
            }
            Split::Failed(failure) => {
                self.counters().failures.add_one();
                Conclusion::Done(self.shape.failed(self.fail(run.lead, failure)))
            }
        }
    }

    /// How long the value is kept; `None`: not at all.
    fn life(&self, verdict: Verdict) -> Option<Life> {
        self.cache.core().life(verdict).unwrap_or_else(|error| {
            self.counters().errors.add_one();
            self.warn(Topic::Expiry, |key| tracing::error!(key, %error, "the value is not stored"));
            None
        })
    }

    async fn keep(&self, run: Run, stored: Arc<S::Stored>, life: Option<Life>) {
        let core = self.cache.core();
        let published = Arc::new(Published::Value(stored.clone()));
        let Some(life) = life else {
            run.lead.answer(published);
            return;
        };
        match core.remote.as_ref().filter(|_| self.face.leaves_the_process()) {
            None => {
                let entry = core.local.is_some().then(|| core.entry(&self.key, stored, self.face, life, run.epoch));
                let in_time = run.lead.finish(published, || self.insert(entry, run.epoch));
                self.count_stored(in_time && core.local.is_some());
            }
            Some(remote) => self.keep_remote(&**remote, run, published, stored, life).await,
        }
    }

    /// The waiters have their answer before the shared store has the value; until it has, the run stays known, so that later calls
    /// join it instead of running again.
    async fn keep_remote(
        &self,
        remote: &dyn RemoteTier,
        run: Run,
        published: Arc<Published>,
        stored: Arc<S::Stored>,
        life: Life,
    ) {
        let core = self.cache.core();
        let storing = run.lead.publish(published);
        if storing.is_detached() || core.epochs.covers(run.epoch, self.key.as_key().namespace().as_deref()) {
            self.counters().outdated.add_one();
        } else if let Some(stamp) = run.stamp {
            self.write_remote(remote, &stored, life, stamp).await;
        }
        let entry = core.local.is_some().then(|| core.entry(&self.key, stored, self.face, life, run.epoch));
        storing.commit(|| self.insert(entry, run.epoch));
    }

    /// Without a stamp there is no write: the store could not be read when the run began, so that something newer might be overwritten.
    async fn write_remote(&self, remote: &dyn RemoteTier, stored: &S::Stored, life: Life, stamp: Stamp) {
        let core = self.cache.core();
        match core.remote_write(remote, &self.key, self.face, stored, life, Some(stamp)) {
            Some(Ok(write)) => match remote.store(&[write]).await {
                Ok(written) => core.count_written(self.key.as_key(), &written),
                Err(error) => core.count_error(self.key.as_key(), "write", &error),
            },
            Some(Err(error)) => core.count_error(self.key.as_key(), "encoding", &error),
            None => {}
        }
    }

    fn insert(&self, entry: Option<crate::entry::Entry>, epoch: u64) {
        let core = self.cache.core();
        if let (Some(local), Some(entry)) = (&core.local, entry)
            && !core.epochs.covers(epoch, entry.namespace.as_deref())
        {
            local.insert(self.key.clone(), Arc::new(entry));
        }
    }

    fn count_stored(&self, stored: bool) {
        if stored {
            self.counters().stores.add_one();
        } else if self.cache.core().local.is_some() {
            self.counters().outdated.add_one();
        }
    }

    /// Tells the waiters of a failure; what the caller that started the run gets.
    fn fail(&self, lead: Lead<Key, Published>, failure: S::Failure) -> S::Failure {
        // Somebody who comes after this look takes over the dropped lead and runs, as one who came after the end.
        if !lead.has_waiters() {
            return failure;
        }
        match self.share.share(failure) {
            (own, Some(shared)) => {
                lead.answer(Arc::new(Published::Failed(Arc::new(shared))));
                own
            }
            (own, None) => {
                self.warn_of_unshareable();
                lead.scatter();
                own
            }
        }
    }

    fn warn_of_unshareable(&self) {
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
    /// Runs the body in a task of its own, which goes on when the caller goes away or is never polled again.
    pub(crate) async fn run_detached(
        self,
        mut leading: Leading,
        judge: impl FnOnce(&S::Return) -> Verdict + Send + 'static,
        body: BodyFuture<S::Return>,
    ) -> S::Return {
        let Some(runtime) = Handle::try_current().ok().filter(|_| !leading.lead.is_one_of_many()) else {
            return self.run_here(leading, judge, || body).await;
        };
        // The caller's own run waits for this one as long as the caller does, not as long as the task lives.
        let _edge = leading.lead.take_edge();
        let task = Context::current().scope(async move { self.run_here(leading, judge, || body).await });
        match runtime.spawn(task.in_current_span()).await {
            Ok(returned) => returned,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => resume_unwind(Box::new("the tokio runtime that ran a memorized body was shut down")),
        }
    }
}

/// What a returned value calls for.
enum Conclusion<S: Outcome> {
    /// Store it, where it has a life.
    Keep(Run, Arc<S::Stored>, Option<Life>),
    /// Nothing more.
    Done(S::Return),
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
