//! One process's connection to the store, and what it knows of it.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{
    Bug, bus,
    doubt::Doubts,
    journal::{Journal, Missed, Removal},
    millis,
    node::Node,
    reconnect,
    store::{Asker, Store},
};
use crate::{
    backend::{Prefix, Watcher},
    error::{FmError, Kind},
    sync::lock,
    test_util::sim::history::What,
};

/// For how long a process waits for a reply.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// So many timeouts in a row condemn a connection.
const TIMEOUTS: u32 = 10;

/// How many removals are queued while the store can't be reached.
const QUEUE: usize = 64;

tokio::task_local! {
    /// The operation of a workload that is under way in this task.
    static OPERATION: u64;
}

/// Runs a part of a workload under a number, by which the history knows the removals that it causes.
pub(crate) fn operation<F: Future>(number: u64, work: F) -> impl Future<Output = F::Output> {
    OPERATION.scope(number, work)
}

pub(super) struct Link {
    pub(super) node: Arc<Node>,
    pub(super) number: u64,
    prefix: Arc<str>,
    phase: Mutex<Phase>,
    /// The phase is another one. (A `watch` would wake in random order.)
    turned: Notify,
    pub(super) condemned: Notify,
    pub(super) doubts: Doubts,
    state: Mutex<State>,
    closed: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Starting,
    Up,
    Down,
}

struct State {
    journal: Journal,
    watcher: Option<Arc<dyn Watcher>>,
    timeouts: u32,
    /// What the store's clock showed at a moment of ours.
    clock: Option<(u64, Instant)>,
}

impl Link {
    pub(super) fn new(node: Arc<Node>, prefix: &Prefix) -> Arc<Self> {
        let state = State { journal: Journal::new(QUEUE), watcher: None, timeouts: 0, clock: None };
        Arc::new(Self {
            number: node.number,
            prefix: prefix.plain().into(),
            node,
            phase: Mutex::new(Phase::Idle),
            turned: Notify::new(),
            condemned: Notify::new(),
            doubts: Doubts::default(),
            state: Mutex::new(state),
            closed: AtomicBool::new(false),
        })
    }

    pub(super) fn asker(&self) -> Asker {
        Asker { link: self.number, prefix: Arc::clone(&self.prefix) }
    }

    pub(super) fn bug(&self) -> Option<Bug> {
        self.node.redis.with(|store| store.bug)
    }

    pub(super) fn watch(&self, watcher: Arc<dyn Watcher>) {
        lock(&self.state).watcher = Some(watcher);
    }

    /// Whether nothing is to be done here any more.
    pub(super) fn is_over(&self) -> bool {
        self.closed.load(Ordering::Relaxed) || self.node.is_crashed()
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.turn(Phase::Down);
        self.condemned.notify_one();
    }

    /// Never ready in a process that has crashed.
    pub(super) async fn alive(&self) {
        if self.node.is_crashed() {
            pending::<()>().await;
        }
    }

    /// A call of the engine: waits for the first connection, fails at once while there is none.
    pub(super) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, FmError> {
        self.ready().await?;
        self.ask(work).await
    }

