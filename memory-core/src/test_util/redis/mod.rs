//! A shared store in this process, with the semantics of the real one, and the ways of processes to it.

mod bus;
mod doubt;
mod journal;
mod link;
mod node;
mod reconnect;
mod store;
mod tier;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use self::node::{Partition, SimNode};
use self::store::Store;
pub(super) use self::{link::operation, node::between};
use super::sim::history::Recorder;
use crate::sync::lock;

/// A simulated store shared between processes, all of them in this one: what `memory-redis` does with a real Redis, on
/// tokio's clock and from a seed.
///
/// It keeps entries with an expiry on its own clock, remembers removals of keys for a while, counts invalidations
/// and notes the count for each group, refuses writes whose runs began before an invalidation of theirs, grants leases,
/// and tells subscribers what others change. Make it inside a runtime with paused time; each process gets a
/// [`node`](Self::node) of its own.
///
/// # Examples
///
/// ```
/// # use memory_core::{FmCache, FmError, test_util::SimRedis};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), FmError> {
/// let redis = SimRedis::new(7);
/// let cache = FmCache::builder(redis.node()).prefix("app").build()?;
/// cache.set("k", 1).await?;
/// redis.restart();
/// assert_eq!(cache.get::<i32>("k").await?, None);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SimRedis(Arc<Server>);

struct Server {
    store: Mutex<Store>,
    seed: u64,
    nodes: AtomicU64,
}

/// Bugs to plant on purpose, to see that they are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bug {
    /// The store no longer compares generations: a run stores what was invalidated while it ran.
    GenerationsUnchecked,
    /// A process that reaches the store again, or its bus, goes on as if it had missed nothing: neither does it replay the
    /// removals that the store has missed, nor does it distrust what it keeps in memory.
    ReconnectIgnored,
    /// A process answers writes at once and sends them a little later, as if their runs began only then: what was invalidated
    /// meanwhile comes back.
    StoredAfterInvalidate,
}

impl SimRedis {
    /// An empty store.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Server { store: Mutex::new(Store::new()), seed, nodes: AtomicU64::new(0) }))
    }

    /// The way of one more process to it.
    pub fn node(&self) -> SimNode {
        self.node_recorded(None)
    }

    pub(super) fn node_recorded(&self, recorder: Option<Recorder>) -> SimNode {
        let number = self.0.nodes.fetch_add(1, Ordering::Relaxed);
        // Any odd constant keeps the sequences of the nodes apart.
        let seed = self.0.seed.wrapping_add((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        SimNode::new(self.clone(), number, seed, recorder)
    }

    /// Loses everything and breaks every connection, as a restart without persistence does.
    pub fn restart(&self) {
        self.with(Store::restart);
    }

    /// Loses one entry, as a full store does.
    pub fn evict(&self, pick: usize) {
        self.with(|store| store.evict(pick));
    }

    /// Plants a bug.
    pub fn plant(&self, bug: Bug) {
        self.with(|store| store.bug = Some(bug));
    }

    fn with<R>(&self, work: impl FnOnce(&mut Store) -> R) -> R {
        work(&mut lock(&self.0.store))
    }
}

impl fmt::Debug for SimRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRedis").field("seed", &self.0.seed).finish_non_exhaustive()
    }
}

/// Whole milliseconds, saturating.
fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
