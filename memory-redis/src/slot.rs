//! The place where the one connection of a store is, or the reason why there is none.

#[cfg(feature = "cluster")]
use std::collections::HashSet;
use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use memory_core::{
    FmError,
    backend::{Group, RemoteKey},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit, watch},
    task::AbortHandle,
};

use crate::{
    bus::Bus,
    clock::ServerClock,
    doubt::Doubts,
    failure,
    generation::Generation,
    journal::Journal,
    link::Link,
    names::Names,
    real_time,
    recent::{Recent, Removal},
    settings::Settings,
    supervisor,
    topology::Topology,
};
#[cfg(feature = "cluster")]
use crate::{
    cluster::{Cluster, View},
    hash_slot,
    journal::Backlog,
};

/// What may be under way at once, in units of [`UNIT`] bytes: a peer that swallows bytes can't make us hoard them.
const UNITS: u32 = 1024;
const UNIT: usize = 64 << 10;

/// One store's access to Redis, shared by its calls and its supervisor.
pub(crate) struct Slot {
    pub(crate) topology: Topology,
    pub(crate) settings: Settings,
    pub(crate) names: Names,
    pub(crate) clock: ServerClock,
    pub(crate) doubts: Doubts,
    /// Who we are to the other processes.
    pub(crate) sender: Generation,
    pub(crate) bus: Bus,
    phase: watch::Sender<Phase>,
    /// Held while the phase becomes [`Phase::Up`], so that a removal is either replayed before, or seen after it.
    journal: Mutex<Journal>,
    /// Where a confirmed removal can be lost.
    recent: Option<Mutex<Recent>>,
    was_up: AtomicBool,
    in_flight: Semaphore,
    supervised: AtomicBool,
    supervisor: Mutex<Option<AbortHandle>>,
    closed: AtomicBool,
}

#[derive(Clone)]
enum Phase {
    /// Nothing runs: not used yet, or the runtime of the supervisor has ended.
    Idle,
    /// The first try is under way: calls wait for it.
    Starting(Instant),
    /// A connection is being made up to date: removals use it, so that those which are made up for do not become more.
    Joining(Arc<Link>),
    /// A connection is in use.
    Up(Arc<Link>),
    /// There is none: calls fail at once.
    Down(FmError),
}

impl Slot {
    pub(crate) fn new(topology: Topology, settings: Settings, names: Names) -> Arc<Self> {
        Arc::new(Self {
            journal: Mutex::new(Journal::new(settings.removal_queue)),
            recent: topology.may_lose_writes().then(|| Mutex::new(Recent::new(settings.removal_queue))),
            topology,
            settings,
            names,
            clock: ServerClock::new(),
            doubts: Doubts::default(),
            sender: Generation::fresh(),
            bus: Bus::default(),
            phase: watch::Sender::new(Phase::Idle),
            was_up: AtomicBool::new(false),
            in_flight: Semaphore::new(UNITS as usize),
            supervised: AtomicBool::new(false),
            supervisor: Mutex::new(None),
            closed: AtomicBool::new(false),
        })
    }

    /// Runs `work` under the deadline of a call, with the connection that is in use.
    pub(crate) async fn call<T, F>(self: &Arc<Self>, work: impl FnOnce(Arc<Link>) -> F) -> Result<T, FmError>
    where
        F: Future<Output = Result<T, FmError>>,
    {
        self.call_over(Self::link, work).await
    }

    /// The same for a removal, which goes over a connection that is being made up to date, too.
    pub(crate) async fn call_to_remove<T, F>(self: &Arc<Self>, work: impl FnOnce(Arc<Link>) -> F) -> Result<T, FmError>
    where
        F: Future<Output = Result<T, FmError>>,
    {
        let link = async |slot: &Self| match slot.joining() {
            Some(link) => link.doom().map_or(Ok(link), Err),
            None => slot.link().await,
        };
        self.call_over(link, work).await
    }

    async fn call_over<T, F>(
        self: &Arc<Self>,
        link: impl AsyncFnOnce(&Self) -> Result<Arc<Link>, FmError>,
        work: impl FnOnce(Arc<Link>) -> F,
    ) -> Result<T, FmError>
    where
        F: Future<Output = Result<T, FmError>>,
    {
        self.supervise()?;
        let mut used = None;
        let limit = self.settings.deadline;
        let whole = async {
            let link = link(self).await?;
            used = Some(Arc::clone(&link));
            work(link).await
        };
        match real_time::within(limit, whole).await {
            Ok(outcome) => outcome,
            Err(real_time::Elapsed) => Err(used.map_or_else(|| failure::too_slow(limit), |link| link.was_slow(limit))),
        }
    }

