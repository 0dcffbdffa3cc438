//! A part of the store, with an eviction policy of its own: two clocks and a memory of what was evicted.
//!
//! The policy is that of `quick_cache` (a CLOCK-Pro, with the reference counters of S3-FIFO): entries are hot or cold. New ones
//! begin hot while there is room, then cold. The cold hand evicts what was not read since it came, and makes the others hot; the hot
//! hand evicts what was not read since it last came by. What the cold hand evicts leaves a ghost: if it comes again soon, it is
//! hot at once. So what is read only once, as in a scan, pushes out nothing but its like.

use std::sync::atomic::{AtomicU8, Ordering};

use hashbrown::HashTable;

use super::{
    Gone,
    slab::{Index, Ring, Slab},
};
use crate::{
    entry::{Entry, Standing},
    key::{KeyRef, StoredKey},
    time::Tick,
};

/// Reads of an entry that count, between two visits of a hand.
const MOST_READS: u8 = 2;
/// One part of so many of the room is for cold entries.
const COLD_PART: u64 = 33;
/// Slots that a write looks at for something that is over.
const SWEPT: u32 = 2;

#[derive(Default)]
pub(super) struct Shard {
    table: HashTable<Index>,
    slab: Slab<Item>,
    hot: Ring,
    cold: Ring,
    ghosts: Ring,
    hot_weight: u64,
    cold_weight: u64,
    residents: usize,
    ghost_count: usize,
    /// The slot to be swept next.
    broom: Index,
}

enum Item {
    Resident(Resident),
    /// The hash of what was here.
    Ghost(u64),
}

/// An entry in the store.
pub(super) struct Resident {
    key: StoredKey,
    entry: Entry,
    weight: u32,
    reads: AtomicU8,
    is_hot: bool,
}

impl Resident {
    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    pub(super) fn into_entry(self) -> Entry {
        self.entry
    }

    #[inline]
    pub(super) fn note_read(&self) {
        let reads = self.reads.load(Ordering::Relaxed);
        if reads < MOST_READS {
            // Two reads at once may count as one.
            self.reads.store(reads + 1, Ordering::Relaxed);
        }
    }
}

impl Shard {
    pub(super) fn weight(&self) -> u64 {
        self.hot_weight + self.cold_weight
    }

