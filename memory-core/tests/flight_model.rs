//! Explores the interleavings of single flight under a model checker (`src/flight`, compiled here with its locks).
//!
//! Shuttle rather than loom: all that runs share stands under locks, so there are no weak memory orderings to explore,
//! which is where loom is the stronger; tasks, wakers and more than three threads are where Shuttle is. Each scenario
//! is run through the first schedules of a depth-first enumeration and through random ones of two kinds. A lost
//! wake-up shows as a deadlock, which Shuttle reports with a schedule to replay.

use std::{
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use shuttle::future::{block_on, spawn, yield_now};

use self::flight::{Flights, Join, Lead, Lookup, RunId, Wait, Waited, Waits};

#[allow(dead_code, unused_imports, reason = "the scenarios use a part of it")]
#[path = "../src/flight/mod.rs"]
mod flight;

/// The checker's locks in the place of `src/sync.rs`.
mod sync {
    use std::sync::PoisonError;

    pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic::AtomicUsize};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys are numbers; the value of a key is the version of the source that its run has read.
#[derive(Clone, Copy, PartialEq)]
struct Name(u64);

impl Lookup<Name> for Name {
    fn hash(&self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn is(&self, key: &Name) -> bool {
        self == key
    }

    fn to_key(&self) -> Name {
        *self
    }
}

const KEY: Name = Name(1);

/// What an engine has around the flights. The store is seen by the checker; the counters are not.
struct World {
    flights: Flights<Name, usize>,
    waits: Waits,
    store: sync::Mutex<HashMap<u64, usize>>,
    source: AtomicUsize,
    runs: AtomicUsize,
    running: AtomicUsize,
    most_running: AtomicUsize,
    cycles: AtomicUsize,
}

/// How a run stores.
#[derive(Clone, Copy)]
enum Storage {
    /// In one step with its end.
    Local,
    /// Some time after it is published.
    Remote,
}

impl World {
    fn new() -> Arc<Self> {
        let waits = Waits::new();
        Arc::new(Self {
            flights: Flights::with_shards(2, waits.clone()),
            waits,
            store: sync::Mutex::new(HashMap::new()),
            source: AtomicUsize::new(0),
            runs: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            cycles: AtomicUsize::new(0),
        })
    }

    fn stored(&self, key: Name) -> Option<usize> {
        sync::lock(&self.store).get(&key.0).copied()
    }

    fn put(&self, key: Name, value: usize) {
        sync::lock(&self.store).insert(key.0, value);
    }

    fn remove(&self, key: Name) {
        sync::lock(&self.store).remove(&key.0);
    }

    /// A memorized call.
    async fn call(&self, key: Name, storage: Storage) -> usize {
        if let Some(value) = self.stored(key) {
            return value;
        }
        match self.flights.join(&key, None) {
            Join::Lead(lead) => self.run(lead, storage).await,
            Join::Wait(wait) => self.wait(wait, storage).await,
            Join::Ready(value) => *value,
            Join::Cycle => unreachable!("nothing waits for a call from outside"),
        }
    }

    async fn wait(&self, wait: Wait<Name, usize>, storage: Storage) -> usize {
        match wait.await {
            Waited::Done(value) => *value,
            Waited::Lead(lead) => self.run(lead, storage).await,
        }
    }

    async fn run(&self, lead: Lead<Name, usize>, storage: Storage) -> usize {
        let key = *lead.key();
        if let Some(value) = self.stored(key) {
            lead.answer(Arc::new(value));
            return value;
        }
        let value = self.body().await;
        match storage {
            Storage::Local => {
                lead.finish(Arc::new(value), || self.put(key, value));
            }
            Storage::Remote => {
                let storing = lead.publish(Arc::new(value));
                yield_now().await;
                storing.commit(|| self.put(key, value));
            }
        }
        value
    }

    async fn body(&self) -> usize {
        self.runs.fetch_add(1, SeqCst);
        let _running = Running::new(self);
        let value = self.source.load(SeqCst);
        yield_now().await;
        value
    }

    /// No run is left, not even in the books.
    fn assert_quiet(&self) {
        assert_eq!(self.flights.len(), 0, "a run is left");
        assert_eq!(self.waits.len(), 0, "a wait is left");
        let joined = self.flights.join(&KEY, None);
        assert!(matches!(joined, Join::Lead(_)), "a run is left in the table");
    }
}

/// Counts how many bodies run side by side.
struct Running<'a>(&'a World);

impl<'a> Running<'a> {
    fn new(world: &'a World) -> Self {
        let now = world.running.fetch_add(1, SeqCst) + 1;
        world.most_running.fetch_max(now, SeqCst);
        Self(world)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

fn explore(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_dfs(scenario.clone(), Some(3_000));
    shuttle::check_random(scenario.clone(), 2_000);
    shuttle::check_pct(scenario, 2_000, 3);
}

/// Polls once and tells whether that was enough.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[test]
fn many_callers_share_one_run() {
    for storage in [Storage::Local, Storage::Remote] {
        explore(move || {
            let world = World::new();
            let callers: Vec<_> = (0..3)
                .map(|_| {
                    let world = Arc::clone(&world);
                    spawn(async move { world.call(KEY, storage).await })
                })
                .collect();
            for caller in callers {
                assert_eq!(block_on(caller).unwrap(), 0);
            }
            assert_eq!(world.runs.load(SeqCst), 1);
            assert_eq!(world.stored(KEY), Some(0));
            world.assert_quiet();
        });
    }
}

#[test]
fn callers_that_go_away_at_any_point_leave_nobody_behind() {
    for storage in [Storage::Local, Storage::Remote] {
        explore(move || {
            let world = World::new();
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let world = Arc::clone(&world);
                    spawn(async move { world.call(KEY, storage).await })
                })
                .collect();
            callers[0].abort();
            callers[1].abort();
            for (number, caller) in callers.into_iter().enumerate() {
                let value = block_on(caller);
                assert!(number < 2 || value.is_ok_and(|value| value == 0));
            }
            assert_eq!(world.most_running.load(SeqCst), 1, "two bodies ran side by side");
            world.assert_quiet();
        });
    }
}

#[test]
fn a_waiter_that_is_never_polled_again_holds_up_nobody() {
    explore(|| {
        let world = World::new();
        let Join::Lead(lead) = world.flights.join(&KEY, None) else { panic!("there is a run") };
        let Join::Wait(mut unpolled) = world.flights.join(&KEY, None) else { panic!("there is no run") };
        assert!(block_on(poll_once(&mut unpolled)).is_none());
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let world = Arc::clone(&world);
                spawn(async move { world.call(KEY, Storage::Local).await })
            })
            .collect();
        let leader = spawn(async move { drop(lead) });
        for caller in callers {
            assert_eq!(block_on(caller).unwrap(), 0);
        }
        block_on(leader).unwrap();
        drop(unpolled);
        assert_eq!(world.runs.load(SeqCst), 1);
        world.assert_quiet();
    });
}

