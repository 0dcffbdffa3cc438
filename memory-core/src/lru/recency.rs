//! Entries found by hash and ordered by use: a table of positions over a list that lives in one vector.

use hashbrown::HashTable;

/// The position that stands for "none" at either end of the list.
const NOWHERE: usize = usize::MAX;

/// Where an entry is; good until the next [`Recency::replace_oldest`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Position(usize);

/// Keyed entries in order of use. Evicted entries leave their place to the entry that evicts them, so there are no gaps.
pub(super) struct Recency<K, V> {
    table: HashTable<usize>,
    nodes: Vec<Node<K, V>>,
    oldest: usize,
    newest: usize,
}

struct Node<K, V> {
    older: usize,
    newer: usize,
    hash: u64,
    key: K,
    value: V,
}

impl<K, V> Recency<K, V> {
    pub(super) const fn new() -> Self {
        Self { table: HashTable::new(), nodes: Vec::new(), oldest: NOWHERE, newest: NOWHERE }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The entry with this hash of which `is_key` holds.
    pub(super) fn position(&self, hash: u64, mut is_key: impl FnMut(&K) -> bool) -> Option<Position> {
        let nodes = &self.nodes;
        self.table.find(hash, |&at| nodes[at].hash == hash && is_key(&nodes[at].key)).copied().map(Position)
    }

    pub(super) fn value(&self, Position(at): Position) -> &V {
        &self.nodes[at].value
    }

    /// Puts another value in the entry's place and returns the one that was there.
    pub(super) fn replace_value(&mut self, Position(at): Position, value: V) -> V {
        std::mem::replace(&mut self.nodes[at].value, value)
    }

    /// Makes the entry the most recently used.
    pub(super) fn touch(&mut self, Position(at): Position) {
        if at != self.newest {
            self.unlink(at);
            self.link_newest(at);
        }
    }

    /// Adds an entry as the most recently used. The key must be absent.
    pub(super) fn push(&mut self, hash: u64, key: K, value: V) {
        let at = self.nodes.len();
        self.nodes.push(Node { older: NOWHERE, newer: NOWHERE, hash, key, value });
        self.link_newest(at);
        self.index(hash, at);
    }

    /// Puts an entry in the place of the least recently used one, and returns that. The key must be absent.
    pub(super) fn replace_oldest(&mut self, hash: u64, key: K, value: V) -> Option<(K, V)> {
        let at = self.oldest;
        let evicted_hash = self.nodes.get(at)?.hash;
        if let Ok(occupied) = self.table.find_entry(evicted_hash, |&other| other == at) {
            occupied.remove();
        }
        self.unlink(at);
        let node = &mut self.nodes[at];
        node.hash = hash;
        let evicted = (std::mem::replace(&mut node.key, key), std::mem::replace(&mut node.value, value));
        self.link_newest(at);
        self.index(hash, at);
        Some(evicted)
    }

    fn index(&mut self, hash: u64, at: usize) {
        let nodes = &self.nodes;
        self.table.insert_unique(hash, at, |&other| nodes[other].hash);
    }

    fn unlink(&mut self, at: usize) {
        let (older, newer) = (self.nodes[at].older, self.nodes[at].newer);
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
        match self.nodes.get_mut(newer) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
    }

    fn link_newest(&mut self, at: usize) {
        let older = std::mem::replace(&mut self.newest, at);
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = at,
            None => self.oldest = at,
        }
        let node = &mut self.nodes[at];
        (node.older, node.newer) = (older, NOWHERE);
    }
}
