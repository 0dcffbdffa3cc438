//! The in-memory store: typed values, no serialisation, bounded.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{Expiry as MokaExpiry, notification::RemovalCause, sync::Cache};

use super::{FmBackend, LocalTier, Prefix, Tier, Weight};
use crate::{
    entry::Entry,
    error::FmError,
    key::{BuildKeyHasher, Key, KeyRef},
    time::Tick,
};

const DEFAULT_MAX_ENTRIES: u64 = 100_000;
const DEFAULT_MAX_BYTES: u64 = 256 << 20;

/// Keeps values in this process, as they are: a hit clones the value and serialises nothing.
///
/// Bounded, with an eviction policy (W-TinyLFU, by `moka`) that a scan over many keys does not flush.
///
/// # Default
///
/// At most 100,000 entries and 256 MiB, whichever comes first. Giving a bound replaces both.
///
/// # Examples
///
/// ```
/// # use memory_core::{FmCacheManager, FmMemoryBackend};
/// # fn main() -> Result<(), memory_core::FmError> {
/// let cache = FmCacheManager::builder(FmMemoryBackend::new()).prefix("app-cache").build()?;
/// let small = FmMemoryBackend::builder().max_entries(10_000).build();
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct FmMemoryBackend {
    settings: FmMemoryBackendBuilder,
}

impl FmMemoryBackend {
    /// A store with the default bounds.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store with bounds of your own.
    pub fn builder() -> FmMemoryBackendBuilder {
        FmMemoryBackendBuilder::default()
    }
}

/// Bounds of an [`FmMemoryBackend`].
#[derive(Default)]
#[must_use = "a builder does nothing until `.build()`"]
pub struct FmMemoryBackendBuilder {
    max_entries: Option<u64>,
    max_bytes: Option<u64>,
    weighers: HashMap<TypeId, Weigher>,
}

type Weigher = Box<dyn Fn(&dyn Any) -> u64 + Send + Sync>;

impl FmMemoryBackendBuilder {
    /// At most this many entries.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = Some(entries);
        self
    }

    /// At most this many bytes of values: a value weighs its serialised length (counted, not built), a `memory_only` value
    /// its own size, unless a [`weigher`](Self::weigher) says otherwise.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Says what values of type `T` weigh. Call it once for each type; without one the serialised length is taken.
    ///
    /// `T` is the stored part of what a function returns: `User` for `Result<Json<User>, E>`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::FmMemoryBackend;
    /// let backend = FmMemoryBackend::builder()
    ///     .max_bytes(64 << 20)
    ///     .weigher(|image: &Vec<u8>| image.len() as u64)
    ///     .build();
    /// ```
    pub fn weigher<T: 'static>(mut self, weigh: impl Fn(&T) -> u64 + Send + Sync + 'static) -> Self {
        let weigher: Weigher = Box::new(move |value| value.downcast_ref::<T>().map_or(0, &weigh));
        self.weighers.insert(TypeId::of::<T>(), weigher);
        self
    }

    /// The store.
    pub fn build(self) -> FmMemoryBackend {
        FmMemoryBackend { settings: self }
    }

    /// How many entries at most, and how many bytes.
    fn bounds(&self) -> (Option<u64>, Option<u64>) {
        match (self.max_entries, self.max_bytes) {
            (None, None) => (Some(DEFAULT_MAX_ENTRIES), Some(DEFAULT_MAX_BYTES)),
            given => given,
        }
    }
}

impl std::fmt::Debug for FmMemoryBackendBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (max_entries, max_bytes) = self.bounds();
        f.debug_struct("FmMemoryBackendBuilder")
            .field("max_entries", &max_entries)
            .field("max_bytes", &max_bytes)
            .finish_non_exhaustive()
    }
}

impl FmBackend for FmMemoryBackend {
    fn open(self, _: &Prefix) -> Result<Tier, FmError> {
        Ok(Tier::Local(Arc::new(Store::new(self.settings))))
    }
}

struct Store {
    cache: Cache<Key, Arc<Entry>, BuildKeyHasher>,
    evictions: Arc<AtomicU64>,
    weighers: HashMap<TypeId, Weigher>,
    by_bytes: bool,
}

impl Store {
    fn new(settings: FmMemoryBackendBuilder) -> Self {
        let (max_entries, max_bytes) = settings.bounds();
        let evictions = Arc::new(AtomicU64::new(0));
        let counter = evictions.clone();
        let scale = Scale::new(max_entries, max_bytes);
        let cache = Cache::builder()
            .max_capacity(scale.capacity)
            .weigher(move |_: &Key, entry: &Arc<Entry>| scale.units(entry.weight))
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
            .expire_after(Reclaim)
            .build_with_hasher(BuildKeyHasher::default());
        Self { cache, evictions, weighers: settings.weighers, by_bytes: max_bytes.is_some() }
    }
}

