//! One run of the body, for all ids of a batch that nobody else runs for.

use std::{
    future::{Future, poll_fn},
    panic::resume_unwind,
    pin::pin,
    sync::Arc,
};

use tokio::runtime::Handle;
use tracing::Instrument;

use super::{
    Element,
    entries::{EntriesOf, Many},
    gather::{Gathering, together},
};
use crate::{
    backend::Group,
    cache::{
        Context, Job,
        engine::{Begun, Leading, Run, Said},
        outcome::{BodyFuture, Face, Outcome, Share, Shared, Split, Verdict},
        report::{FmOutcome, Provenance},
        run::{Conclusion, Ended, Excused},
    },
    error::FmError,
    flight::Edge,
};

/// What there is to run for.
pub(super) struct Round<I, S: Outcome, X, H> {
    leads: Vec<Start<I, S, X, H>>,
    /// Ids that are asked for past the cache.
    past: Vec<I>,
}

struct Start<I, S: Outcome, X, H> {
    element: Element<I, S, X, H>,
    leading: Leading,
    /// It is answered already, and refreshed.
    renews: bool,
}

/// What a round has come to.
pub(super) struct Done<I, S: Outcome, X, H> {
    pub(super) answers: Vec<(I, S::Return)>,
    /// What is answered and wants to be refreshed.
    pub(super) due: Vec<Element<I, S, X, H>>,
    /// The failure of the body, where nothing stands in for it.
    pub(super) failed: Option<S::Return>,
}

/// An id whose run has begun.
struct Running<I, S: Outcome, X, H> {
    element: Element<I, S, X, H>,
    run: Run<S::Stored>,
}

impl<I, S, X, H> Round<I, S, X, H>
where
    I: Clone,
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    pub(super) fn past(past: Vec<I>) -> Self {
        Self { leads: Vec::new(), past }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leads.is_empty() && self.past.is_empty()
    }

    pub(super) fn lead(&mut self, element: Element<I, S, X, H>, leading: Leading) {
        self.leads.push(Start { element, leading, renews: false });
    }

    /// Refreshes what nobody refreshes already.
    pub(super) fn renew(&mut self, due: Vec<Element<I, S, X, H>>) {
        let starts = due.into_iter().filter_map(|element| {
            let leading = element.job.renew()?;
            Some(Start { element, leading, renews: true })
        });
        self.leads.extend(starts);
    }

    pub(super) fn bypass(&mut self, element: Element<I, S, X, H>) {
        element.job.counters().bypassed.add_one();
        self.past.push(element.id);
    }

    /// Looks into the shared store, runs the body for what is not there, and tells the others.
    pub(super) async fn run<R, J, B, F>(mut self, (mut judge, mut start): (J, B)) -> (Done<I, S, X, H>, (J, B))
    where
        R: Many<One = S::Return, Entries: EntriesOf<I>>,
        J: FnMut(&I, &S::Return) -> Verdict,
        B: FnMut(Vec<I>) -> F,
        F: Future<Output = R>,
    {
        let gathering = self.gather();
        let gathering = gathering.as_deref();
        let Self { leads, past } = self;
        let (runs, mut done) = begin(gathering, leads).await;
        if runs.is_empty() && past.is_empty() {
            return (done, (judge, start));
        }
        let ids = runs.iter().map(|running| running.element.id.clone()).chain(past.iter().cloned()).collect();
        let body = start(ids);
        let returned = match Body::of(&runs) {
            Some(run) => run.run(body).await,
            None => Ok(Context::inside(None).scope(body).await),
        };
        let conclusions = match apart::<R, _, _, _, _>(runs, &past, returned, &mut done) {
            Ok(mut ones) => {
                for Made { running, one } in &mut ones {
                    let shape = running.element.job.shape;
                    poll_fn(|task| shape.poll_whole(one, task)).await;
                }
                conclude(ones, &mut judge)
            }
            Err(failed) => failed.conclude(!past.is_empty(), &mut judge, &mut done),
        };
        let acted = conclusions.into_iter().map(|(element, conclusion)| async move {
            let one = element.job.act(conclusion).await;
            (element.id, one)
        });
        done.answers.extend(together(gathering, acted).await);
        (done, (judge, start))
    }

    /// From here on the calls ask the shared store together.
    fn gather(&mut self) -> Option<Arc<Gathering>> {
        let remote = self.leads.first()?.element.job.cache.core().remote.clone()?;
        let gathering = Arc::new(Gathering::new(remote));
        for start in &mut self.leads {
            start.element.job.gathering = Some(gathering.clone());
        }
        Some(gathering)
    }
}

