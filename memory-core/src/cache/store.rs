//! Writing, reading and removing entries in the tiers of one cache, outside any run.
//!
//! Here the engine owns failure: a read that fails is a miss, a write that fails is counted, and nobody is told, unless the
//! call asked to be strict.

use std::{
    any::{Any, type_name},
    sync::Arc,
    time::Duration,
};

use super::{
    Core, Topic,
    life::Life,
    outcome::{Face, Shared, Verdict},
};
use crate::{
    backend::{Fetched, Group, RemoteKey, RemoteTier, RemoteWrite, Removed, Stamp, Weight, Written},
    codec::{self, Damage, Meta},
    entry::Entry,
    error::{FmError, Kind},
    key::{Key, KeyRef},
    stats::Counters,
    time::{Expiry, FOREVER, Tick},
};

/// A value on its way into the cache by hand; without a life it is not stored, and what was stored before is removed.
pub(crate) struct Write<T> {
    pub(crate) key: Key,
    pub(crate) value: T,
    pub(crate) life: Option<Life>,
}

/// What a read of a shared store found.
pub(crate) struct Found<T> {
    /// The value with its entry in this process, ready to be kept.
    pub(crate) value: Option<(Arc<T>, Entry)>,
    /// The generations at the time of the read; `None` when the store could not be read.
    pub(crate) stamp: Option<Stamp>,
}

/// What a look into memory found.
pub(crate) enum Look<R> {
    /// What became of the value.
    Value(R),
    /// A value of another type, by the name of its type.
    OtherType { stored: &'static str },
    /// Nothing that is fresh.
    Nothing,
}

impl<R> Look<R> {
    pub(crate) fn value(self) -> Option<R> {
        match self {
            Self::Value(value) => Some(value),
            Self::OtherType { .. } | Self::Nothing => None,
        }
    }
}

impl Core {
    /// Answers from memory, and counts it.
    pub(crate) fn hit<T: Any, R>(&self, key: KeyRef<'_>, see: impl FnOnce(&T) -> R) -> Option<R> {
        match self.look(key, see) {
            Look::Value(seen) => {
                self.counters(key).hits.add_one();
                Some(seen)
            }
            Look::OtherType { stored } => {
                self.warn_of_type(key, stored, type_name::<T>());
                None
            }
            Look::Nothing => None,
        }
    }

    /// Shows the value under `key` to `see`, when it is in memory, fresh and a `T`; counted nowhere.
    pub(crate) fn look<T: Any, R>(&self, key: KeyRef<'_>, see: impl FnOnce(&T) -> R) -> Look<R> {
        let Some(local) = self.local.as_ref().filter(|_| !self.is_closed()) else { return Look::Nothing };
        let now = Tick::now();
        let mut see = Some(see);
        let mut look = Look::Nothing;
        local.visit(key, &mut |entry| {
            if !entry.is_fresh(now) || self.epochs.covers_entry(entry) {
                return;
            }
            match entry.value.downcast_ref::<T>() {
                Some(value) => {
                    entry.touch(now);
                    look = see.take().map_or(Look::Nothing, |see| Look::Value(see(value)));
                }
                None => look = Look::OtherType { stored: entry.type_name },
            }
        });
        look
    }

    /// The value under a key, from whichever tier has it.
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
        if let Some(value) = self.hit(key.as_key(), T::clone) {
            return Ok(Some(value));
        }
        let value = match &self.remote {
            Some(remote) => match self.fetch(&**remote, std::slice::from_ref(key)).await {
                Ok(mut fetched) => self.value_of(&**remote, key, face, fetched.pop()).await,
                Err(error) if strict => return Err(error),
                Err(_) => None,
            },
            None => None,
        };
        self.count_read(key.as_key(), value.is_some());
        Ok(value)
    }

    /// What is stored under a key; counted nowhere.
    pub(crate) async fn peek<T, X>(&self, key: &Key, face: X) -> Option<T>
    where
        T: Clone + Send + Sync + 'static,
        X: Face<T>,
    {
        if let Some(value) = self.look(key.as_key(), T::clone).value() {
            return Some(value);
        }
        let remote = self.remote.as_ref().filter(|_| face.leaves_the_process() && !self.is_closed())?;
        let fetched = self.fetch(&**remote, std::slice::from_ref(key)).await.ok()?.pop();
        self.value_of(&**remote, key, face, fetched).await
    }

