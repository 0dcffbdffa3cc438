//! The store of this crate: sharded, bounded over all shards together, and read without writing to more than a lock and a
//! counter.

mod shard;
mod slab;

use std::{
    any::Any,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use smallvec::SmallVec;

use self::shard::{Resident, Shard};
use super::{Settings, Weighers, scale::Scale};
use crate::{
    backend::{LocalTier, Plain, Weight},
    entry::{Entry, Weighed},
    key::{Key, KeyRef, StoredKey},
    time::Tick,
};

const MOST_SHARDS: u64 = 64;
/// Entries and bytes that a shard should have room for at least: the policy needs some to choose from.
const SMALL_SHARD: u64 = 256;
const LIGHT_SHARD: u64 = 1 << 20;

pub(super) struct Store {
    shards: Box<[Padded]>,
    scale: Scale,
    /// What all entries weigh together.
    weight: AtomicU64,
    evictions: AtomicU64,
    /// The shard that has to make room next where the one that is written to has not more than its share.
    next: AtomicUsize,
    weighers: Weighers,
}

/// On cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Padded(RwLock<Shard>);

impl Store {
    pub(super) fn new(settings: Settings) -> Self {
        let (max_entries, max_bytes) = settings.bounds();
        Self {
            shards: (0..shard_count(max_entries, max_bytes)).map(|_| Padded::default()).collect(),
            scale: Scale::new(max_entries, max_bytes),
            weight: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            weighers: settings.weighers,
        }
    }

    #[inline]
    fn shard(&self, key: KeyRef<'_>) -> &Padded {
        // There is a power of two of them, and the table of a shard uses the lowest and the highest bits.
        let middle = (key.hash() >> 32) as usize;
        &self.shards[middle & (self.shards.len() - 1)]
    }

    /// What a shard weighs when all weigh the same.
    fn share(&self) -> u64 {
        self.scale.capacity / self.shards.len() as u64
    }

    /// Stores an entry. Its shard makes room for it where it has more than its share, else the others do, in turn.
    fn put(&self, key: &Key, entry: Entry, weight: u32) -> (Gone, Option<Entry>) {
        let (own, share, now) = (self.shard(key.as_key()), self.share(), Tick::now());
        let mut gone = Gone::new();
        let mut shard = own.write();
        let before = shard.weight();
        shard.sweep(now, &mut gone);
        let swept = gone.len();
        let (new, replaced) = match shard.replace(key.as_key(), entry, weight) {
            Ok(replaced) => (None, Some(replaced)),
            Err(entry) => (Some(entry), None),
        };
        let coming = if new.is_some() { weight.into() } else { 0 };
        let weighs = |shard: &Shard| shard.weight() + coming;
        while weighs(&shard) > share && self.is_over(before, weighs(&shard)) && shard.evict(share, &mut gone) {}
        if let Some(entry) = new {
            shard.insert(key.as_key(), StoredKey::new(key), entry, weight, share);
        }
        self.account(before, &shard);
        drop(shard);
        let evicted = gone.len() - swept;
        self.evictions.fetch_add(evicted as u64, Ordering::Relaxed);
        self.relieve(own, &mut gone);
        (gone, replaced)
    }

    /// Whether all is too heavy when a shard comes to weigh `after` instead of `before`.
    fn is_over(&self, before: u64, after: u64) -> bool {
        // Between the two there may be more than the others weigh, for a moment.
        let others = self.weight.load(Ordering::Relaxed).saturating_sub(before);
        others.saturating_add(after) > self.scale.capacity
    }

    fn account(&self, before: u64, shard: &Shard) {
        // Wraps around where the shard has become lighter, and comes out right.
        self.weight.fetch_add(shard.weight().wrapping_sub(before), Ordering::Relaxed);
    }

    /// Evicts from the other shards, in turn, until the bound holds.
    fn relieve(&self, own: &Padded, gone: &mut Gone) {
        let mut fruitless = 0;
        while fruitless < self.shards.len() && self.is_over(0, 0) {
            let next = self.next.fetch_add(1, Ordering::Relaxed) & (self.shards.len() - 1);
            let other = &self.shards[next];
            let is_fruitless = self.shards.len() > 1 && std::ptr::eq(other, own) || !self.evict_from(other, gone);
            fruitless = if is_fruitless { fruitless + 1 } else { 0 };
        }
    }

    /// Evicts one entry; whether there was one.
    fn evict_from(&self, other: &Padded, gone: &mut Gone) -> bool {
        let mut shard = other.write();
        let (before, count) = (shard.weight(), gone.len());
        while gone.len() == count && shard.evict(self.share(), gone) {}
        self.account(before, &shard);
        self.evictions.fetch_add((gone.len() - count) as u64, Ordering::Relaxed);
        gone.len() > count
    }

    /// Removes entries from one shard after the other.
    fn remove_from_all(&self, mut pick: impl FnMut(&mut Shard) -> Vec<Resident>) -> u64 {
        let remove = |other: &Padded| {
            let mut shard = other.write();
            let before = shard.weight();
            let removed = pick(&mut shard);
            self.account(before, &shard);
            drop(shard);
            removed.len() as u64
        };
        self.shards.iter().map(remove).sum()
    }
}

/// Entries that are out of the store: dropped when no lock is held, as that runs code of the user.
type Gone = SmallVec<[Resident; 2]>;

fn shard_count(max_entries: Option<u64>, max_bytes: Option<u64>) -> usize {
    let by_entries = max_entries.map_or(u64::MAX, |entries| entries / SMALL_SHARD);
    let by_bytes = max_bytes.map_or(u64::MAX, |bytes| bytes / LIGHT_SHARD);
    let most = by_entries.min(by_bytes).clamp(1, MOST_SHARDS);
    // The power of two below.
    1 << most.ilog2()
}

impl Padded {
    #[inline]
    fn read(&self) -> RwLockReadGuard<'_, Shard> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shard> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalTier for Store {
    #[inline]
    fn visit(&self, key: KeyRef<'_>, visit: &mut dyn FnMut(&Entry)) -> bool {
        let shard = self.shard(key).read();
        let Some(resident) = shard.find(key) else { return false };
        resident.note_read();
        visit(resident.entry());
        true
    }

    fn plain(&self, hash: u64, words: &[u64], now: Tick, epoch: u64) -> Plain {
        let key = KeyRef::from_parts(hash, words);
        let shard = self.shard(key).read();
        let Some(resident) = shard.find(key) else { return Plain::Absent };
        resident.note_read();
        Plain::of(resident.entry(), now, epoch)
    }

    fn insert(&self, key: Key, Weighed { entry, weight }: Weighed) {
        let weight = self.scale.units(weight);
        if u64::from(weight) > self.scale.capacity {
            // What it would have replaced is outdated all the same.
            self.remove(key.as_key());
            self.evictions.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let gone = self.put(&key, entry, weight);
        drop(gone);
    }

    fn remove(&self, key: KeyRef<'_>) -> Option<Entry> {
        let mut shard = self.shard(key).write();
        let before = shard.weight();
        let removed = shard.remove(key);
        self.account(before, &shard);
        removed.map(Resident::into_entry)
    }

    fn remove_where(&self, doomed: &mut dyn FnMut(KeyRef<'_>, &Entry) -> bool) -> u64 {
        self.remove_from_all(|shard| shard.remove_where(&mut *doomed))
    }

    fn entry_count(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().residents() as u64).sum()
    }

    fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    fn weigh(&self, value: &dyn Any) -> Weight {
        self.weighers.weigh(value)
    }
}