impl<I, S, X, H> Round<I, S, X, H>
where
    I: Clone + Send + 'static,
    S: Outcome<Return: Send + 'static>,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// The same in a task of its own, which goes on when the caller goes away or is never polled again.
    pub(super) async fn run_in_a_task<R, J, B>(mut self, tools: (J, B)) -> (Done<I, S, X, H>, (J, B))
    where
        R: Many<One = S::Return, Entries: EntriesOf<I>> + Send + 'static,
        J: FnMut(&I, &S::Return) -> Verdict + Send + 'static,
        B: FnMut(Vec<I>) -> BodyFuture<R> + Send + 'static,
    {
        let Some(runtime) = Handle::try_current().ok().filter(|_| !self.leads.is_empty()) else {
            return self.run::<R, _, _, _>(tools).await;
        };
        // The caller's own run waits for these as long as the caller does, not as long as the task lives.
        let _edges: Vec<_> = self.leads.iter_mut().map(|start| start.leading.lead.take_edge()).collect();
        let task = Context::current().scope(self.run::<R, _, _, _>(tools));
        match runtime.spawn(task.in_current_span()).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => resume_unwind(Box::new("the tokio runtime that ran a memorized body was shut down")),
        }
    }
}

/// What the shared store has to say before the body runs; it is read once.
async fn begin<I, S, X, H>(
    gathering: Option<&Gathering>,
    leads: Vec<Start<I, S, X, H>>,
) -> (Vec<Running<I, S, X, H>>, Done<I, S, X, H>)
where
    I: Clone,
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    let begun = leads.into_iter().map(|Start { element, leading, renews }| async move {
        let begun = element.job.begin(leading).await;
        (element, renews, begun)
    });
    let mut runs = Vec::new();
    let mut done = Done { answers: Vec::new(), due: Vec::new(), failed: None };
    for (element, renews, begun) in together(gathering, begun).await {
        match begun {
            Begun::Run(run) => {
                if renews {
                    element.job.counters().refreshes.add_one();
                }
                runs.push(Running { element, run });
            }
            Begun::Due(answer) if !renews => {
                done.answers.push((element.id.clone(), answer));
                done.due.push(element);
            }
            Begun::Answer(answer) | Begun::Due(answer) => done.answers.push((element.id, answer)),
        }
    }
    (runs, done)
}

/// The body of a round, which is the body of all its runs.
struct Body<S: Outcome, X, H> {
    /// One of the calls, to speak for all.
    job: Job<S, X, H>,
    surroundings: Context,
    /// Who waits for one of the runs waits for what the first one waits for.
    _edges: Vec<Option<Edge>>,
}

impl<S, X, H> Body<S, X, H>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// `None` where there is no run.
    fn of<I>(runs: &[Running<I, S, X, H>]) -> Option<Self> {
        let (first, others) = runs.split_first()?;
        let job = first.element.job.clone();
        let lead = &first.run.lead;
        let flights = &job.cache.core().flights;
        let edges = others.iter().map(|other| flights.link(other.run.lead.id(), lead.id())).collect();
        Some(Self { surroundings: Job::<S, X, H>::surroundings(lead, Context::current()), job, _edges: edges })
    }

    async fn run<F: Future>(self, body: F) -> Result<F::Output, Ended<S::Return>> {
        self.job.counters().runs.add_one();
        let mut body = pin!(self.surroundings.scope(body));
        let body = poll_fn(|task| self.job.counting_panics(|| body.as_mut().poll(task)));
        self.job.within_limit(self.job.hard_limit(), body).await
    }
}

/// An id whose run has made something of it.
struct Made<I, S: Outcome, X, H> {
    running: Running<I, S, X, H>,
    one: S::Return,
}

/// What a body comes to: something for each id, or one failure for all.
type Apart<I, S, X, H> = Result<Vec<Made<I, S, X, H>>, Failed<I, S, X, H>>;