    /// The values under many keys, in their order; the shared store is asked once.
    pub(crate) async fn read_many<T, X>(&self, keys: &[Key], face: X) -> Vec<Option<T>>
    where
        T: Clone + Send + Sync + 'static,
        X: Face<T>,
    {
        if self.is_closed() {
            return keys.iter().map(|_| None).collect();
        }
        let mut values: Vec<Option<T>> = keys.iter().map(|key| self.hit(key.as_key(), T::clone)).collect();
        let absent: Vec<usize> = (0..keys.len()).filter(|at| values[*at].is_none()).collect();
        if let Some(remote) = &self.remote {
            let asked: Vec<Key> = absent.iter().map(|at| keys[*at].clone()).collect();
            for (at, fetched) in absent.iter().zip(self.fetch(&**remote, &asked).await.unwrap_or_default()) {
                values[*at] = self.value_of(&**remote, &keys[*at], face, Some(fetched)).await;
            }
        }
        for at in absent {
            self.count_read(keys[at].as_key(), values[at].is_some());
        }
        values
    }

    async fn value_of<T, X>(&self, remote: &dyn RemoteTier, key: &Key, face: X, fetched: Option<Fetched>) -> Option<T>
    where
        T: Clone + Send + Sync + 'static,
        X: Face<T>,
    {
        let payload = self.payload(key, fetched?)?;
        let (value, _) = self.unpack(remote, key, face, &payload, self.epochs.current()).await?;
        Some(Arc::unwrap_or_clone(value))
    }

    fn count_read(&self, key: KeyRef<'_>, hit: bool) {
        let counters = self.counters(key);
        if hit { counters.hits.add_one() } else { counters.misses.add_one() }
    }

    /// Counts a body that runs past the cache.
    pub(crate) fn count_bypass(&self, key: KeyRef<'_>) {
        let counters = self.counters(key);
        counters.bypassed.add_one();
        counters.runs.add_one();
    }

    pub(crate) fn counters(&self, key: KeyRef<'_>) -> &Counters {
        self.stats.of(key.number())
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

    /// Reads one value from the shared store, for a run that is about to begin.
    pub(crate) async fn find<T, X>(&self, remote: &dyn RemoteTier, key: &Key, face: X) -> Found<T>
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let epoch = self.epochs.current();
        let Some(fetched) = self.fetch(remote, std::slice::from_ref(key)).await.ok().and_then(|mut all| all.pop())
        else {
            return Found { value: None, stamp: None };
        };
        let stamp = fetched.stamp.clone();
        let value = match self.payload(key, fetched) {
            Some(payload) => self.unpack(remote, key, face, &payload, epoch).await,
            None => None,
        };
        Found { value, stamp: Some(stamp) }
    }

    /// The generations of a key in the shared store at this moment.
    pub(crate) async fn stamp(&self, remote: &dyn RemoteTier, key: &Key) -> Option<Stamp> {
        self.fetch(remote, std::slice::from_ref(key)).await.ok()?.pop().map(|fetched| fetched.stamp)
    }

    /// The bytes that were read, when they are ours.
    fn payload(&self, key: &Key, fetched: Fetched) -> Option<Vec<u8>> {
        if fetched.damaged {
            self.counters(key.as_key()).undecodable.add_one();
        }
        fetched.payload
    }

