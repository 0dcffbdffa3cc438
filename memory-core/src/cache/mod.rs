//! The cache: lookup → fresh | miss → flight → store → invalidate.

mod batch;
mod blocking;
mod builder;
mod calls;
mod coherence;
mod context;
mod direct;
mod engine;
mod epoch;
#[cfg_attr(not(feature = "axum"), allow(dead_code, reason = "only routers ask"))]
mod exchange;
#[cfg(feature = "axum")]
mod held;
mod keep;
#[cfg(feature = "axum")]
mod layer;
mod life;
mod look;
mod manager;
pub(crate) mod outcome;
mod read;
mod report;
mod run;
mod serve;
mod store;
#[cfg(test)]
mod tests;
mod told;

use std::{
    future::{Future, IntoFuture},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub use batch::Many;
pub(crate) use batch::{Batch, Element, EntriesOf};
pub(crate) use blocking::block_on;
pub use builder::FmCacheBuilder;
pub use calls::{ClearMany, Compute, Get, GetMany, InvalidateTag, Put, Remove, RemoveMany, Set, SetMany};
pub(crate) use context::Context;
#[cfg(any(feature = "retry", feature = "axum"))]
pub(crate) use context::Surrounded;
pub(crate) use direct::Chosen;
#[cfg(feature = "axum")]
pub(crate) use direct::key as direct_key;
pub(crate) use engine::Ours;
pub(crate) use engine::{Job, Leading, Show, Turn};
#[cfg(feature = "axum")]
pub(crate) use exchange::Wish;
pub(crate) use exchange::{Exchange, Served};
#[cfg(feature = "axum")]
pub(crate) use held::{Held, Holding, Since};
#[cfg(feature = "axum")]
pub use layer::{FmCacheLayer, FmCacheService};
pub(crate) use life::Limits;
pub(crate) use look::{Hit, Look};
pub use manager::FmCacheManager;
pub(crate) use manager::with_current;
pub use report::{FmCall, FmOutcome, FmTier};
pub(crate) use run::{Judge, Renewal, start_of};
pub(crate) use store::Write;
pub(crate) use told::{Told, Topic};

use crate::{
    backend::{FmBackend, LocalTier, Prefix, RemoteTier},
    cache::{
        coherence::{Coherence, Listener},
        engine::Published,
        epoch::Epochs,
        life::Defaults,
    },
    flight::Flights,
    key::{Key, registry},
    stats::{FmStats, Stats},
};

/// A handle to a cache: clone it, keep it in your state, hand it to tasks; all clones are one cache.
///
/// [`FmCacheManager`] is the process-wide one, with the same methods.
///
/// # Examples
///
/// ```
/// # use memory_core::{FmCache, FmCacheManager, FmMemoryBackend};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_core::FmError> {
/// let cache: FmCache = FmCacheManager::builder(FmMemoryBackend::new()).prefix("app-cache").build()?;
/// cache.set("answer", 42).expire(60).await?;
/// assert_eq!(cache.get::<i32>("answer").await?, Some(42));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct FmCache {
    core: Arc<Core>,
}

/// What all handles to one cache share.
pub(crate) struct Core {
    pub(crate) prefix: Prefix,
    pub(crate) local: Option<Arc<dyn LocalTier>>,
    pub(crate) remote: Option<Arc<dyn RemoteTier>>,
    /// Of the copies in memory, where there are both stores.
    pub(crate) coherence: Option<Coherence>,
    pub(crate) defaults: Defaults,
    pub(crate) flights: Flights<Key, Published>,
    pub(crate) epochs: Epochs,
    pub(crate) stats: Stats,
    pub(crate) told: Told,
    closed: AtomicBool,
}

impl FmCache {
    /// Begins a cache that is not the process-wide one.
    pub fn builder(backend: impl FmBackend) -> FmCacheBuilder {
        FmCacheBuilder::new(backend)
    }

    pub(crate) fn from_core(core: Core) -> Self {
        let core = Arc::new(core);
        if let (Some(_), Some(remote)) = (&core.coherence, &core.remote) {
            remote.watch(Arc::new(Listener(Arc::downgrade(&core))));
        }
        Self { core }
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Makes this cache the "global" one for everything awaited inside `future`: memorized functions, direct calls on
    /// [`FmCacheManager`], and the runs they start. So tests run side by side, each with a cache of its own.
    ///
    /// Task-local: a task that `future` spawns by itself does not inherit it; give such a task a scope of its own.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `future`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::{FmCacheManager, FmMemoryBackend};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_core::FmError> {
    /// let cache = FmCacheManager::builder(FmMemoryBackend::new()).prefix("one-test").build()?;
    /// cache.scope(async { FmCacheManager::set("k", 1).await }).await?;
    /// assert_eq!(cache.get::<i32>("k").await?, Some(1));
    /// assert_eq!(FmCacheManager::get::<i32>("k").await?, None);
    /// # Ok(()) }
    /// ```
    pub fn scope<F: IntoFuture>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.surroundings().scope(future.into_future())
    }

    fn surroundings(&self) -> Context {
        Context { cache: Some(self.clone()), ..Context::current() }
    }

    /// What this cache has done so far.
    pub fn stats(&self) -> FmStats {
        let mut stats = self
            .core
            .stats
            .snapshot(|number| registry::function(number).map_or_else(String::new, |function| function.id.to_string()));
        if let Some(local) = &self.core.local {
            stats.entries = local.entry_count();
            stats.evictions = local.evictions();
        }
        stats
    }

    /// The prefix all keys of this cache begin with.
    pub fn prefix(&self) -> &str {
        self.core.prefix.plain()
    }

    /// Waits until no background work is left: no body runs, nothing is being stored.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any point; it only watches.
    pub async fn settle(&self) {
        self.core.flights.idle().await;
    }

    /// Settles, then stops. Later calls of memorized functions run their bodies uncached, direct calls answer as if nothing were
    /// stored.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any point and called again.
    pub async fn close(&self) {
        self.core.closed.store(true, Ordering::Release);
        self.settle().await;
        if let Some(remote) = &self.core.remote {
            remote.close().await;
        }
    }
}

impl Core {
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for FmCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FmCache").field("prefix", &self.prefix()).finish_non_exhaustive()
    }
}
