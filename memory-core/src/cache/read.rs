//! Reading from the shared store.

use std::{any::type_name, sync::Arc, time::Duration};

use super::{
    Core, Hit,
    coherence::Coherence,
    life::Life,
    outcome::Face,
    report::{FmOutcome, FmTier, Provenance},
    store::Origin,
};
use crate::{
    backend::{Fetched, Group, RemoteKey, RemoteTier, Stamp},
    codec::{self, Meta},
    entry::{Late, Standing, Weighed},
    error::{FmError, Kind},
    key::{Key, KeyRef},
    time::{Expiry, FOREVER, Tick},
};

/// What a read of a shared store found.
pub(crate) struct Found<T> {
    /// The value, where there is one that is of any use.
    pub(crate) copied: Option<Copied<T>>,
    /// The generations at the time of the read; `None` when the store could not be read.
    pub(crate) stamp: Option<Stamp>,
}

impl<T> Found<T> {
    /// Whether there is a value that a refresh would replace.
    pub(crate) fn wants_refresh(&self) -> bool {
        self.copied.as_ref().is_some_and(|copied| copied.entry.standing(Tick::now()) != Standing::Fresh)
    }
}

/// A value that was read from a shared store.
pub(crate) struct Copied<T> {
    pub(crate) value: Arc<T>,
    /// Ready to be kept in memory.
    pub(crate) entry: Weighed,
    /// As the store has it, counted from the birth of the value.
    pub(crate) life: Life,
}

/// The moment before a read, and what was known then.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) moment: Tick,
    pub(super) epoch: u64,
    changes: u64,
}

impl Core {
    /// The fresh value under a key, from whichever tier has it.
    ///
    /// # Errors
    ///
    /// Only strict ones: the shared store failed.
    pub(crate) async fn read<T, X>(&self, key: &Key, face: X, strict: bool) -> Result<Option<T>, FmError>
    where
        T: Clone + Send + Sync + 'static,
        X: Face<T>,
    {
        if self.is_closed() {
            return Ok(None);
        }
        if let Some(value) = self.fresh(key.as_key()) {
            return Ok(Some(value));
        }
        let before = self.before();
        let value = match &self.remote {
            Some(remote) => match self.fetch(&**remote, std::slice::from_ref(key)).await {
                Ok(mut fetched) => self.take(&**remote, key, face, fetched.pop(), before).await,
                Err(error) if strict => return Err(error),
                Err(_) => None,
            },
            None => None,
        };
        Ok(self.noted(key.as_key(), value))
    }

    /// What is stored and fresh under a key; counted nowhere.
    pub(crate) async fn peek<T, X>(&self, key: &Key, face: X) -> Option<T>
    where
        T: Clone + Send + Sync + 'static,
        X: Face<T>,
    {
        if let Some(value) = self.look(key.as_key(), Standing::is_fresh, |_, value: &T| value.clone()).value() {
            return Some(value);
        }
        let copied = self.copied(key, face).await?;
        copied.entry.is_fresh(Tick::now()).then(|| Arc::unwrap_or_clone(copied.value))
    }

    /// The fresh values under many keys, in their order; the shared store is asked once.
    pub(crate) async fn read_many<T, X>(&self, keys: &[Key], face: X) -> Vec<Option<T>>
    where
        T: Clone + Send + Sync + 'static,
        X: Face<T>,
    {
        if self.is_closed() {
            return keys.iter().map(|_| None).collect();
        }
        let mut values: Vec<Option<T>> = keys.iter().map(|key| self.fresh(key.as_key())).collect();
        let absent: Vec<usize> = (0..keys.len()).filter(|at| values[*at].is_none()).collect();
        let before = self.before();
        let mut fetched = match &self.remote {
            Some(remote) => {
                let asked: Vec<Key> = absent.iter().map(|at| keys[*at].clone()).collect();
                self.fetch(&**remote, &asked).await.unwrap_or_default().into_iter()
            }
            None => Vec::new().into_iter(),
        };
        for at in absent {
            let value = match (&self.remote, fetched.next()) {
                (Some(remote), fetched) => self.take(&**remote, &keys[at], face, fetched, before).await,
                (None, _) => None,
            };
            values[at] = self.noted(keys[at].as_key(), value);
        }
        values
    }