    /// The value in an envelope, when it is whole, ours, a `T` and fresh.
    pub(crate) async fn unpack<T, X>(
        &self,
        remote: &dyn RemoteTier,
        key: &Key,
        face: X,
        payload: &[u8],
        epoch: u64,
    ) -> Option<(Arc<T>, Entry)>
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let opened = codec::open(payload, &key.as_key().fingerprint(&self.prefix))
            .and_then(|(meta, body)| Ok((Left::of(&meta, remote.now_ms()), face.decode(&meta, body)?)));
        let (left, value) = match opened {
            Ok((Some(left), value)) => (left, Arc::new(value)),
            Ok((None, _)) => return None,
            Err(damage) => {
                self.note_damage(remote, key.as_key(), type_name::<T>(), &damage);
                return None;
            }
        };
        if let Some(life) = left.touch
            && let Err(error) = remote.touch(&self.remote_key(key.as_key()), life).await
        {
            self.count_error(key.as_key(), "touch", &error);
        }
        let entry = self.entry(key, value.clone(), face, left.life, epoch);
        Some((value, entry))
    }

    /// An entry for this process.
    pub(crate) fn entry<T, X>(&self, key: &Key, value: Arc<T>, face: X, life: Life, epoch: u64) -> Entry
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let weight = match self.local.as_ref().map(|local| local.weigh(&*value)) {
            Some(Weight::Serialized) => face.weigh(&value),
            Some(Weight::Known(weight)) => weight,
            None => 0,
        };
        let shared: Shared = value;
        let mut entry = Entry::new(shared, type_name::<T>(), Tick::now(), life.expiry);
        entry.epoch = epoch.into();
        entry.namespace = key.as_key().namespace();
        entry.weight = weight;
        match life.idle {
            Some(idle) => entry.idle_after(idle),
            None => entry,
        }
    }

    /// Stores values by hand: newer than every run under way. What cannot be stored replaces what was stored all the same. The shared
    /// store is asked once to store and once to remove.
    ///
    /// # Errors
    ///
    /// Only strict ones: the shared store failed, or a value could not be encoded.
    pub(crate) async fn write<T, X>(&self, writes: Vec<Write<T>>, face: X, strict: bool) -> Result<(), FmError>
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let mut batch = Vec::with_capacity(writes.len());
        let mut outdated = Vec::new();
        let mut failed = None;
        for Write { key, value, life } in writes {
            let Some(life) = life.filter(|_| !self.is_closed()) else {
                self.remove_local(key.as_key());
                outdated.push(key);
                continue;
            };
            let value = Arc::new(value);
            self.write_local(&key, value.clone(), face, life);
            match self.remote.as_ref().and_then(|remote| self.remote_write(&**remote, &key, face, &value, life, None)) {
                Some(Ok(write)) => batch.push((key, write)),
                Some(Err(error)) => {
                    self.count_error(key.as_key(), "encoding", &error);
                    failed = Some(error);
                    outdated.push(key);
                }
                None => {}
            }
        }
        if let Some(remote) = &self.remote {
            failed = self.send(&**remote, batch, &mut outdated).await.err().or(failed);
            failed = self.forget(&**remote, &outdated).await.err().or(failed);
        }
        failed.filter(|_| strict).map_or(Ok(()), Err)
    }

    /// Writes in one round trip; the keys of what was not stored come to the `outdated` ones.
    async fn send(
        &self,
        remote: &dyn RemoteTier,
        batch: Vec<(Key, RemoteWrite)>,
        outdated: &mut Vec<Key>,
    ) -> Result<(), FmError> {
        let (keys, writes): (Vec<Key>, Vec<RemoteWrite>) = batch.into_iter().unzip();
        let Some(first) = keys.first() else { return Ok(()) };
        match remote.store(&writes).await {
            Ok(written) => {
                for (key, written) in keys.into_iter().zip(written) {
                    self.count_written(key.as_key(), &[written]);
                    if written == Written::TooLarge {
                        outdated.push(key);
                    }
                }
                Ok(())
            }
            Err(error) => {
                self.count_error(first.as_key(), "write", &error);
                // What was stored before must not come back when the store does.
                outdated.extend(keys);
                Err(error)
            }
        }
    }

    /// Removes keys from the shared store in one round trip.
    async fn forget(&self, remote: &dyn RemoteTier, keys: &[Key]) -> Result<(), FmError> {
        let Some(first) = keys.first() else { return Ok(()) };
        let outdated: Vec<RemoteKey> = keys.iter().map(|key| self.remote_key(key.as_key())).collect();
        match remote.remove(&outdated).await {
            Removed::Now(_) => Ok(()),
            Removed::Queued(error) => {
                self.count_error(first.as_key(), "removal", &error);
                Err(error)
            }
        }
    }

    /// How long a value with this verdict is kept; `None`: not at all.
    ///
    /// # Errors
    ///
    /// An expiry that is no length of time.
    pub(crate) fn life(&self, verdict: Verdict) -> Result<Option<Life>, FmError> {
        Life::decide(verdict, self.defaults)
    }

    /// Counts what became of one write to the shared store.
    pub(crate) fn count_written(&self, key: KeyRef<'_>, written: &[Written]) {
        let counters = self.counters(key);
        match written.first() {
            Some(Written::Stored) => counters.stores.add_one(),
            Some(Written::Outdated) => counters.outdated.add_one(),
            Some(Written::TooLarge) => counters.too_large.add_one(),
            None => {}
        }
    }

    fn write_local<T, X>(&self, key: &Key, value: Arc<T>, face: X, life: Life)
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let entry = Arc::new(self.entry(key, value, face, life, self.epochs.current()));
        self.flights.invalidate(&key.as_key(), || {
            if let Some(local) = &self.local {
                local.insert(key.clone(), entry);
            }
        });
        if self.local.is_some() {
            self.counters(key.as_key()).stores.add_one();
        }
    }

    /// One write to the shared store; `None` where the value never leaves the process.
    pub(crate) fn remote_write<T, X: Face<T>>(
        &self,
        remote: &dyn RemoteTier,
        key: &Key,
        face: X,
        value: &T,
        life: Life,
        stamp: Option<Stamp>,
    ) -> Option<Result<RemoteWrite, FmError>> {
        let meta = Meta {
            fingerprint: key.as_key().fingerprint(&self.prefix),
            type_name: type_name::<T>(),
            born_ms: remote.now_ms(),
            fresh_ms: life.expiry.duration().map(milliseconds),
            idle_ms: life.idle.map(milliseconds),
        };
        let payload = face.encode(&meta, value)?;
        Some(payload.map(|payload| RemoteWrite {
            key: self.remote_key(key.as_key()),
            payload,
            life: life.store_for(),
            stamp,
            tags: Vec::new(),
        }))
    }

    /// Removes a key everywhere; whether it was there.
    ///
    /// # Errors
    ///
    /// Only strict ones: the shared store could not be reached. The removal is queued all the same.
    pub(crate) async fn remove(&self, key: KeyRef<'_>, strict: bool) -> Result<bool, FmError> {
        let was_here = self.remove_local(key);
        let Some(remote) = &self.remote else { return Ok(was_here) };
        match remote.remove(&[self.remote_key(key)]).await {
            Removed::Now(count) => Ok(was_here || count > 0),
            Removed::Queued(error) => {
                self.count_error(key, "removal", &error);
                if strict { Err(error) } else { Ok(was_here) }
            }
        }
    }

    /// Removes a key in this process, and keeps runs under way from storing under it.
    pub(crate) fn remove_local(&self, key: KeyRef<'_>) -> bool {
        let removed = self.flights.invalidate(&key, || self.local.as_ref().and_then(|local| local.remove(key)));
        removed.is_some_and(|entry| entry.is_fresh(Tick::now()) && !self.epochs.covers_entry(&entry))
    }

    /// Removes a group everywhere; how many entries went.
    ///
    /// # Errors
    ///
    /// Only strict ones: the shared store could not be reached. The removal is queued all the same.
    pub(crate) async fn clear(&self, group: &Group, strict: bool) -> Result<u64, FmError> {
        let went_here = self.clear_local(group);
        let Some(remote) = &self.remote else { return Ok(went_here) };
        match remote.clear(group).await {
            Removed::Now(count) => Ok(count.max(went_here)),
            Removed::Queued(error) => {
                self.stats.of(0).errors.add_one();
                tracing::debug!(%error, "the store missed a clear; it is queued");
                if strict { Err(error) } else { Ok(went_here) }
            }
        }
    }

    fn clear_local(&self, group: &Group) -> u64 {
        self.epochs.raise(group);
        self.flights.invalidate_where(|key| covers(group, key.as_key()));
        let now = Tick::now();
        let mut fresh = 0;
        if let Some(local) = &self.local {
            local.remove_where(&mut |key, entry| {
                let doomed = covers(group, key);
                fresh += u64::from(doomed && entry.is_fresh(now));
                doomed
            });
        }
        fresh
    }

    pub(crate) fn remote_key(&self, key: KeyRef<'_>) -> RemoteKey {
        RemoteKey { text: key.render(&self.prefix).into(), namespace: key.namespace(), wire: key.to_wire() }
    }

    /// Counts a failure of the store.
    pub(crate) fn count_error(&self, key: KeyRef<'_>, what: &'static str, error: &FmError) {
        self.counters(key).errors.add_one();
        tracing::debug!(%error, what, "the store behind the cache failed");
    }

    fn note_damage(&self, remote: &dyn RemoteTier, key: KeyRef<'_>, asked: &'static str, damage: &Damage) {
        if damage.is_misdelivery() {
            remote.distrust();
        }
        if let Damage::OtherType { stored } = damage {
            return self.warn_of_type(key, stored, asked);
        }
        self.counters(key).undecodable.add_one();
        tracing::debug!(?damage, "a stored value could not be read back; it will be written anew");
    }

    fn warn_of_type(&self, key: KeyRef<'_>, stored: &str, asked: &'static str) {
        self.counters(key).undecodable.add_one();
        if self.told.first(Topic::OtherType, key.hash()) {
            let key = key.render(&self.prefix);
            tracing::warn!(key, stored, asked, "the value under this key has another type than asked for: a miss");
        }
    }
}

fn covers(group: &Group, key: KeyRef<'_>) -> bool {
    match group {
        Group::All => true,
        Group::Namespace(namespace) => key.namespace().as_deref() == Some(&**namespace),
        Group::Tag(_) => false,
    }
}

/// What is left of the life of an entry that was read from a shared store.
struct Left {
    life: Life,
    /// For how much longer the store has to keep it, where a read prolongs that.
    touch: Option<Duration>,
}

impl Left {
    /// `None` when it is over. `now_ms` is on the store's clock.
    fn of(meta: &Meta<'_>, now_ms: u64) -> Option<Self> {
        let age = now_ms.saturating_sub(meta.born_ms);
        let fresh = match meta.fresh_ms {
            Some(fresh) => Some(Duration::from_millis(fresh.checked_sub(age).filter(|left| *left > 0)?)),
            None => None,
        };
        let idle = meta.idle_ms.map(Duration::from_millis);
        let life = Life { expiry: fresh.map_or(FOREVER, Expiry::after), idle };
        Some(Self { life, touch: idle.and_then(|_| life.store_for()) })
    }
}

/// Whole milliseconds, at least one.
fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX - 1).max(1)
}
