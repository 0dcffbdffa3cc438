//! The store itself: what a shared Redis holds, and what each request does to it in one step.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Bug,
    bus::{Subscribers, Told},
    millis,
};
use crate::backend::{Fetched, Group, RemoteKey, RemoteWrite, Stamp, Written};

/// How long a removal is remembered. Shorter than in the real store, so that a simulation can outlive it.
pub(super) const TOMBSTONE: Duration = Duration::from_secs(4);

/// What the store's clock shows when the simulation begins.
const BEGINNING_MS: u64 = 1_800_000_000_000;

/// One store. Its generations are one counter: every invalidation raises it and notes it, an entry carries what it was
/// when its run began.
pub(super) struct Store {
    entries: BTreeMap<Arc<str>, Held>,
    tombstones: BTreeMap<Arc<str>, Tombstone>,
    groups: HashMap<(Arc<str>, Group), u64>,
    leases: BTreeMap<Arc<str>, u64>,
    counter: u64,
    /// Which life of the store this is: what was noted in an earlier one proves nothing.
    life: u64,
    began: Instant,
    pub(super) subscribers: Subscribers,
    pub(super) bug: Option<Bug>,
}

struct Held {
    payload: Vec<u8>,
    namespace: Option<Arc<str>>,
    tags: Vec<Arc<str>>,
    counter: u64,
    expires_ms: Option<u64>,
}

#[derive(Clone, Copy)]
struct Tombstone {
    counter: u64,
    expires_ms: u64,
}

/// What a stamp of this store says.
#[derive(Clone, Copy)]
pub(super) struct Noted {
    life: u64,
    counter: u64,
    /// When it was noted, on the clock of the process that did.
    pub(super) read_ms: u64,
}

/// Who asks, and under which prefix.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) link: u64,
    pub(super) prefix: Arc<str>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            groups: HashMap::new(),
            leases: BTreeMap::new(),
            counter: 0,
            life: 0,
            began: Instant::now(),
            subscribers: Subscribers::default(),
            bug: None,
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        BEGINNING_MS + millis(self.began.elapsed())
    }

    pub(super) fn life(&self) -> u64 {
        self.life
    }

    /// Loses everything, as a restart without persistence does.
    pub(super) fn restart(&mut self) {
        let (bug, began) = (self.bug, self.began);
        *self = Self { life: self.life + 1, bug, began, ..Self::new() };
    }

    /// Loses one entry, as a full store does.
    pub(super) fn evict(&mut self, pick: usize) {
        let Some(text) = self.entries.keys().nth(pick % self.entries.len().max(1)).cloned() else { return };
        self.entries.remove(&text);
    }

    pub(super) fn fetch(&self, asker: &Asker, keys: &[RemoteKey], read_ms: u64) -> Vec<Fetched> {
        let stamp = Noted { life: self.life, counter: self.counter, read_ms }.to_stamp();
        keys.iter()
            .map(|key| match self.entries.get(&key.text).filter(|held| self.is_visible(asker, held)) {
                Some(held) => Fetched {
                    payload: Some(held.payload.clone()),
                    tags: held.tags.clone(),
                    damaged: false,
                    stamp: stamp.clone(),
                },
                None => Fetched { stamp: stamp.clone(), ..Fetched::default() },
            })
            .collect()
    }

    /// Stores, unless the write comes after `valid_until_ms` or something was invalidated since its stamp.
    pub(super) fn store(&mut self, asker: &Asker, write: RemoteWrite, valid_until_ms: u64) -> Written {
        if self.now_ms() > valid_until_ms {
            return Written::Outdated;
        }
        let counter = match write.stamp.as_ref().map(Noted::from_stamp) {
            None => self.raise_key(&write.key.text),
            Some(Some(noted)) if self.bug == Some(Bug::GenerationsUnchecked) || self.holds(asker, &write, noted) => {
                noted.counter
            }
            Some(_) => return Written::Outdated,
        };
        self.leases.remove(&write.key.text);
        self.subscribers.tell(asker, &Told::Changed(write.key.wire.clone()));
        let RemoteWrite { key, payload, life, tags, .. } = write;
        let expires_ms = life.map(|life| self.now_ms().saturating_add(millis(life).max(1)));
        self.entries.insert(key.text, Held { payload, namespace: key.namespace, tags, counter, expires_ms });
        Written::Stored
    }

    /// Removes a key; how many entries went.
    pub(super) fn remove(&mut self, asker: &Asker, key: &RemoteKey) -> u64 {
        self.raise_key(&key.text);
        self.leases.remove(&key.text);
        self.subscribers.tell(asker, &Told::Changed(key.wire.clone()));
        let gone = self.entries.remove(&key.text);
        u64::from(gone.is_some_and(|held| self.is_visible(asker, &held)))
    }

    /// Puts a group out of sight; how many entries went.
    pub(super) fn clear(&mut self, asker: &Asker, group: &Group) -> u64 {
        let doomed = self.entries.values().filter(|held| held.is_in(group) && self.is_visible(asker, held)).count();
        self.counter += 1;
        self.groups.insert((Arc::clone(&asker.prefix), group.clone()), self.counter);
        self.subscribers.tell(asker, &Told::Invalidated(group.clone()));
        doomed as u64
    }

    pub(super) fn touch(&mut self, key: &RemoteKey, life: Duration) {
        let expires_ms = self.now_ms().saturating_add(millis(life).max(1));
        if let Some(held) = self.entries.get_mut(&key.text) {
            held.expires_ms = Some(expires_ms);
        }
    }

    pub(super) fn lease(&mut self, key: &RemoteKey, life: Duration) -> bool {
        let now = self.now_ms();
        let free = self.leases.get(&key.text).is_none_or(|until| *until <= now);
        if free {
            self.leases.insert(Arc::clone(&key.text), now.saturating_add(millis(life)));
        }
        free
    }

    fn raise_key(&mut self, text: &Arc<str>) -> u64 {
        self.counter += 1;
        let expires_ms = self.now_ms() + millis(TOMBSTONE);
        self.tombstones.insert(Arc::clone(text), Tombstone { counter: self.counter, expires_ms });
        self.counter
    }

    /// Whether nothing that guards the write was invalidated since its stamp.
    fn holds(&self, asker: &Asker, write: &RemoteWrite, noted: Noted) -> bool {
        let now = self.now_ms();
        let tombstone = self.tombstones.get(&write.key.text).filter(|tombstone| tombstone.expires_ms > now);
        noted.life == self.life
            && tombstone.is_none_or(|tombstone| tombstone.counter <= noted.counter)
            && self.invalidated(asker, write.key.namespace.as_ref(), &write.tags) <= noted.counter
    }

    fn is_visible(&self, asker: &Asker, held: &Held) -> bool {
        held.expires_ms.is_none_or(|expires| expires > self.now_ms())
            && self.invalidated(asker, held.namespace.as_ref(), &held.tags) <= held.counter
    }

    /// The counter of the last invalidation of any of these groups, and of everything.
    fn invalidated(&self, asker: &Asker, namespace: Option<&Arc<str>>, tags: &[Arc<str>]) -> u64 {
        let namespace = namespace.map(|name| Group::Namespace(Arc::clone(name)));
        let tags = tags.iter().map(|tag| Group::Tag(Arc::clone(tag)));
        let groups = std::iter::once(Group::All).chain(namespace).chain(tags);
        let last = |group| self.groups.get(&(Arc::clone(&asker.prefix), group)).copied();
        groups.filter_map(last).max().unwrap_or(0)
    }
}