#[test]
fn after_an_invalidation_nothing_older_is_seen_or_stored() {
    for storage in [Storage::Local, Storage::Remote] {
        explore(move || {
            let world = World::new();
            let before = Arc::clone(&world);
            let before = spawn(async move { before.call(KEY, storage).await });
            let beside = Arc::clone(&world);
            let beside = spawn(async move { beside.call(KEY, storage).await });
            let after = Arc::clone(&world);
            let after = spawn(async move {
                after.source.store(1, SeqCst);
                after.flights.invalidate(&KEY, || after.remove(KEY));
                assert_ne!(after.stored(KEY), Some(0), "the store kept an old value");
                assert_eq!(after.call(KEY, storage).await, 1, "an old run answered a new caller");
            });
            block_on(after).unwrap();
            assert!(block_on(before).unwrap() <= 1 && block_on(beside).unwrap() <= 1);
            assert_eq!(world.stored(KEY), Some(1));
            world.assert_quiet();
        });
    }
}

#[test]
fn a_value_put_by_hand_is_never_overwritten_by_an_older_run() {
    explore(|| {
        let world = World::new();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let world = Arc::clone(&world);
                spawn(async move { world.call(KEY, Storage::Local).await })
            })
            .collect();
        world.flights.invalidate(&KEY, || world.put(KEY, 9));
        for caller in callers {
            block_on(caller).unwrap();
        }
        assert_eq!(world.stored(KEY), Some(9));
        world.assert_quiet();
    });
}

#[test]
fn after_a_group_invalidation_later_callers_run_anew() {
    explore(|| {
        let world = World::new();
        let before = Arc::clone(&world);
        let before = spawn(async move { before.call(KEY, Storage::Local).await });
        let after = Arc::clone(&world);
        let after = spawn(async move {
            after.source.store(1, SeqCst);
            after.flights.invalidate_where(|key| *key == KEY);
            match after.flights.join(&KEY, None) {
                Join::Lead(lead) => assert!(after.run(lead, Storage::Local).await <= 1),
                Join::Wait(wait) => assert_eq!(after.wait(wait, Storage::Local).await, 1, "an old run was joined"),
                Join::Ready(_) | Join::Cycle => unreachable!(),
            }
        });
        block_on(after).unwrap();
        let value = block_on(before).unwrap();
        let stored = world.stored(KEY);
        assert!(stored >= Some(value), "the older run has stored over the younger one");
        world.assert_quiet();
    });
}