    /// The connection in use, to one server, and the turn to send a few bytes, where neither has to be waited for.
    ///
    /// # Errors
    ///
    /// The store is closed, or there is no runtime.
    pub(crate) fn at_once(self: &Arc<Self>) -> Result<Option<(Arc<Link>, SemaphorePermit<'_>)>, FmError> {
        self.supervise()?;
        let Settings { spread, response_timeout, deadline, .. } = self.settings;
        // The limit of one round trip to one server is limit enough.
        let link = self.current().filter(|link| !spread && response_timeout <= deadline && link.doom().is_none());
        Ok(link.zip(self.in_flight.try_acquire().ok()))
    }

    /// Waits for its turn to send so many bytes.
    pub(crate) async fn turn(&self, bytes: usize) -> Result<SemaphorePermit<'_>, FmError> {
        let units = u32::try_from(1 + bytes / UNIT).unwrap_or(UNITS).min(UNITS);
        self.in_flight.acquire_many(units).await.map_err(|_| failure::closed())
    }

    /// Queues removals that have just failed, and gives the connection up: the next one is used only after a replay.
    pub(crate) fn queue_keys(&self, keys: &[RemoteKey], reason: &FmError) {
        self.queue(|journal| journal.add_keys(keys), keys, reason);
    }

    /// The same for a group.
    pub(crate) fn queue_group(&self, group: &Group, reason: &FmError) {
        self.queue(|journal| journal.add_group(group.clone()), &[], reason);
    }

    /// What waits to be replayed.
    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    /// Notes removals that are about to be sent, for the case that Redis confirms and then loses them.
    pub(crate) fn remember(&self, removals: impl Iterator<Item = Removal>) {
        if let Some(recent) = &self.recent {
            lock(recent).note(removals, Instant::now());
        }
    }

    /// Queues the latest removals again for the servers of a new connection, which may not have heard of them.
    pub(crate) fn recall_all(&self, journal: &mut Journal) {
        // Before the first connection, nothing was sent.
        let is_first = !self.was_up.swap(true, Ordering::Relaxed);
        if let Some(recent) = self.recent.as_ref().filter(|_| is_first) {
            lock(recent).clear();
        }
        self.recall(journal, |_| true);
    }

    /// The same for those of which `concerns` is true.
    fn recall(&self, journal: &mut Journal, concerns: impl Fn(&Removal) -> bool) {
        if let Some(recent) = &self.recent {
            lock(recent).recall(journal, Instant::now(), concerns);
        }
    }

    /// Lets removals use a connection; from here on none is queued that it can take.
    pub(crate) fn join(&self, link: &Arc<Link>) {
        let _journal = self.journal();
        self.phase.send_replace(Phase::Joining(Arc::clone(link)));
    }

    fn joining(&self) -> Option<Arc<Link>> {
        match &*self.phase.borrow() {
            Phase::Joining(link) => Some(Arc::clone(link)),
            _ => None,
        }
    }

    /// Puts a connection to use, unless a removal has been queued.
    pub(crate) fn admit(&self, link: &Arc<Link>) -> bool {
        let journal = self.journal();
        let admitted = journal.is_empty();
        if admitted {
            self.phase.send_replace(Phase::Up(Arc::clone(link)));
        }
        admitted
    }

    /// Puts a connection to a cluster to use, with the slots set apart for which removals are queued; `false` for a
    /// connection to one server.
    pub(crate) fn admit_apart(&self, link: &Arc<Link>) -> bool {
        #[cfg(feature = "cluster")]
        if let Some(cluster) = link.cluster() {
            let mut journal = self.journal();
            self.recall_all(&mut journal);
            cluster.keep_apart(self.waiting(&journal));
            self.phase.send_replace(Phase::Up(Arc::clone(link)));
            return true;
        }
        let _ = link;
        false
    }

    /// There is no connection from now on, for this reason.
    pub(crate) fn fall(&self, reason: FmError) {
        self.phase.send_replace(Phase::Down(reason));
    }

    /// The connection in use, if there is one.
    pub(crate) fn current(&self) -> Option<Arc<Link>> {
        match &*self.phase.borrow() {
            Phase::Up(link) => Some(Arc::clone(link)),
            _ => None,
        }
    }

    /// Waits until there is a connection in use.
    pub(crate) async fn up(&self) -> Arc<Link> {
        let mut changes = self.phase.subscribe();
        loop {
            if let Phase::Up(link) = &*changes.borrow_and_update() {
                return Arc::clone(link);
            }
            if changes.changed().await.is_err() {
                // The sender lies in this very struct.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Nothing runs from now on until the next call.
    pub(crate) fn idle(&self) {
        self.phase.send_replace(Phase::Idle);
        self.supervised.store(false, Ordering::Release);
    }

    /// Stops everything, for good.
    pub(crate) fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.in_flight.close();
        if let Some(supervisor) = lock(&self.supervisor).take() {
            supervisor.abort();
        }
        self.bus.stop();
        self.phase.send_replace(Phase::Down(failure::closed()));
        if !self.journal().is_empty() {
            tracing::warn!(
                redis = self.topology.address(),
                "the cache was closed before Redis could be told of all removals"
            );
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Starts the supervisor where none runs: on the first call, and when the runtime it ran in has ended.
    fn supervise(self: &Arc<Self>) -> Result<(), FmError> {
        if self.is_closed() {
            return Err(failure::closed());
        }
        if self.supervised.load(Ordering::Acquire) {
            return Ok(());
        }
        let runtime = Handle::try_current()
            .map_err(|_| failure::backend("Redis can be used only within a tokio runtime, and there is none here"))?;
        if !self.supervised.swap(true, Ordering::AcqRel) {
            self.phase.send_replace(Phase::Starting(Instant::now()));
            let task = runtime.spawn(supervisor::run(supervisor::Reign::over(Arc::clone(self))));
            *lock(&self.supervisor) = Some(task.abort_handle());
            self.bus.start(self, &runtime);
        }
        Ok(())
    }

    /// The connection in use. Waits for the first one after a start, for as long as one call may take.
    async fn link(&self) -> Result<Arc<Link>, FmError> {
        let mut phase = self.phase.borrow().clone();
        if let Phase::Starting(since) = phase {
            if since.elapsed() > self.settings.deadline {
                return Err(failure::backend("Redis has not answered yet"));
            }
            let mut changes = self.phase.subscribe();
            let is_settled = |phase: &Phase| !matches!(phase, Phase::Starting(_) | Phase::Joining(_));
            let settled = changes.wait_for(is_settled).await;
            phase = settled.map_err(|_| failure::closed())?.clone();
        }
        match phase {
            Phase::Up(link) => link.doom().map_or(Ok(link), Err),
            Phase::Down(reason) => Err(reason),
            Phase::Joining(_) => Err(failure::backend("what Redis has missed is being made up for")),
            Phase::Idle | Phase::Starting(_) => Err(failure::backend("the connection to Redis is starting anew")),
        }
    }

    fn queue(&self, add: impl FnOnce(&mut Journal), keys: &[RemoteKey], reason: &FmError) {
        let mut journal = self.journal();
        add(&mut journal);
        let Some(link) = self.current().or_else(|| self.joining()) else { return };
        #[cfg(feature = "cluster")]
        if let Some(cluster) = link.cluster() {
            return cluster.set_apart(self.slots(keys.iter(), journal.groups()));
        }
        let _ = keys;
        link.condemn(reason.clone());
    }
}

#[cfg(feature = "cluster")]
impl Slot {
    /// The removals that wait for nodes that can be reached.
    pub(crate) fn within_reach(&self, cluster: &Cluster) -> Backlog {
        let mut backlog = self.journal().backlog();
        backlog.keys.retain(|(key, _)| cluster.reaches(&key.text));
        backlog.groups.retain(|(group, _)| cluster.reaches(&self.names.group(group)));
        backlog
    }

    /// Uses a new connection to the master at `place`, which is told first what it may have missed.
    pub(crate) fn use_master(&self, cluster: &Cluster, view: View, place: usize) {
        let mut journal = self.journal();
        self.recall(&mut journal, |removal| view.shards.owner(self.slot_of(removal)) == Some(place));
        cluster.keep_apart(self.waiting(&journal));
        cluster.show(view);
    }

    fn slot_of(&self, removal: &Removal) -> u16 {
        match removal {
            Removal::Key(key) => hash_slot::of(key.text.as_bytes()),
            Removal::Group(group) => hash_slot::of(self.names.group(group).as_bytes()),
        }
    }

    /// Uses the slots again for which no removal waits any more.
    pub(crate) fn settle(&self, cluster: &Cluster) {
        let journal = self.journal();
        cluster.keep_apart(self.waiting(&journal));
    }

    fn waiting(&self, journal: &Journal) -> HashSet<u16> {
        let backlog = journal.backlog();
        self.slots(backlog.keys.iter().map(|(key, _)| key), journal.groups()).collect()
    }

    fn slots<'a>(
        &self,
        keys: impl Iterator<Item = &'a RemoteKey>,
        groups: impl Iterator<Item = &'a Group>,
    ) -> impl Iterator<Item = u16> {
        let keys = keys.map(|key| hash_slot::of(key.text.as_bytes()));
        keys.chain(groups.map(|group| hash_slot::of(self.names.group(group).as_bytes())))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