/// How the bounds become moka's one capacity, and bytes its weights, which are 32 bits wide.
///
/// With both bounds given, an entry weighs no less than its share of the capacity, so that neither bound is exceeded.
#[derive(Clone, Copy)]
struct Scale {
    capacity: u64,
    /// What an entry weighs at least.
    lightest: u64,
    /// The bytes that fill the capacity; `None`: entries count, not bytes.
    bytes: Option<u64>,
}

impl Scale {
    /// Wide enough for fine shares, and narrow enough for an entry that is heavier than the whole capacity.
    const WIDEST: u64 = u32::MAX as u64 - 1;

    fn new(max_entries: Option<u64>, max_bytes: Option<u64>) -> Self {
        let (capacity, lightest) = match (max_entries, max_bytes) {
            (Some(0), _) | (_, Some(0)) => (0, 1),
            (entries, None) => (entries.unwrap_or(u64::MAX), 1),
            (None, Some(bytes)) => (bytes.min(Self::WIDEST), 1),
            (Some(entries), Some(_)) => {
                let share = (Self::WIDEST / entries).max(1);
                (entries.saturating_mul(share), share)
            }
        };
        Self { capacity, lightest, bytes: max_bytes }
    }

    /// What an entry of so many bytes weighs.
    fn units(&self, bytes: u64) -> u32 {
        let units = match self.bytes {
            None => 1,
            Some(full) => u128::from(bytes) * u128::from(self.capacity) / u128::from(full.max(1)),
        };
        u32::try_from(units.max(self.lightest.into())).unwrap_or(u32::MAX)
    }
}

impl LocalTier for Store {
    fn visit(&self, key: KeyRef<'_>, visit: &mut dyn FnMut(&Arc<Entry>)) -> bool {
        self.cache.get(&key).is_some_and(|entry| {
            visit(&entry);
            true
        })
    }

    fn insert(&self, key: Key, entry: Arc<Entry>) {
        self.cache.insert(key, entry);
    }

    fn remove(&self, key: KeyRef<'_>) -> Option<Arc<Entry>> {
        self.cache.remove(&key)
    }

    fn remove_where(&self, doomed: &mut dyn FnMut(KeyRef<'_>, &Entry) -> bool) -> u64 {
        let mut removed = 0;
        for (key, entry) in &self.cache {
            if doomed(key.as_key(), &entry) && self.cache.remove(&*key).is_some() {
                removed += 1;
            }
        }
        removed
    }

    fn entry_count(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    fn evictions(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.evictions.load(Ordering::Relaxed)
    }

    fn weigh(&self, value: &dyn Any) -> Weight {
        if !self.by_bytes {
            return Weight::Known(1);
        }
        self.weighers.get(&value.type_id()).map_or(Weight::Serialized, |weigher| Weight::Known(weigher(value)))
    }
}

/// Lets moka reclaim the space of expired entries. Freshness is judged by the engine, on tokio's clock; moka has a clock of its own
/// and would drop entries that paused time keeps fresh, so it is told nothing while time stands still.
struct Reclaim;

impl MokaExpiry<Key, Arc<Entry>> for Reclaim {
    fn expire_after_create(&self, _: &Key, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        time_left(entry)
    }

    fn expire_after_update(&self, _: &Key, entry: &Arc<Entry>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        time_left(entry)
    }
}

fn time_left(entry: &Entry) -> Option<Duration> {
    let ends = entry.ends();
    if ends == Tick::NEVER || Tick::stands_still() {
        return None;
    }
    Some(ends.since(Tick::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many entries of so many bytes fit.
    fn room(max_entries: Option<u64>, max_bytes: Option<u64>, bytes: u64) -> u64 {
        let scale = Scale::new(max_entries, max_bytes);
        scale.capacity / u64::from(scale.units(bytes))
    }

    #[test]
    fn both_bounds_hold_whichever_comes_first() {
        assert_eq!((room(Some(100), Some(1000), 1), room(Some(100), Some(1000), 100)), (100, 10));
        assert_eq!(room(Some(600), Some(1000), 1), 600, "a share need not be whole bytes");
        assert_eq!((room(Some(100), None, 1 << 40), room(None, Some(1000), 100)), (100, 10));
        assert_eq!((room(Some(0), Some(1000), 1), room(Some(5), Some(0), 1)), (0, 0));
        let default = |bytes| room(Some(DEFAULT_MAX_ENTRIES), Some(DEFAULT_MAX_BYTES), bytes);
        assert_eq!((default(8), default(1 << 20), default(257 << 20)), (DEFAULT_MAX_ENTRIES, 256, 0));
    }

    #[test]
    fn bounds_and_values_beyond_four_gibibytes_hold() {
        const GIB: u64 = 1 << 30;
        assert_eq!(room(Some(100), Some(1024 * GIB), 1), 100);
        assert_eq!(room(Some(100), Some(1024 * GIB), 128 * GIB), 8);
        assert_eq!(room(None, Some(64 * GIB), 16 * GIB), 4);
        assert_eq!(room(None, Some(GIB), u64::MAX), 0);
    }
}