#[test]
fn a_superseded_run_never_overwrites_its_successor() {
    for storage in [Storage::Local, Storage::Remote] {
        explore(move || {
            let world = World::new();
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    let world = Arc::clone(&world);
                    spawn(async move { world.call(KEY, storage).await })
                })
                .collect();
            let refresher = Arc::clone(&world);
            let refresher = spawn(async move {
                refresher.source.store(1, SeqCst);
                let lead = refresher.flights.supersede(&KEY, None);
                let value = refresher.body().await;
                assert!(lead.finish(Arc::new(value), || refresher.put(KEY, value)), "nobody took the right to store");
                assert_eq!(value, 1);
            });
            block_on(refresher).unwrap();
            assert_eq!(world.stored(KEY), Some(1), "the older run has stored");
            for caller in callers {
                block_on(caller).unwrap();
            }
            assert_eq!(world.stored(KEY), Some(1), "the older run has stored");
            world.assert_quiet();
        });
    }
}

#[test]
fn what_is_published_answers_at_once_until_it_is_invalidated() {
    explore(|| {
        let world = World::new();
        let published = Arc::new(AtomicBool::new(false));
        let invalidated = Arc::new(AtomicBool::new(false));

        let storing = {
            let (world, published) = (Arc::clone(&world), Arc::clone(&published));
            let Join::Lead(lead) = world.flights.join(&KEY, None) else { panic!("there is a run") };
            spawn(async move {
                let value = world.body().await;
                let storing = lead.publish(Arc::new(value));
                published.store(true, SeqCst);
                yield_now().await;
                let was_detached = storing.is_detached();
                let stored = storing.commit(|| world.put(KEY, value));
                assert!(!(was_detached && stored), "what was detached has stored");
            })
        };
        let joining = {
            let (world, published, invalidated) =
                (Arc::clone(&world), Arc::clone(&published), Arc::clone(&invalidated));
            spawn(async move {
                let is_invalidated = invalidated.load(SeqCst);
                let is_published = published.load(SeqCst);
                match world.flights.join(&KEY, None) {
                    Join::Ready(_) => assert!(!is_invalidated),
                    Join::Wait(wait) => {
                        assert!(!is_published && !is_invalidated);
                        world.wait(wait, Storage::Local).await;
                    }
                    Join::Lead(lead) => {
                        assert!(world.stored(KEY).is_some() || world.source.load(SeqCst) == 1);
                        world.run(lead, Storage::Local).await;
                    }
                    Join::Cycle => unreachable!(),
                }
            })
        };
        let invalidating = {
            let world = Arc::clone(&world);
            spawn(async move {
                world.source.store(1, SeqCst);
                world.flights.invalidate(&KEY, || world.remove(KEY));
                invalidated.store(true, SeqCst);
                assert_ne!(world.stored(KEY), Some(0));
            })
        };
        for task in [storing, joining, invalidating] {
            block_on(task).unwrap();
        }
        assert_ne!(world.stored(KEY), Some(0), "an old value was stored");
        world.assert_quiet();
    });
}

/// A call of `path[0]` whose body calls `path[1]`, and so on; a call that would wait for ever runs its body uncached.
fn nested<'a>(
    world: &'a World,
    path: &'a [Name],
    within: Option<RunId>,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    Box::pin(async move {
        let Some((key, rest)) = path.split_first() else { return };
        let lead = match world.flights.join(key, within) {
            Join::Lead(lead) => lead,
            Join::Wait(wait) => match wait.await {
                Waited::Done(_) => return,
                Waited::Lead(lead) => lead,
            },
            Join::Ready(_) => return,
            Join::Cycle => {
                world.cycles.fetch_add(1, SeqCst);
                return;
            }
        };
        yield_now().await;
        nested(world, rest, Some(lead.id())).await;
        lead.finish(Arc::new(0), || ());
    })
}

fn explore_nested(paths: &'static [&'static [Name]], aborted: usize, check: fn(&World)) {
    explore(move || {
        let world = World::new();
        let calls: Vec<_> = paths
            .iter()
            .map(|path| {
                let world = Arc::clone(&world);
                spawn(async move { nested(&world, path, None).await })
            })
            .collect();
        calls[..aborted].iter().for_each(|call| call.abort());
        for (number, call) in calls.into_iter().enumerate() {
            assert!(block_on(call).is_ok() || number < aborted);
        }
        check(&world);
        world.assert_quiet();
    });
}

