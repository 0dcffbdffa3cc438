//! What goes wrong is drawn from the seed, and counted.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::Rates;
use crate::{
    error::{FmError, Kind},
    sync::lock,
    test_util::redis::between,
};

/// The switch and the counters of a [`ChaosBackend`](super::ChaosBackend).
#[derive(Clone, Debug, Default)]
pub struct ChaosHandle(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stopped: AtomicBool,
    reads: AtomicU64,
    writes: AtomicU64,
    removals: AtomicU64,
    others: AtomicU64,
    faults: AtomicU64,
    lost_replies: AtomicU64,
    delays: AtomicU64,
    zombies: AtomicU64,
    evictions: AtomicU64,
}

/// What a [`ChaosBackend`](super::ChaosBackend) has done so far. A snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChaosCounts {
    /// Reads, each of one key or more.
    pub reads: u64,
    /// Writes, each of one value or more.
    pub writes: u64,
    /// Removals, of keys and of groups.
    pub removals: u64,
    /// Other calls of a shared store: leases, and lives that are prolonged.
    pub others: u64,
    /// Calls that failed without effect.
    pub faults: u64,
    /// Those that took effect and failed all the same.
    pub lost_replies: u64,
    /// Those that had to wait.
    pub delays: u64,
    /// Writes that failed and arrived later.
    pub zombies: u64,
    /// Entries that went from memory.
    pub evictions: u64,
}

impl ChaosHandle {
    /// Nothing goes wrong from now on.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }

    /// Things go wrong again.
    pub fn start(&self) {
        self.0.stopped.store(false, Ordering::Relaxed);
    }

    /// What was done so far.
    pub fn counts(&self) -> ChaosCounts {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let state = &*self.0;
        ChaosCounts {
            reads: number(&state.reads),
            writes: number(&state.writes),
            removals: number(&state.removals),
            others: number(&state.others),
            faults: number(&state.faults),
            lost_replies: number(&state.lost_replies),
            delays: number(&state.delays),
            zombies: number(&state.zombies),
            evictions: number(&state.evictions),
        }
    }
}

pub(super) struct Dice {
    random: Mutex<fastrand::Rng>,
    rates: Rates,
    handle: ChaosHandle,
}

/// What is asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Write {
        /// Whether it may arrive late: something would refuse it then.
        may_haunt: bool,
    },
    Removal,
    Other,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// It fails before it has an effect.
    Fails,
    /// It takes effect; its caller hears of a failure.
    LosesReply,
    /// It takes effect after so long; its caller hears of a failure at once.
    Haunts(Duration),
}

impl Dice {
    pub(super) fn new(seed: u64, rates: Rates, handle: ChaosHandle) -> Self {
        Self { random: Mutex::new(fastrand::Rng::with_seed(seed)), rates, handle }
    }

    /// Draws what becomes of a call of a shared store, after waiting where it has to.
    pub(super) async fn roll(&self, call: Call) -> Fate {
        self.see(call);
        if let Some(wait) = self.wait() {
            self.count(|state| &state.delays);
            tokio::time::sleep(wait).await;
        }
        let fate = self.fate(call == Call::Write { may_haunt: true });
        match fate {
            Fate::Fine => {}
            Fate::Fails => self.count(|state| &state.faults),
            Fate::LosesReply => self.count(|state| &state.lost_replies),
            Fate::Haunts(_) => self.count(|state| &state.zombies),
        }
        fate
    }

    /// Whether an entry goes from memory now.
    pub(super) fn evicts(&self) -> bool {
        let evicts = self.happens(self.rates.evictions);
        if evicts {
            self.count(|state| &state.evictions);
        }
        evicts
    }

    /// Counts a call.
    pub(super) fn see(&self, call: Call) {
        self.count(|state| match call {
            Call::Read => &state.reads,
            Call::Write { .. } => &state.writes,
            Call::Removal => &state.removals,
            Call::Other => &state.others,
        });
    }

    fn wait(&self) -> Option<Duration> {
        self.happens(self.rates.delays).then(|| self.draw(self.rates.longest_delay))
    }

    fn fate(&self, may_haunt: bool) -> Fate {
        if self.happens(self.rates.faults) {
            Fate::Fails
        } else if self.happens(self.rates.lost_replies) {
            Fate::LosesReply
        } else if may_haunt && self.happens(self.rates.zombies) {
            Fate::Haunts(self.draw(self.rates.latest_zombie))
        } else {
            Fate::Fine
        }
    }

    fn happens(&self, rate: f64) -> bool {
        rate > 0.0 && !self.handle.0.stopped.load(Ordering::Relaxed) && lock(&self.random).f64() < rate
    }

    fn draw(&self, longest: Duration) -> Duration {
        between(&mut lock(&self.random), Duration::ZERO..longest)
    }

    fn count(&self, counter: impl FnOnce(&State) -> &AtomicU64) {
        counter(&self.handle.0).fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn fault() -> FmError {
    FmError::new(Kind::Backend, "a fault, as the seed of the ChaosBackend wanted it")
}