    pub(super) fn residents(&self) -> usize {
        self.residents
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn find(&self, key: KeyRef<'_>) -> Option<&Resident> {
        let at = self.table.find(key.hash(), |at| self.resident(*at).is_some_and(|resident| resident.key.is(key)))?;
        self.resident(*at)
    }

    /// Stores an entry in the place of one with the same key, which is given back; else gives the entry back.
    pub(super) fn replace(&mut self, key: KeyRef<'_>, entry: Entry, weight: u32) -> Result<Entry, Entry> {
        let Some(at) = self.position(key) else { return Err(entry) };
        let Some(Item::Resident(resident)) = self.slab.get_mut(at) else { return Err(entry) };
        let (is_hot, old) = (resident.is_hot, std::mem::replace(&mut resident.weight, weight));
        resident.note_read();
        let replaced = std::mem::replace(&mut resident.entry, entry);
        let side = self.weight_of(is_hot);
        *side = *side - u64::from(old) + u64::from(weight);
        Ok(replaced)
    }

    /// Stores an entry under a key that is not there. `room` is what this shard should weigh at most.
    pub(super) fn insert(&mut self, key: KeyRef<'_>, stored: StoredKey, entry: Entry, weight: u32, room: u64) {
        let was_evicted = self.forget_ghost(key.hash());
        let is_hot = was_evicted || self.hot_weight + u64::from(weight) <= hot_room(room);
        let resident = Resident { key: stored, entry, weight, reads: AtomicU8::new(0), is_hot };
        if self.slab.is_full() {
            return;
        }
        let at = self.slab.insert(Item::Resident(resident));
        self.slab.link(if is_hot { &mut self.hot } else { &mut self.cold }, at);
        *self.weight_of(is_hot) += u64::from(weight);
        self.residents += 1;
        let slab = &self.slab;
        self.table.insert_unique(key.hash(), at, |at| hash_at(slab, *at));
    }

    pub(super) fn remove(&mut self, key: KeyRef<'_>) -> Option<Resident> {
        let at = self.position(key)?;
        self.remove_at(at)
    }

    /// Removes what `doomed` picks.
    pub(super) fn remove_where(&mut self, mut doomed: impl FnMut(KeyRef<'_>, &Entry) -> bool) -> Vec<Resident> {
        let picked = self.slab.items().filter_map(|(at, item)| match item {
            Item::Resident(Resident { key, entry, .. }) => key.show(|key| doomed(key, entry)).then_some(at),
            Item::Ghost(_) => None,
        });
        let picked: Vec<Index> = picked.collect();
        picked.into_iter().filter_map(|at| self.remove_at(at)).collect()
    }

    /// Removes what is over in the next few slots, so that each write pays for a little of the cleaning.
    pub(super) fn sweep(&mut self, now: Tick, swept: &mut Gone) {
        for _ in 0..SWEPT {
            self.broom = if self.broom < self.slab.slots() { self.broom } else { 0 };
            let at = self.broom;
            if self.resident(at).is_some_and(|resident| resident.entry.standing(now) == Standing::Over) {
                swept.extend(self.remove_at(at));
            }
            self.broom += 1;
        }
    }

    /// Makes one step towards less weight: evicts an entry, or moves one from cold to hot. `false`: nothing is left.
    pub(super) fn evict(&mut self, room: u64, evicted: &mut Gone) -> bool {
        let Some(at) = self.cold.hand() else { return self.evict_hot(evicted) };
        let Some(Item::Resident(resident)) = self.slab.get_mut(at) else { return false };
        if *resident.reads.get_mut() == 0 {
            evicted.extend(self.banish(at));
            return true;
        }
        *resident.reads.get_mut() -= 1;
        resident.is_hot = true;
        let weight = u64::from(resident.weight);
        self.cold_weight -= weight;
        self.hot_weight += weight;
        self.slab.unlink(&mut self.cold, at);
        self.slab.link(&mut self.hot, at);
        while self.hot_weight > hot_room(room) && self.evict_hot(evicted) {}
        true
    }

    fn evict_hot(&mut self, evicted: &mut Gone) -> bool {
        while let Some(at) = self.hot.hand() {
            let Some(Item::Resident(resident)) = self.slab.get_mut(at) else { return false };
            let reads = resident.reads.get_mut();
            if *reads == 0 {
                evicted.extend(self.remove_at(at));
                return true;
            }
            *reads -= 1;
            self.slab.advance(&mut self.hot);
        }
        false
    }

    /// Evicts a cold entry and leaves a ghost in its place.
    fn banish(&mut self, at: Index) -> Option<Resident> {
        self.slab.unlink(&mut self.cold, at);
        let item = self.slab.get_mut(at)?;
        let Item::Resident(resident) = item else { return None };
        let ghost = Item::Ghost(resident.key.hash());
        let Item::Resident(resident) = std::mem::replace(item, ghost) else { return None };
        self.slab.link(&mut self.ghosts, at);
        self.cold_weight -= u64::from(resident.weight);
        self.residents -= 1;
        self.ghost_count += 1;
        while self.ghost_count > self.residents / 2 {
            let Some(oldest) = self.ghosts.hand() else { break };
            self.remove_ghost(oldest);
        }
        Some(resident)
    }

    /// Whether there was a ghost with this hash; it is gone now.
    fn forget_ghost(&mut self, hash: u64) -> bool {
        let is_ghost = |at: &Index| matches!(self.slab.get(*at), Some(Item::Ghost(ghost)) if *ghost == hash);
        let at = self.table.find(hash, is_ghost).copied();
        at.inspect(|at| self.remove_ghost(*at)).is_some()
    }

    fn remove_ghost(&mut self, at: Index) {
        self.leave_table(at);
        self.slab.unlink(&mut self.ghosts, at);
        self.slab.take(at);
        self.ghost_count -= 1;
    }

    fn remove_at(&mut self, at: Index) -> Option<Resident> {
        self.resident(at)?;
        self.leave_table(at);
        let Some(Item::Resident(resident)) = self.slab.get(at) else { return None };
        let (is_hot, weight) = (resident.is_hot, u64::from(resident.weight));
        self.slab.unlink(if is_hot { &mut self.hot } else { &mut self.cold }, at);
        *self.weight_of(is_hot) -= weight;
        self.residents -= 1;
        match self.slab.take(at) {
            Some(Item::Resident(resident)) => Some(resident),
            _ => None,
        }
    }

    fn leave_table(&mut self, at: Index) {
        if let Ok(slot) = self.table.find_entry(hash_at(&self.slab, at), |other| *other == at) {
            slot.remove();
        }
    }

    fn weight_of(&mut self, is_hot: bool) -> &mut u64 {
        if is_hot { &mut self.hot_weight } else { &mut self.cold_weight }
    }

    fn position(&self, key: KeyRef<'_>) -> Option<Index> {
        self.table.find(key.hash(), |at| self.resident(*at).is_some_and(|resident| resident.key.is(key))).copied()
    }

    #[inline]
    fn resident(&self, at: Index) -> Option<&Resident> {
        match self.slab.get(at)? {
            Item::Resident(resident) => Some(resident),
            Item::Ghost(_) => None,
        }
    }
}

fn hash_at(slab: &Slab<Item>, at: Index) -> u64 {
    match slab.get(at) {
        Some(Item::Resident(resident)) => resident.key.hash(),
        Some(Item::Ghost(hash)) => *hash,
        None => 0,
    }
}

fn hot_room(room: u64) -> u64 {
    (room - room / COLD_PART).max(1)
}
