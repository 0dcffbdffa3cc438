//! Who runs and who waits: single flight, as a small state machine of its own.
//!
//! Callers that miss the same key at the same time [`join`](Flights::join) one *run*: the first of them gets the
//! [`Lead`] and runs the body, the others [`Wait`]. A run is in one of these states:
//!
//! ```text
//!              join                         finish, answer
//!   (nothing) ──────▶ led ────────────────────────────────────▶ answered: waiters take the value and go
//!                    │   ▲  ╲  publish          commit, drop  ╱
//!     lead dropped   │   │   ╰─────▶ answered, being stored ─╯  (a later join is Ready)
//!  (panic, cancelled)▼   │ a waiter or a later join takes over
//!                  vacant, all waiters awake ───▶ (nothing) once the last waiter is gone
//! ```
//!
//! [`Lead::scatter`] widens a run: up to [`CROWD`] callers lead it side by side, and the first success answers all.
//!
//! A run may store exactly as long as it is in the table. [`Flights::invalidate`] and [`Flights::supersede`] take it
//! out ("detach" it): its callers still get its value, but it never stores, and later calls run anew. Because stores
//! and removals happen under the lock of the key's shard, an invalidation and the end of a run can't overlap.
//!
//! Locks are taken in the order shard, run, waits; none is held across an await or while a task is woken. Nothing here
//! knows what a key or a value is. `tests/flight.rs` walks every transition; `tests/flight_model.rs` explores the
//! interleavings under a model checker.

mod idle;
mod lead;
mod run;
mod wait;
mod waits;
mod wakers;

use std::sync::Arc;

use hashbrown::{HashTable, hash_table::Entry};

use self::{idle::Idlers, run::Run};
use super::sync::{self, AtomicUsize, Mutex, lock};

pub(crate) use self::{
    idle::Idle,
    lead::{Lead, Overtaken, Storing},
    run::CROWD,
    wait::{Wait, Waited},
    waits::{Edge, RunId, Waits},
};

/// A key on loan: compared with the keys of the runs under way, and made an owned one only to start a run.
pub(crate) trait Lookup<K> {
    /// Equal for equal keys, and well mixed in all its bits.
    fn hash(&self) -> u64;
    /// Whether `key` is the one that was lent.
    fn is(&self, key: &K) -> bool;
    /// An owned key.
    fn to_key(&self) -> K;
}

/// The runs under way. A handle: clones share them.
pub(crate) struct Flights<K, V: ?Sized>(Arc<Shared<K, V>>);

/// What came of turning to a key.
pub(crate) enum Join<K, V: ?Sized> {
    /// Nobody runs: the caller has to. It should look into the store once more first, as a run may have ended between
    /// its lookup and this.
    Lead(Lead<K, V>),
    /// Somebody runs: wait for the end.
    Wait(Wait<K, V>),
    /// Somebody has run, and the value is on its way into the store.
    Ready(Arc<V>),
    /// Somebody runs, but waits for the caller: waiting would never end.
    Cycle,
}

/// Enough that calls of different keys seldom meet at a lock.
const SHARDS: usize = 64;

struct Shared<K, V: ?Sized> {
    shards: Box<[Shard<K, V>]>,
    waits: Waits,
    idlers: Idlers,
}

/// A part of the table, on a cache line of its own.
#[repr(align(64))]
struct Shard<K, V: ?Sized> {
    table: Mutex<Table<K, V>>,
    /// How many leads and pending stores there are for keys of this shard, detached runs included.
    active: AtomicUsize,
}

/// The runs that later calls join and that may store.
type Table<K, V> = HashTable<Arc<Run<K, V>>>;

impl<K, V: ?Sized> Flights<K, V> {
    /// No runs yet. Caches whose functions may call each other share `waits`.
    pub(crate) fn new(waits: Waits) -> Self {
        Self::with_shards(SHARDS, waits)
    }

    /// As [`new`](Self::new), with a number of shards that is a power of two.
    pub(crate) fn with_shards(shards: usize, waits: Waits) -> Self {
        let shards =
            (0..shards).map(|_| Shard { table: Mutex::new(HashTable::new()), active: AtomicUsize::new(0) }).collect();
        Self(Arc::new(Shared { shards, waits, idlers: Idlers::default() }))
    }