#[test]
fn two_runs_that_need_each_other_end() {
    explore_nested(&[&[Name(1), Name(2)], &[Name(2), Name(1)]], 0, |world| {
        assert!(world.cycles.load(SeqCst) <= 1, "one refusal is enough");
    });
}

#[test]
fn three_runs_in_a_ring_end() {
    explore_nested(&[&[Name(1), Name(2)], &[Name(2), Name(3)], &[Name(3), Name(1)]], 0, |world| {
        assert!(world.cycles.load(SeqCst) <= 1, "one refusal is enough");
    });
}

#[test]
fn runs_that_need_each_other_end_when_one_is_taken_over() {
    explore_nested(&[&[Name(1), Name(2)], &[Name(2), Name(1)], &[Name(2), Name(1)]], 1, |_| ());
}

#[test]
fn a_run_that_takes_over_what_it_waits_for_still_waits_for_it() {
    explore_nested(&[&[Name(2)], &[Name(1), Name(2), Name(1)]], 1, |world| {
        assert!(world.cycles.load(SeqCst) <= 1);
    });
}

#[test]
fn a_run_that_calls_itself_is_refused() {
    explore_nested(&[&[Name(1), Name(1)], &[Name(1), Name(2), Name(1)]], 0, |world| {
        assert!(world.cycles.load(SeqCst) >= 1);
    });
}

#[test]
fn waiters_of_a_failure_that_cannot_be_shared_run_side_by_side() {
    // Too many tasks for an enumeration to get far.
    for (successes, aborted) in [(0, 0), (1, 0), (2, 3), (0, 9)] {
        shuttle::check_random(move || scattered(successes, aborted), 600);
        shuttle::check_pct(move || scattered(successes, aborted), 600, 3);
    }
}

/// A run that fails, waiters that run the body themselves, of which the first `successes` succeed, and `aborted`
/// waiters that go away at any point.
fn scattered(successes: usize, aborted: usize) {
    let world = World::new();
    let Join::Lead(lead) = world.flights.join(&KEY, None) else { panic!("there is a run") };
    let callers: Vec<_> = (0..flight::CROWD + 3)
        .map(|_| {
            let world = Arc::clone(&world);
            let Join::Wait(wait) = world.flights.join(&KEY, None) else { panic!("there is no run") };
            spawn(async move {
                match wait.await {
                    Waited::Done(value) => Some(*value),
                    Waited::Lead(lead) => fallible(&world, lead, successes).await,
                }
            })
        })
        .collect();
    lead.scatter();
    callers[..aborted].iter().for_each(|caller| caller.abort());
    let answers: Vec<_> = callers.into_iter().filter_map(|caller| block_on(caller).ok()).collect();

    assert!(world.most_running.load(SeqCst) <= flight::CROWD, "too many ran side by side");
    if successes == 0 {
        assert!(answers.iter().all(Option::is_none));
        assert!(world.runs.load(SeqCst) >= answers.len(), "each runs for itself");
    } else {
        let stored = world.stored(KEY);
        assert!(stored.is_some() || aborted > 0, "the first success was not stored");
        assert!(answers.iter().all(|answer| answer.is_none() || *answer == stored), "there is one first success");
    }
    world.assert_quiet();
}

/// A body that succeeds where `successes` asks for it, raced by those of others.
async fn fallible(world: &World, lead: Lead<Name, usize>, successes: usize) -> Option<usize> {
    assert!(lead.is_one_of_many());
    let number = world.runs.fetch_add(1, SeqCst);
    let mut overtaken = lead.overtaken();
    let running = Running::new(world);
    for _ in 0..2 {
        yield_now().await;
        if let Some(value) = poll_once(&mut overtaken).await {
            return Some(*value);
        }
    }
    drop(running);
    if number >= successes {
        lead.scatter();
        return None;
    }
    if lead.finish(Arc::new(number), || world.put(KEY, number)) {
        return Some(number);
    }
    poll_once(&mut overtaken).await.map(|value| *value)
}

#[test]
fn a_lead_that_is_overtaken_is_woken() {
    explore(|| {
        let world = World::new();
        let Join::Lead(lead) = world.flights.join(&KEY, None) else { panic!("there is a run") };
        let Join::Wait(first) = world.flights.join(&KEY, None) else { panic!("there is no run") };
        let Join::Wait(second) = world.flights.join(&KEY, None) else { panic!("there is no run") };
        lead.scatter();
        let slow = spawn(async move {
            match first.await {
                Waited::Done(value) => *value,
                Waited::Lead(lead) => *lead.overtaken().await,
            }
        });
        let quick = spawn(async move {
            match second.await {
                Waited::Done(_) => unreachable!("nobody else answers"),
                Waited::Lead(lead) => lead.answer(Arc::new(7)),
            }
        });
        assert_eq!(block_on(slow).unwrap(), 7);
        block_on(quick).unwrap();
        world.assert_quiet();
    });
}