    /// A value that is at hand for a call whose run takes too long.
    pub(crate) async fn bridge<T, X>(&self, key: &Key, face: X) -> Option<(T, Provenance)>
    where
        T: Clone + Send + Sync + 'static,
        X: Face<T>,
    {
        let now = Tick::now();
        let in_memory = self.look_at(
            key.as_key(),
            now,
            |entry| entry.bridges(now),
            |entry, value: &T| (value.clone(), Provenance::of_entry(entry, FmTier::Memory, now)),
        );
        let (value, what) = match in_memory.value() {
            Some(found) => found,
            None => {
                let copied = self.copied(key, face).await.filter(|copied| copied.entry.bridges(Tick::now()))?;
                let what = Provenance::of_entry(&copied.entry, FmTier::Remote, Tick::now());
                (Arc::unwrap_or_clone(copied.value), what)
            }
        };
        self.note(key.as_key(), what);
        Some((value, what))
    }

    /// Reads one value from the shared store, for a run that is about to begin.
    pub(crate) async fn find<T, X>(
        &self,
        remote: &dyn RemoteTier,
        key: &Key,
        face: X,
        moment: Tick,
        epoch: u64,
    ) -> Found<T>
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let before = Before { moment, epoch, changes: 0 };
        let fetched = self.fetch(remote, std::slice::from_ref(key)).await.ok().and_then(|mut all| all.pop());
        let Some(mut fetched) = fetched else { return Found { copied: None, stamp: None } };
        let stamp = std::mem::take(&mut fetched.stamp);
        Found { copied: self.open(remote, key, face, fetched, before).await, stamp: Some(stamp) }
    }

    /// The generations of a key in the shared store at this moment.
    pub(crate) async fn stamp(&self, remote: &dyn RemoteTier, key: &Key) -> Option<Stamp> {
        self.fetch(remote, std::slice::from_ref(key)).await.ok()?.pop().map(|fetched| fetched.stamp)
    }

    /// The fresh value in memory, for a direct read.
    fn fresh<T: Clone + 'static>(&self, key: KeyRef<'_>) -> Option<T> {
        let is_fresh = self.look(key, Standing::is_fresh, |_, _: &T| ());
        if let super::Look::Nothing = is_fresh {
            return None;
        }
        match self.hit(key, T::clone) {
            Hit::Answer(value) | Hit::Due(value) => Some(value),
            Hit::Nothing => None,
        }
    }

    pub(super) fn before(&self) -> Before {
        let changes = self.coherence.as_ref().map_or(0, Coherence::changes);
        Before { moment: Tick::now(), epoch: self.epochs.current(), changes }
    }

    /// The fresh value that was fetched; it is kept in memory, too.
    async fn take<T, X>(
        &self,
        remote: &dyn RemoteTier,
        key: &Key,
        face: X,
        fetched: Option<Fetched>,
        before: Before,
    ) -> Option<(T, Provenance)>
    where
        T: Clone + Send + Sync + 'static,
        X: Face<T>,
    {
        let now = Tick::now();
        let copied =
            self.open(remote, key, face, fetched?, before).await.filter(|copied| copied.entry.is_fresh(now))?;
        let what = Provenance::of_entry(&copied.entry, FmTier::Remote, now);
        self.keep_copy(key, copied.entry, before);
        Some((Arc::unwrap_or_clone(copied.value), what))
    }

    /// Keeps what was read in memory, unless something has changed since before it was read.
    pub(super) fn keep_copy(&self, key: &Key, entry: Weighed, before: Before) {
        let (Some(local), Some(coherence)) = (&self.local, &self.coherence) else { return };
        self.flights.locked(&key.as_key(), || {
            if coherence.changes() == before.changes && !self.epochs.covers_entry(&entry) {
                local.insert(key.clone(), entry);
            }
        });
    }

    fn noted<T>(&self, key: KeyRef<'_>, found: Option<(T, Provenance)>) -> Option<T> {
        let what = found.as_ref().map_or(Provenance::of(FmOutcome::Miss), |(_, what)| *what);
        self.note(key, what);
        found.map(|(value, _)| value)
    }

    /// What the shared store has, of whatever use it is.
    pub(crate) async fn copied<T, X>(&self, key: &Key, face: X) -> Option<Copied<T>>
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let remote = self.remote.as_ref().filter(|_| face.leaves_the_process() && !self.is_closed())?;
        let before = self.before();
        let fetched = self.fetch(&**remote, std::slice::from_ref(key)).await.ok()?.pop()?;
        self.open(&**remote, key, face, fetched, before).await
    }

    /// Reads keys from the shared store, in one round trip.
    async fn fetch(&self, remote: &dyn RemoteTier, keys: &[Key]) -> Result<Vec<Fetched>, FmError> {
        let Some(first) = keys.first() else { return Ok(Vec::new()) };
        let remote_keys: Vec<RemoteKey> = keys.iter().map(|key| self.remote_key(key.as_key())).collect();
        let fetched = remote.fetch(&remote_keys).await.and_then(|fetched| {
            if fetched.len() == keys.len() {
                return Ok(fetched);
            }
            remote.distrust();
            Err(FmError::new(Kind::Backend, "the store answered a read with another number of values"))
        });
        if let Err(error) = &fetched {
            self.count_error(first.as_key(), "read", error);
        }
        fetched
    }

    /// The value in an envelope, when it is whole, ours, a `T` and of any use.
    async fn open<T, X>(
        &self,
        remote: &dyn RemoteTier,
        key: &Key,
        face: X,
        fetched: Fetched,
        before: Before,
    ) -> Option<Copied<T>>
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        if fetched.damaged {
            self.counters(key.as_key()).undecodable.add_one();
        }
        let payload = fetched.payload?;
        let opened = codec::open(&payload, &key.as_key().fingerprint(&self.prefix))
            .and_then(|(meta, body)| Ok((Stored::of(&meta, remote.now_ms()), face.decode(&meta, body)?)));
        let (stored, value) = match opened {
            Ok((stored, value)) => (stored, Arc::new(value)),
            Err(damage) => {
                self.note_damage(remote, key.as_key(), type_name::<T>(), &damage);
                return None;
            }
        };
        let entry = self.entry_of(key, value.clone(), face, &stored, &fetched.tags, before);
        if entry.standing(Tick::now()) == Standing::Over {
            return None;
        }
        self.prolong(remote, key, &stored).await;
        Some(Copied { value, entry, life: stored.life })
    }

    fn entry_of<T, X>(
        &self,
        key: &Key,
        value: Arc<T>,
        face: X,
        stored: &Stored,
        tags: &[Arc<str>],
        before: Before,
    ) -> Weighed
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let namespace = key.as_key().namespace().map(Group::Namespace);
        let groups = namespace.into_iter().chain(tags.iter().cloned().map(Group::Tag)).collect();
        let born = Tick::now().before(stored.age);
        let copied = self.coherence.as_ref().map(|_| before.moment);
        let origin = Origin { born, epoch: before.epoch, groups, copied, rests: stored.rests, print: None };
        self.entry(value, face, stored.life, origin)
    }

    /// A read of what has a time to idle gives it that much more to live.
    async fn prolong(&self, remote: &dyn RemoteTier, key: &Key, stored: &Stored) {
        let Some(idle) = stored.life.idle else { return };
        let whole = stored.life.expiry.duration().map(|life| life.saturating_add(stored.life.late.longest()));
        let left = whole.map_or(idle, |whole| idle.min(whole.saturating_sub(stored.age)));
        if let Err(error) = remote.touch(&self.remote_key(key.as_key()), left).await {
            self.count_error(key.as_key(), "touch", &error);
        }
    }
}

/// What an envelope says about its value.
struct Stored {
    age: Duration,
    life: Life,
    /// For how long after its birth nobody is asked to refresh it.
    rests: Option<Duration>,
}

impl Stored {
    /// `now_ms` is on the store's clock.
    fn of(meta: &Meta<'_>, now_ms: u64) -> Self {
        let length = |ms: Option<u64>| ms.map(Duration::from_millis);
        let late = Late {
            answers: length(meta.stale_while_revalidate_ms).unwrap_or_default(),
            excuses: length(meta.stale_if_error_ms).unwrap_or_default(),
            bridges: length(meta.bridges_ms).unwrap_or_default(),
        };
        let expiry = length(meta.fresh_ms).map_or(FOREVER, Expiry::after);
        Self {
            age: Duration::from_millis(now_ms.saturating_sub(meta.born_ms)),
            life: Life { expiry, idle: length(meta.idle_ms), late, due: length(meta.due_ms) },
            rests: length(meta.rests_ms),
        }
    }
}
