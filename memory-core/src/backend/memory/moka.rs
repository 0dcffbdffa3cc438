//! `moka` as the store: W-TinyLFU.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{Expiry as MokaExpiry, notification::RemovalCause, sync::Cache};

use super::{Settings, Weighers, scale::Scale};
use crate::{
    backend::{LocalTier, Weight},
    entry::{Entry, Weighed},
    key::{BuildKeyHasher, Key, KeyRef},
    time::Tick,
};

pub(super) struct Store {
    cache: Cache<Key, Arc<Weighed>, BuildKeyHasher>,
    evictions: Arc<AtomicU64>,
    weighers: Weighers,
}

impl Store {
    pub(super) fn new(settings: Settings) -> Self {
        let (max_entries, max_bytes) = settings.bounds();
        let evictions = Arc::new(AtomicU64::new(0));
        let counter = evictions.clone();
        let scale = Scale::new(max_entries, max_bytes);
        let cache = Cache::builder()
            .max_capacity(scale.capacity)
            .weigher(move |_: &Key, entry: &Arc<Weighed>| scale.units(entry.weight))
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
            .expire_after(Reclaim)
            .build_with_hasher(BuildKeyHasher::default());
        Self { cache, evictions, weighers: settings.weighers }
    }
}

impl LocalTier for Store {
    fn visit(&self, key: KeyRef<'_>, visit: &mut dyn FnMut(&Entry)) -> bool {
        self.cache.get(&key).is_some_and(|entry| {
            visit(&entry);
            true
        })
    }

    fn insert(&self, key: Key, entry: Weighed) {
        self.cache.insert(key, Arc::new(entry));
    }

    fn remove(&self, key: KeyRef<'_>) -> Option<Entry> {
        self.cache.remove(&key).map(|removed| removed.entry.clone())
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
        self.weighers.weigh(value)
    }
}

/// Lets moka reclaim the space of expired entries. Freshness is judged by the engine, on our clock; moka has a clock of its own
/// and would drop entries that paused time keeps fresh, so it is told nothing while time stands still.
struct Reclaim;

impl MokaExpiry<Key, Arc<Weighed>> for Reclaim {
    fn expire_after_create(&self, _: &Key, entry: &Arc<Weighed>, _: Instant) -> Option<Duration> {
        time_left(entry)
    }

    fn expire_after_update(&self, _: &Key, entry: &Arc<Weighed>, _: Instant, _: Option<Duration>) -> Option<Duration> {
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