#[test]
fn idle_comes_after_the_end_of_every_run_under_way() {
    for storage in [Storage::Local, Storage::Remote] {
        explore(move || {
            let world = World::new();
            let Join::Lead(lead) = world.flights.join(&KEY, None) else { panic!("there is a run") };
            let Join::Lead(other) = world.flights.join(&Name(2), None) else { panic!("there is a run") };
            let runs = [lead, other].map(|lead| {
                let world = Arc::clone(&world);
                spawn(async move { world.run(lead, storage).await })
            });
            let impatient = world.flights.idle();
            let impatient = spawn(async move {
                let mut impatient = pin!(impatient);
                let _ = impatient.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            });
            block_on(world.flights.idle());
            assert_eq!((world.stored(KEY), world.stored(Name(2))), (Some(0), Some(0)));
            block_on(impatient).unwrap();
            for run in runs {
                block_on(run).unwrap();
            }
            world.assert_quiet();
        });
    }
}

/// What a run whose value knows its tags tells: the epoch in which it began, what it read, and its name.
type Told = (usize, usize, RunId);

/// A call whose value turns out to have a tag that is invalidated meanwhile; as the engine's `turn`.
async fn tagged_call(flights: &Flights<Name, Told>, epoch: &AtomicUsize, runs: &AtomicUsize) -> usize {
    let called = epoch.load(SeqCst);
    loop {
        let told = match flights.join(&KEY, None) {
            Join::Lead(lead) => return tagged_run(lead, epoch, runs).await,
            Join::Wait(wait) => match wait.await {
                Waited::Done(told) => told,
                Waited::Lead(lead) => return tagged_run(lead, epoch, runs).await,
            },
            Join::Ready(told) => told,
            Join::Cycle => unreachable!("nothing waits for a call from outside"),
        };
        let (began, value, run) = *told;
        if began >= called {
            return value;
        }
        flights.retire(&KEY, run);
    }
}

/// The tag is invalidated by raising the epoch, which is also the version of what bodies read.
async fn tagged_run(lead: Lead<Name, Told>, epoch: &AtomicUsize, runs: &AtomicUsize) -> usize {
    runs.fetch_add(1, SeqCst);
    let (began, run) = (epoch.load(SeqCst), lead.id());
    yield_now().await;
    let storing = lead.publish(Arc::new((began, began, run)));
    yield_now().await;
    storing.commit(|| ());
    began
}

#[test]
fn callers_after_the_invalidation_of_a_tag_share_a_run_that_began_after_it() {
    explore(|| {
        let flights: Flights<Name, Told> = Flights::with_shards(2, Waits::new());
        let (epoch, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let caller = || {
            let (flights, epoch, runs) = (flights.clone(), Arc::clone(&epoch), Arc::clone(&runs));
            spawn(async move { tagged_call(&flights, &epoch, &runs).await })
        };
        let early = [caller(), caller()];
        epoch.fetch_add(1, SeqCst);
        let late = [caller(), caller()];
        for value in early.map(block_on) {
            assert!(value.unwrap() <= 1);
        }
        for value in late.map(block_on) {
            assert_eq!(value.unwrap(), 1, "nothing from before the invalidation");
        }
        assert!(runs.load(SeqCst) <= 4 && flights.len() == 0);
    });
}

#[test]
fn a_refresh_behind_an_answer_leads_alone_and_is_joined() {
    explore(|| {
        let world = World::new();
        let refreshes: Vec<_> = (0..2)
            .map(|_| {
                let world = Arc::clone(&world);
                spawn(async move {
                    match world.flights.lead_if_idle(&KEY) {
                        Some(lead) => drop(world.run(lead, Storage::Remote).await),
                        None => yield_now().await,
                    }
                })
            })
            .collect();
        let caller = Arc::clone(&world);
        let caller = spawn(async move { caller.call(KEY, Storage::Remote).await });
        refreshes.into_iter().for_each(|refresh| block_on(refresh).unwrap());
        assert_eq!(block_on(caller).unwrap(), 0);
        assert_eq!(world.most_running.load(SeqCst), 1, "two bodies ran side by side");
        world.assert_quiet();
    });
}
