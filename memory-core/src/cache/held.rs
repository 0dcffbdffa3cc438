//! Values that know better than the engine what they are good for, such as HTTP responses: the engine holds them, says how old
//! they are, and sees to it that none is stored that was invalidated while it was made.

use std::{sync::Arc, time::Duration};

use super::{
    Core,
    life::Life,
    outcome::Portable,
    read::{Copied, Found},
    report::{FmOutcome, Provenance},
    store::Origin,
};
use crate::{
    backend::{RemoteWrite, Stamp, Written},
    entry::{Entry, Late, Weighed},
    flight::Lead,
    key::{Key, KeyRef},
    time::{Expiry, Tick},
};

/// The moment before a value is made, and what the stores knew then.
pub(crate) struct Since {
    epoch: u64,
    began: Tick,
    /// `None` where the shared store was not asked, or could not be read.
    stamp: Option<Stamp>,
}

impl Since {
    /// Whether the shared store has said what it knows.
    pub(crate) fn is_stamped(&self) -> bool {
        self.stamp.is_some()
    }
}

/// What is held under a key.
#[derive(Clone)]
pub(crate) struct Held<T> {
    pub(crate) value: T,
    /// How long ago it was stored, in this process or another.
    pub(crate) age: Duration,
}

/// For how long a value is held, and by which tags it can be invalidated.
pub(crate) struct Holding {
    pub(crate) life: Duration,
    pub(crate) tags: Vec<String>,
}

/// What a value that is held must be.
pub(crate) trait Holdable:
    serde::Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static
{
}

impl<T: serde::Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static> Holdable for T {}

impl Core {
    /// What is held under a key, and the moment before the look.
    pub(crate) async fn held<T: Holdable>(&self, key: &Key) -> (Option<Held<T>>, Since) {
        let before = self.before();
        let since = |stamp| Since { epoch: before.epoch, began: before.moment, stamp };
        if let Some(held) = self.held_here(key.as_key()) {
            return (Some(held), since(None));
        }
        let Some(remote) = self.remote.as_ref().filter(|_| !self.is_closed()) else { return (None, since(None)) };
        let Found { copied, stamp } = self.find(&**remote, key, Portable, before.moment, before.epoch).await;
        let held = copied.map(|Copied { value, entry, .. }: Copied<T>| {
            let age = Tick::now().since(entry.born());
            self.keep_copy(key, entry, before);
            Held { value: Arc::unwrap_or_clone(value), age }
        });
        (held, since(stamp))
    }

    /// What is held under a key in this process.
    pub(crate) fn held_here<T: Holdable>(&self, key: KeyRef<'_>) -> Option<Held<T>> {
        self.see_held(key, |value: &T, age| Held { value: value.clone(), age })
    }

    /// Shows what is held under a key in this process, and its age.
    pub(crate) fn see_held<T: Holdable, R>(&self, key: KeyRef<'_>, see: impl FnOnce(&T, Duration) -> R) -> Option<R> {
        let now = Tick::now();
        let see = |entry: &Entry, value: &T| see(value, now.since(entry.born()));
        self.look_at(key, now, |entry| entry.is_fresh(now), see).value()
    }

    /// The moment before a value is made that was perhaps looked for before.
    pub(crate) async fn since(&self, key: &Key, looked: Since) -> Since {
        match &self.remote {
            Some(remote) if looked.stamp.is_none() => {
                let (epoch, began) = (self.epochs.current(), Tick::now());
                Since { epoch, began, stamp: self.stamp(&**remote, key).await }
            }
            _ => looked,
        }
    }

    /// Ends a run for a key: tells its waiters, and holds what `make` makes of that which is held here at that moment (where nothing
    /// is, of what was `found` before). Nothing is held when the run was detached, or a group the value is in was invalidated since.
    pub(crate) async fn hold<T: Holdable, K, V: Send + Sync>(
        &self,
        (lead, key): (Lead<K, V>, &Key),
        told: Arc<V>,
        since: Since,
        holding: Holding,
        found: Option<Held<T>>,
        make: impl FnOnce(Option<Held<T>>) -> T,
    ) -> bool {
        let groups = self.groups(key.as_key(), &holding.tags);
        let life = Life { expiry: Expiry::after(holding.life), idle: None, late: Late::default(), due: None };
        let copied = self.coherence.as_ref().map(|_| since.began);
        let origin = Origin { born: Tick::now(), epoch: since.epoch, groups, copied, rests: None, print: None };
        if holding.life.is_zero() || self.is_closed() {
            lead.answer(told);
            return false;
        }
        let Some(remote) = &self.remote else {
            let mut held = false;
            lead.finish(told, || {
                // Another run may end for the same key.
                self.flights.locked(&key.as_key(), || {
                    let value = Arc::new(make(self.held_here(key.as_key())));
                    held = self.insert_held(key, self.entry(value, Portable, life, origin));
                });
            });
            return held;
        };
        let storing = lead.publish(told);
        if storing.is_detached() || self.epochs.covers(since.epoch, &origin.groups) {
            self.counters(key.as_key()).outdated.add_one();
            return false;
        }
        let value = Arc::new(make(self.held_here(key.as_key()).or(found)));
        let write = self.remote_write(&**remote, key, Portable, &*value, life, &origin);
        let written = match (write, since.stamp) {
            (Some(Ok(write)), Some(stamp)) => {
                let stored = remote.store(&[RemoteWrite { stamp: Some(stamp), ..write }]).await;
                stored.inspect_err(|error| self.count_error(key.as_key(), "write", error)).ok()
            }
            (Some(Err(error)), _) => {
                self.count_error(key.as_key(), "encoding", &error);
                None
            }
            _ => None,
        };
        let written = written.and_then(|written| {
            self.count_written(key.as_key(), &written);
            written.first().copied()
        });
        if written == Some(Written::Outdated) {
            return false;
        }
        let mut held = written == Some(Written::Stored);
        storing.commit(|| {
            if self.local.is_some() {
                held |= self.insert_held(key, self.entry(value, Portable, life, origin));
            }
        });
        held
    }

    fn insert_held(&self, key: &Key, entry: Weighed) -> bool {
        let Some(local) = self.local.as_ref().filter(|_| !self.epochs.covers_entry(&entry)) else {
            self.counters(key.as_key()).outdated.add_one();
            return false;
        };
        local.insert(key.clone(), entry);
        self.counters(key.as_key()).stores.add_one();
        true
    }

    /// Notes what became of a call that was answered with what is held, or not.
    pub(crate) fn note_held(&self, key: KeyRef<'_>, outcome: FmOutcome) {
        self.note(key, Provenance::of(outcome));
    }
}