impl Held {
    fn is_in(&self, group: &Group) -> bool {
        match group {
            Group::All => true,
            Group::Namespace(name) => self.namespace.as_ref() == Some(name),
            Group::Tag(tag) => self.tags.contains(tag),
        }
    }
}

impl Noted {
    fn to_stamp(self) -> Stamp {
        Stamp([self.life, self.counter, self.read_ms].map(u64::to_be_bytes).concat().into())
    }

    /// `None` for a stamp that this store has not given.
    pub(super) fn from_stamp(stamp: &Stamp) -> Option<Self> {
        let number = |at: usize| Some(u64::from_be_bytes(stamp.0.get(at..at + 8)?.try_into().ok()?));
        Some(Self { life: number(0)?, counter: number(8)?, read_ms: number(16)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker() -> Asker {
        Asker { link: 0, prefix: "p".into() }
    }

    fn write(stamp: Option<Stamp>, tags: &[&str]) -> RemoteWrite {
        let tags = tags.iter().map(|tag| (*tag).into()).collect();
        RemoteWrite { key: key(), payload: vec![1], life: None, stamp, tags }
    }

    fn key() -> RemoteKey {
        RemoteKey { text: "p:n/k".into(), namespace: Some("n".into()), wire: Arc::default() }
    }

    fn stamp(store: &Store) -> Option<Stamp> {
        Some(store.fetch(&asker(), &[key()], 0)[0].stamp.clone())
    }

    fn is_there(store: &Store) -> bool {
        store.fetch(&asker(), &[key()], 0)[0].payload.is_some()
    }

    #[test]
    fn whatever_invalidates_a_key_refuses_the_runs_under_way_and_hides_what_is_stored() {
        let invalidate: [fn(&mut Store) -> u64; 4] = [
            |store| store.remove(&asker(), &key()),
            |store| store.clear(&asker(), &Group::All),
            |store| store.clear(&asker(), &Group::Namespace("n".into())),
            |store| store.clear(&asker(), &Group::Tag("t".into())),
        ];
        for invalidate in invalidate {
            let mut store = Store::new();
            let before = stamp(&store);
            assert_eq!(store.store(&asker(), write(before.clone(), &["t"]), u64::MAX), Written::Stored);
            assert!(is_there(&store));
            assert_eq!(invalidate(&mut store), 1);
            assert!(!is_there(&store));
            assert_eq!(store.store(&asker(), write(before, &["t"]), u64::MAX), Written::Outdated);
            let after = stamp(&store);
            assert_eq!(store.store(&asker(), write(after, &["t"]), u64::MAX), Written::Stored);
            assert!(is_there(&store));
        }
    }

    #[test]
    fn a_write_by_hand_is_newer_than_runs_under_way_and_late_writes_and_stamps_of_an_earlier_life_are_refused() {
        let mut store = Store::new();
        let before = stamp(&store);
        assert_eq!(store.store(&asker(), write(None, &[]), u64::MAX), Written::Stored);
        assert_eq!(store.store(&asker(), write(before, &[]), u64::MAX), Written::Outdated);
        assert_eq!(store.store(&asker(), write(None, &[]), 0), Written::Outdated);
        let before = stamp(&store);
        store.restart();
        assert!(!is_there(&store));
        assert_eq!(store.store(&asker(), write(before, &[]), u64::MAX), Written::Outdated);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_has_one_holder_until_it_ends() {
        let mut store = Store::new();
        let second = Duration::from_secs(1);
        assert!(store.lease(&key(), second) && !store.lease(&key(), second));
        store.remove(&asker(), &key());
        assert!(store.lease(&key(), second));
        tokio::time::advance(second).await;
        assert!(store.lease(&key(), second));
    }
}