    /// Waits until there is a connection, when the first one is being made.
    pub(super) async fn ready(self: &Arc<Self>) -> Result<(), FmError> {
        self.alive().await;
        self.start()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let turned = self.turned.notified();
            match self.phase() {
                Phase::Up => return Ok(()),
                Phase::Down => return Err(unreachable_store()),
                Phase::Idle | Phase::Starting => timeout_at(deadline, turned).await.map_err(|_| unreachable_store())?,
            }
        }
    }

    pub(super) fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    pub(super) fn turn(&self, phase: Phase) {
        *lock(&self.phase) = phase;
        self.turned.notify_waiters();
    }

    /// One round trip, whatever is thought of the connection.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, FmError> {
        let deadline = Instant::now() + PATIENCE;
        let answer = timeout_at(deadline, self.send(work)).await.map(Result::ok);
        if let Ok(None) = answer {
            sleep_until(deadline).await;
        }
        self.alive().await;
        match answer {
            Ok(Some(outcome)) => {
                lock(&self.state).timeouts = 0;
                Ok(outcome)
            }
            Ok(None) | Err(_) => Err(self.was_slow()),
        }
    }

    /// Sends a request; the answer never comes when it or its reply is lost.
    fn send<T: Send + 'static>(&self, work: impl FnOnce(&mut Store) -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (tell, told) = oneshot::channel();
        let (node, reply) = (Arc::clone(&self.node), self.node.route().reply);
        self.post_then(work, move |outcome| async move {
            let Some(back) = reply else { return };
            sleep(back).await;
            if node.hears() {
                // One who has given up is told nothing.
                let _ = tell.send(outcome);
            }
        });
        told
    }

    /// Sends a request whose reply is of no interest.
    pub(super) fn post(&self, work: impl FnOnce(&mut Store) + Send + 'static) {
        self.post_then(work, |()| async {});
    }

    /// Sends a request: once sent, it arrives even if its caller goes away, unless the network loses it or the store has been
    /// restarted meanwhile.
    fn post_then<T: Send + 'static, F: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
        then: impl FnOnce(T) -> F + Send + 'static,
    ) {
        let Some(there) = self.node.route().request else { return };
        let redis = self.node.redis.clone();
        let life = redis.with(|store| store.life());
        tokio::spawn(async move {
            sleep(there).await;
            if let Some(outcome) = redis.with(|store| (store.life() == life).then(|| work(store))) {
                then(outcome).await;
            }
        });
    }

    fn was_slow(&self) -> FmError {
        let mut state = lock(&self.state);
        state.timeouts += 1;
        if state.timeouts >= TIMEOUTS {
            drop(state);
            self.condemn();
        }
        FmError::new(Kind::Backend, "the simulated store gave no answer in time")
    }

    /// Gives the connection up: the next one is used only after a replay.
    pub(super) fn condemn(&self) {
        if self.phase() == Phase::Up {
            self.turn(Phase::Down);
        }
        self.condemned.notify_one();
    }

    /// Queues a removal that has just failed.
    pub(super) fn queue(&self, removal: Removal, operation: Option<u64>) {
        let mut state = lock(&self.state);
        if let Some(operation) = operation {
            self.node.note(What::Missed { operation });
        }
        state.journal.add(removal, operation);
        self.condemn();
    }

    pub(super) fn backlog(&self) -> Vec<Missed> {
        lock(&self.state).journal.backlog()
    }

    pub(super) fn replayed(&self, backlog: &[Missed]) {
        lock(&self.state).journal.done(backlog);
    }

    /// Puts the connection to use, unless a removal has been queued.
    pub(super) fn admit(&self) -> bool {
        let state = lock(&self.state);
        let admitted = state.journal.is_empty() && !self.is_over();
        if admitted {
            self.turn(Phase::Up);
        }
        admitted
    }

    fn start(self: &Arc<Self>) -> Result<(), FmError> {
        if self.is_over() {
            return Err(FmError::new(Kind::Closed, "the cache was closed"));
        }
        if self.phase() != Phase::Idle {
            return Ok(());
        }
        let runtime = Handle::try_current().map_err(|_| unreachable_store())?;
        self.turn(Phase::Starting);
        runtime.spawn(reconnect::supervise(Arc::clone(self)));
        let watcher = lock(&self.state).watcher.take();
        if let Some(watcher) = watcher {
            runtime.spawn(bus::listen(Arc::clone(self), watcher));
        }
        Ok(())
    }

    pub(super) fn note_clock(&self, server_ms: u64, asked: Instant) {
        let shown = server_ms + millis(asked.elapsed() / 2);
        lock(&self.state).clock = Some((shown, Instant::now()));
    }

    /// The store's clock, as this process believes.
    pub(super) fn now_ms(&self) -> u64 {
        let shown = lock(&self.state).clock.map(|(shown, at)| shown + millis(at.elapsed()));
        let shown = shown.unwrap_or_else(|| self.node.redis.with(|store| store.now_ms()));
        shown.saturating_add_signed(self.node.skew())
    }

    pub(super) fn operation() -> Option<u64> {
        OPERATION.try_with(|number| *number).ok()
    }
}

fn unreachable_store() -> FmError {
    FmError::new(Kind::Backend, "the simulated store can't be reached")
}
