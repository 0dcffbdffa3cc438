//! Items in one vector, linked into rings by their indices.

/// Where an item is.
pub(super) type Index = u32;

const NOWHERE: Index = Index::MAX;

/// Items at indices that do not change.
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    /// The first of the empty slots, which are linked by their `next`.
    free: Index,
}

struct Slot<T> {
    item: Option<T>,
    next: Index,
    previous: Index,
}

/// Items in a circle. The hand points at the one that was linked first, and moves on from there.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    hand: Index,
}

impl Default for Ring {
    fn default() -> Self {
        Self { hand: NOWHERE }
    }
}

impl Ring {
    pub(super) fn hand(self) -> Option<Index> {
        (self.hand != NOWHERE).then_some(self.hand)
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: NOWHERE }
    }
}

impl<T> Slab<T> {
    /// How many slots there are, the empty ones included: every index is below.
    pub(super) fn slots(&self) -> Index {
        self.slots.len() as Index
    }

    pub(super) fn is_full(&self) -> bool {
        self.free == NOWHERE && self.slots.len() >= NOWHERE as usize
    }

    #[inline]
    pub(super) fn get(&self, at: Index) -> Option<&T> {
        self.slots.get(at as usize)?.item.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: Index) -> Option<&mut T> {
        self.slots.get_mut(at as usize)?.item.as_mut()
    }

    pub(super) fn items(&self) -> impl Iterator<Item = (Index, &T)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| Some((at as Index, slot.item.as_ref()?)))
    }

    /// Adds an item that is in no ring yet.
    pub(super) fn insert(&mut self, item: T) -> Index {
        let at = self.free;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            self.free = slot.next;
            *slot = Slot { item: Some(item), next: at, previous: at };
            return at;
        }
        if self.slots.len() == self.slots.capacity() {
            // By an eighth: to double would leave a quarter of the memory empty, on the average.
            self.slots.reserve_exact((self.slots.len() / 8).max(8));
        }
        let at = self.slots();
        self.slots.push(Slot { item: Some(item), next: at, previous: at });
        at
    }

    /// Takes out an item that is in no ring any more.
    pub(super) fn take(&mut self, at: Index) -> Option<T> {
        let free = self.free;
        let slot = self.slots.get_mut(at as usize)?;
        let item = slot.item.take()?;
        slot.next = free;
        self.free = at;
        Some(item)
    }

    /// Links an item into a ring, as the last that the hand comes to.
    pub(super) fn link(&mut self, ring: &mut Ring, at: Index) {
        let Some(first) = ring.hand() else {
            self.join(at, at);
            ring.hand = at;
            return;
        };
        let last = self.slots.get(first as usize).map_or(first, |slot| slot.previous);
        self.join(last, at);
        self.join(at, first);
    }

    /// Takes an item out of its ring; a hand that points at it moves on.
    pub(super) fn unlink(&mut self, ring: &mut Ring, at: Index) {
        let Some(&Slot { next, previous, .. }) = self.slots.get(at as usize) else { return };
        if ring.hand == at {
            ring.hand = if next == at { NOWHERE } else { next };
        }
        self.join(previous, next);
        self.join(at, at);
    }

    /// Moves the hand on.
    pub(super) fn advance(&self, ring: &mut Ring) {
        if let Some(slot) = self.slots.get(ring.hand as usize) {
            ring.hand = slot.next;
        }
    }

    fn join(&mut self, first: Index, second: Index) {
        if let Some(slot) = self.slots.get_mut(first as usize) {
            slot.next = second;
        }
        if let Some(slot) = self.slots.get_mut(second as usize) {
            slot.previous = first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(slab: &Slab<char>, mut ring: Ring) -> String {
        let Some(first) = ring.hand() else { return String::new() };
        let mut items = String::new();
        loop {
            items.extend(ring.hand().and_then(|at| slab.get(at)));
            slab.advance(&mut ring);
            if ring.hand() == Some(first) {
                return items;
            }
        }
    }

    #[test]
    fn a_ring_keeps_its_order_through_links_and_unlinks() {
        let (mut slab, mut ring) = (Slab::default(), Ring::default());
        let [a, b, c] = ['a', 'b', 'c'].map(|item| slab.insert(item));
        for at in [a, b, c] {
            slab.link(&mut ring, at);
        }
        assert_eq!(around(&slab, ring), "abc");
        slab.advance(&mut ring);
        assert_eq!(around(&slab, ring), "bca");
        slab.unlink(&mut ring, b);
        assert_eq!(around(&slab, ring), "ca");
        assert_eq!(slab.take(b), Some('b'));
        assert_eq!(slab.insert('d'), b, "an empty slot is taken again");
        slab.link(&mut ring, b);
        assert_eq!(around(&slab, ring), "cad");
        for at in [a, b, c] {
            slab.unlink(&mut ring, at);
        }
        assert_eq!(around(&slab, ring), "");
        assert_eq!((slab.items().count(), slab.slots()), (3, 3));
    }
}