/// What the body returned for each id that has a run; what is past the cache is done with.
fn apart<R, I, S, X, H>(
    runs: Vec<Running<I, S, X, H>>,
    past: &[I],
    returned: Result<R, Ended<S::Return>>,
    done: &mut Done<I, S, X, H>,
) -> Apart<I, S, X, H>
where
    R: Many<One = S::Return, Entries: EntriesOf<I>>,
    I: Clone,
    S: Outcome,
{
    let mut entries = match returned.map(R::entries) {
        Ok(Ok(entries)) => entries,
        Ok(Err(one)) => return Err(Failed { runs, one, ended: None }),
        Err(Ended { error, ours }) => return Err(Failed { runs, one: ours(error.clone()), ended: Some(error) }),
    };
    let mut one = |id: &I| R::one(entries.take(id));
    done.answers.extend(past.iter().map(|id| (id.clone(), one(id))));
    let ones = runs.into_iter().map(|running| {
        let one = one(&running.element.id);
        Made { running, one }
    });
    Ok(ones.collect())
}

type Conclusions<I, S, X, H> = Vec<(Element<I, S, X, H>, Conclusion<S>)>;

fn conclude<I, S, X, H>(
    ones: Vec<Made<I, S, X, H>>,
    judge: &mut impl FnMut(&I, &S::Return) -> Verdict,
) -> Conclusions<I, S, X, H>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    let conclusions = ones.into_iter().map(|Made { running: Running { element, run }, one }| {
        let conclusion = element.job.conclude(run, one, |one| judge(&element.id, one));
        (element, conclusion)
    });
    conclusions.collect()
}

/// A body that has failed for all its ids.
struct Failed<I, S: Outcome, X, H> {
    runs: Vec<Running<I, S, X, H>>,
    /// What is returned for each.
    one: S::Return,
    /// Where it was we who ended it.
    ended: Option<FmError>,
}

/// A run that nothing stands in for.
struct Lost<I, S: Outcome, X, H> {
    running: Running<I, S, X, H>,
    groups: Box<[Group]>,
}

impl<I, S, X, H> Failed<I, S, X, H>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// Older values stand in where they may; the others are told of the failure. It is the whole batch's unless all is excused.
    fn conclude(
        self,
        is_past: bool,
        judge: &mut impl FnMut(&I, &S::Return) -> Verdict,
        done: &mut Done<I, S, X, H>,
    ) -> Conclusions<I, S, X, H> {
        let Self { runs, one, ended } = self;
        if let Some(first) = runs.first() {
            first.element.job.counters().failures.add_one();
        }
        let (mut excused, mut lost) = (Vec::new(), Vec::new());
        for Running { element, run } in runs {
            let (job, verdict) = (&element.job, judge(&element.id, &one));
            if let Some((value, what)) = job.stand_in(&run, &verdict, &one) {
                excused.push((element, Conclusion::Excused(Excused { run, value, what })));
                continue;
            }
            let core = job.cache.core();
            core.note(job.key.as_key(), Provenance::of(FmOutcome::Computed));
            let groups = core.groups(job.key.as_key(), &verdict.tags);
            lost.push(Lost { running: Running { element, run }, groups });
        }
        if is_past || !lost.is_empty() {
            done.failed = Some(tell(lost, one, ended));
        }
        excused
    }
}

/// Tells those who wait; what the caller of the batch gets.
fn tell<I, S, X, H>(lost: Vec<Lost<I, S, X, H>>, one: S::Return, ended: Option<FmError>) -> S::Return
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    if let Some(error) = ended {
        for Lost { running, groups } in lost {
            running.run.answer(Said::Ended(error.clone()), groups);
        }
        return one;
    }
    // Somebody who comes after this look takes over a dropped lead and runs, as one who came after the end.
    let awaited: Vec<_> = lost.into_iter().filter(|lost| lost.running.run.lead.has_waiters()).collect();
    let Some(first) = awaited.first() else { return one };
    let (shape, share) = (first.running.element.job.shape, first.running.element.job.share);
    match shape.split(one) {
        Split::Failed(failure) => {
            let (own, shared) = share.share(failure);
            match shared {
                Some(shared) => tell_all(awaited, Arc::new(shared)),
                None => scatter(awaited),
            }
            shape.failed(own)
        }
        Split::Value(stored) => shape.value(stored),
        Split::Absent(absent) => shape.absent(absent),
    }
}

fn tell_all<I, S: Outcome, X, H>(awaited: Vec<Lost<I, S, X, H>>, shared: Shared) {
    for Lost { running, groups } in awaited {
        running.run.answer(Said::Failed(shared.clone()), groups);
    }
}

/// Nobody else may have the failure: who waits runs the body.
fn scatter<I, S, X, H>(awaited: Vec<Lost<I, S, X, H>>)
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    if let Some(first) = awaited.first() {
        first.running.element.job.warn_of_unshareable();
    }
    awaited.into_iter().for_each(|lost| lost.running.run.lead.scatter());
}