    /// Joins the run under way for `key`, or leads one. `within` is the run in whose body the caller is.
    pub(crate) fn join(&self, key: &impl Lookup<K>, within: Option<RunId>) -> Join<K, V> {
        let hash = key.hash();
        let mut table = lock(&self.0.shard(hash).table);
        match table.entry(hash, |run| run.is(hash, key), |run| run.hash()) {
            Entry::Occupied(slot) => slot.get().admit(within),
            Entry::Vacant(slot) => {
                let lead = Lead::start(&self.0, hash, key.to_key(), within);
                slot.insert(Arc::clone(lead.run()));
                Join::Lead(lead)
            }
        }
    }

    /// Does something while no run of the key can begin, end or be detached.
    ///
    /// `then` runs under a lock: it has to be short and must not come back here.
    pub(crate) fn locked<R>(&self, key: &impl Lookup<K>, then: impl FnOnce() -> R) -> R {
        let _table = lock(&self.0.shard(key.hash()).table);
        then()
    }

    /// Leads a run if there is none for `key`.
    pub(crate) fn lead_if_idle(&self, key: &impl Lookup<K>) -> Option<Lead<K, V>> {
        let hash = key.hash();
        let mut table = lock(&self.0.shard(hash).table);
        match table.entry(hash, |run| run.is(hash, key), |run| run.hash()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(slot) => {
                let lead = Lead::start(&self.0, hash, key.to_key(), None);
                slot.insert(Arc::clone(lead.run()));
                Some(lead)
            }
        }
    }

    /// Detaches the run under way for `key` if it is this one.
    pub(crate) fn retire(&self, key: &impl Lookup<K>, run: RunId) {
        let hash = key.hash();
        let mut table = lock(&self.0.shard(hash).table);
        let detached = match table.entry(hash, |run| run.is(hash, key), |run| run.hash()) {
            Entry::Occupied(slot) if slot.get().id() == run => Some(slot.remove().0),
            _ => None,
        };
        drop(table);
        drop(detached);
    }

    /// Leads a run of its own and detaches one under way: that one may no longer store.
    pub(crate) fn supersede(&self, key: &impl Lookup<K>, within: Option<RunId>) -> Lead<K, V> {
        let hash = key.hash();
        let lead = Lead::start(&self.0, hash, key.to_key(), within);
        let mut table = lock(&self.0.shard(hash).table);
        let detached = match table.entry(hash, |run| run.is(hash, key), |run| run.hash()) {
            Entry::Occupied(mut slot) => Some(std::mem::replace(slot.get_mut(), Arc::clone(lead.run()))),
            Entry::Vacant(slot) => {
                slot.insert(Arc::clone(lead.run()));
                None
            }
        };
        drop(table);
        drop(detached);
        lead
    }

    /// Detaches the run under way for `key`, if there is one, and does `then` in the same step: the removal from the
    /// store, or a write by hand. Whatever ran before can't store after it.
    ///
    /// `then` runs under a lock: it has to be short and must not come back here.
    pub(crate) fn invalidate<R>(&self, key: &impl Lookup<K>, then: impl FnOnce() -> R) -> R {
        let hash = key.hash();
        let mut table = lock(&self.0.shard(hash).table);
        let detached = table.find_entry(hash, |run| run.is(hash, key)).ok().map(|slot| slot.remove().0);
        let result = then();
        drop(table);
        drop(detached);
        result
    }

    /// Detaches every run under way whose key `covers` picks.
    ///
    /// The shards are visited one after the other: a run that starts meanwhile may be missed, so whatever tells such a
    /// run that it is outdated (an epoch) has to be raised before.
    pub(crate) fn invalidate_where(&self, mut covers: impl FnMut(&K) -> bool) {
        for shard in &self.0.shards {
            let detached: Vec<_> = lock(&shard.table).extract_if(|run| covers(run.key())).collect();
            drop(detached);
        }
    }

    /// Records that a run waits for another, because the body of that one is the body of both; `None` where that one waits for it
    /// already.
    pub(crate) fn link(&self, waiting: RunId, target: RunId) -> Option<Edge> {
        self.0.waits.link(waiting, target)
    }

    /// How many bodies run and stores are pending, detached runs included.
    pub(crate) fn len(&self) -> usize {
        self.0.active()
    }

    /// Waits until every run that is under way now has ended, its store included.
    pub(crate) fn idle(&self) -> Idle<K, V> {
        Idle::new(Arc::clone(&self.0))
    }
}

impl<K, V: ?Sized> Clone for Flights<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V: ?Sized> Shared<K, V> {
    fn shard(&self, hash: u64) -> &Shard<K, V> {
        // The table itself uses the lowest and the highest bits.
        let middle = usize::try_from((hash >> 32) & 0xffff).unwrap_or_default();
        &self.shards[middle & (self.shards.len() - 1)]
    }
}
