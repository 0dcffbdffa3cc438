//! Writing, reading and removing entries in the tiers of one cache, outside any run.
//!
//! Here the engine owns failure: a read that fails is a miss, a write that fails is counted, and nobody is told, unless the
//! call asked to be strict.

use std::{any::type_name, sync::Arc, time::Duration};

use super::{
    Core, Exchange, Limits, Topic,
    life::Life,
    outcome::{Face, Verdict},
    read::Copied,
};
use crate::{
    backend::{Group, RemoteKey, RemoteTier, RemoteWrite, Removed, Stamp, Weight, Written},
    codec::{Damage, Meta},
    entry::{Entry, Weighed},
    error::FmError,
    key::{Key, KeyRef},
    print::Print,
    stats::Counters,
    time::Tick,
};

/// A value on its way into the cache by hand; without a life it is not stored, and what was stored before is removed.
pub(crate) struct Write<T> {
    pub(crate) key: Key,
    pub(crate) value: T,
    pub(crate) life: Option<Life>,
    pub(crate) tags: Vec<String>,
}

/// Where a value comes from.
pub(crate) struct Origin {
    /// When it was made.
    pub(crate) born: Tick,
    /// The cache's epoch before it was made, or read.
    pub(crate) epoch: u64,
    /// The groups it is in, but for everything.
    pub(crate) groups: Box<[Group]>,
    /// When it was read from the shared store, or when the run began whose value goes there; `None` where it stays here.
    pub(crate) copied: Option<Tick>,
    /// For how long after its birth nobody is asked to refresh it.
    pub(crate) rests: Option<Duration>,
    /// How it looks to HTTP clients, where that is known.
    pub(crate) print: Option<Arc<Print>>,
}

impl Core {
    /// Counts a body that runs past the cache.
    pub(crate) fn count_bypass(&self, key: KeyRef<'_>) {
        let counters = self.counters(key);
        counters.bypassed.add_one();
        counters.runs.add_one();
    }

    pub(crate) fn counters(&self, key: KeyRef<'_>) -> &Counters {
        self.stats.of(key.number())
    }

    /// An entry for this process.
    pub(crate) fn entry<T, X>(&self, value: Arc<T>, face: X, life: Life, origin: Origin) -> Weighed
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let weight = match self.local.as_ref().map(|local| local.weigh(&*value)) {
            Some(Weight::Serialized) => face.weigh(&value),
            Some(Weight::Known(weight)) => weight,
            None => 0,
        };
        let mut entry = Entry::new(value, origin.born, life.expiry).in_groups(origin.groups).of_use_late(life.late);
        if Exchange::is_expected() {
            entry = entry.printed(origin.print);
        }
        entry.epoch = origin.epoch.into();
        if let Some(due) = life.due {
            entry = entry.due_at(origin.born.after(due));
        }
        if let Some(moment) = origin.copied {
            entry = entry.copied_at(moment);
        }
        if let Some(idle) = life.idle {
            entry = entry.idle_after(idle, Tick::now());
        }
        if let Some(rests) = origin.rests {
            entry.rest_until(origin.born.after(rests));
        }
        Weighed { entry, weight }
    }

    /// The groups that a value under `key` with these tags is in, but for everything.
    pub(crate) fn groups(&self, key: KeyRef<'_>, tags: &[String]) -> Box<[Group]> {
        let namespace = key.namespace().map(Group::Namespace);
        namespace.into_iter().chain(tags.iter().map(|tag| Group::Tag(tag.as_str().into()))).collect()
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
        let mut here = Vec::with_capacity(writes.len());
        let mut failed = None;
        for Write { key, value, life, tags } in writes {
            let Some(life) = life.filter(|_| !self.is_closed()) else {
                self.remove_local(key.as_key());
                outdated.push(key);
                continue;
            };
            let value = Arc::new(value);
            let origin = self.origin_here(self.groups(key.as_key(), &tags), face.leaves_the_process());
            let remote = self.remote.as_ref();
            let write = remote.and_then(|remote| self.remote_write(&**remote, &key, face, &value, life, &origin));
            here.push((key.clone(), self.write_local(&key, value, face, life, origin)));
            match write {
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
            let again = Finally(|| here.iter().for_each(|(key, entry)| self.insist(key, entry)));
            failed = self.send(&**remote, batch, &mut outdated).await.err().or(failed);
            failed = self.forget(&**remote, &outdated).await.err().or(failed);
            drop(again);
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
                    if written != Written::Stored {
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

    /// How long a value that is given by hand is kept; `None`: not at all.
    ///
    /// # Errors
    ///
    /// An expiry that is no length of time.
    pub(crate) fn life(&self, verdict: &Verdict) -> Result<Option<Life>, FmError> {
        Life::decide(verdict, Limits::default(), &self.defaults)
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

    fn write_local<T, X>(&self, key: &Key, value: Arc<T>, face: X, life: Life, origin: Origin) -> Entry
    where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let weighed = self.entry(value, face, life, origin);
        let entry = weighed.entry.clone();
        self.changed();
        self.flights.invalidate(&key.as_key(), || {
            if let Some(local) = &self.local {
                local.insert(key.clone(), weighed);
            }
        });
        if self.local.is_some() {
            self.counters(key.as_key()).stores.add_one();
        }
        entry
    }

    /// Nothing but `entry`, which was written by hand, may be left here under `key`: what was read meanwhile may be what the
    /// store had before.
    fn insist(&self, key: &Key, entry: &Entry) {
        self.changed();
        self.flights.invalidate(&key.as_key(), || {
            let Some(local) = &self.local else { return };
            let mut is_another = false;
            local.visit(key.as_key(), &mut |there| is_another = !there.is(entry));
            if is_another {
                local.remove(key.as_key());
            }
        });
    }

    /// A read under way must not keep what it finds.
    fn changed(&self) {
        if let Some(coherence) = &self.coherence {
            coherence.changed();
        }
    }

    /// The origin of a value that is set here and now.
    fn origin_here(&self, groups: Box<[Group]>, is_copy: bool) -> Origin {
        Tick::notice_paused_time();
        let now = Tick::now();
        let copied = self.coherence.as_ref().filter(|_| is_copy).map(|_| now);
        Origin { born: now, epoch: self.epochs.current(), groups, copied, rests: None, print: None }
    }

    /// One write to the shared store, without a stamp; `None` where the value never leaves the process.
    pub(crate) fn remote_write<T, X: Face<T>>(
        &self,
        remote: &dyn RemoteTier,
        key: &Key,
        face: X,
        value: &T,
        life: Life,
        origin: &Origin,
    ) -> Option<Result<RemoteWrite, FmError>> {
        let some = |length: Duration| (!length.is_zero()).then(|| milliseconds(length));
        let age = Tick::now().since(origin.born);
        let meta = Meta {
            fingerprint: key.as_key().fingerprint(&self.prefix),
            type_name: type_name::<T>(),
            born_ms: remote.now_ms().saturating_sub(if age.is_zero() { 0 } else { milliseconds(age) }),
            fresh_ms: life.expiry.duration().map(milliseconds),
            idle_ms: life.idle.map(milliseconds),
            stale_while_revalidate_ms: some(life.late.answers),
            stale_if_error_ms: some(life.late.excuses),
            bridges_ms: some(life.late.bridges),
            due_ms: life.due.map(milliseconds),
            rests_ms: origin.rests.map(milliseconds),
        };
        let payload = face.encode(&meta, value)?;
        Some(payload.map(|payload| RemoteWrite {
            key: self.remote_key(key.as_key()),
            payload,
            life: life.store_for(),
            stamp: None,
            tags: tags(&origin.groups),
        }))
    }

    /// Writes a value anew that was read from the shared store, so that no process asks for its refresh for a while.
    pub(crate) async fn rest_remote<T, X>(
        &self,
        remote: &dyn RemoteTier,
        key: &Key,
        face: X,
        copied: Copied<T>,
        stamp: Stamp,
    ) where
        T: Send + Sync + 'static,
        X: Face<T>,
    {
        let Copied { value, entry, life } = copied;
        let now = Tick::now();
        let rests = now.since(entry.born()).saturating_add(self.defaults.throttle);
        let groups = entry.groups().into();
        let origin = Origin { born: entry.born(), epoch: 0, groups, copied: None, rests: Some(rests), print: None };
        let write = self.remote_write(remote, key, face, &value, life, &origin);
        let Some(Ok(write)) = write else { return };
        let left = write.life.map(|life| life.saturating_sub(now.since(entry.born())));
        if let Err(error) = remote.store(&[RemoteWrite { stamp: Some(stamp), life: left, ..write }]).await {
            self.count_error(key.as_key(), "write", &error);
        }
    }

    /// Removes a key everywhere; whether it was there.
    ///
    /// # Errors
    ///
    /// Only strict ones: the shared store could not be reached. The removal is queued all the same.
    pub(crate) async fn remove(&self, key: KeyRef<'_>, strict: bool) -> Result<bool, FmError> {
        let was_here = self.remove_local(key);
        let Some(remote) = &self.remote else { return Ok(was_here) };
        // What is read meanwhile may be what the store had before: it goes, also when the caller has gone.
        let again = Finally(|| {
            self.remove_local(key);
        });
        let removed = remote.remove(&[self.remote_key(key)]).await;
        drop(again);
        match removed {
            Removed::Now(count) => Ok(was_here || count > 0),
            Removed::Queued(error) => {
                self.count_error(key, "removal", &error);
                if strict { Err(error) } else { Ok(was_here) }
            }
        }
    }

    /// Removes keys everywhere, from the shared store in one round trip; how many were there.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub(crate) async fn remove_many(&self, keys: &[Key], strict: bool) -> Result<u64, FmError> {
        let remove_here = || keys.iter().filter(|key| self.remove_local(key.as_key())).count() as u64;
        let were_here = remove_here();
        let (Some(remote), Some(first)) = (&self.remote, keys.first()) else { return Ok(were_here) };
        let again = Finally(|| {
            remove_here();
        });
        let remote_keys: Vec<RemoteKey> = keys.iter().map(|key| self.remote_key(key.as_key())).collect();
        let removed = remote.remove(&remote_keys).await;
        drop(again);
        match removed {
            Removed::Now(count) => Ok(count.max(were_here)),
            Removed::Queued(error) => {
                self.count_error(first.as_key(), "removal", &error);
                if strict { Err(error) } else { Ok(were_here) }
            }
        }
    }

    /// Removes a key in this process, and keeps runs under way from storing under it.
    pub(crate) fn remove_local(&self, key: KeyRef<'_>) -> bool {
        self.changed();
        let removed = self.flights.invalidate(&key, || self.local.as_ref().and_then(|local| local.remove(key)));
        let now = Tick::now();
        removed.is_some_and(|entry| entry.is_fresh(now) && self.is_valid(&entry, now))
    }

    /// Removes a group everywhere; how many entries went.
    ///
    /// # Errors
    ///
    /// Only strict ones: the shared store could not be reached. The removal is queued all the same.
    pub(crate) async fn clear(&self, group: &Group, strict: bool) -> Result<u64, FmError> {
        let went_here = self.clear_local(group);
        let Some(remote) = &self.remote else { return Ok(went_here) };
        let again = Finally(|| {
            self.clear_local(group);
        });
        let removed = remote.clear(group).await;
        drop(again);
        match removed {
            Removed::Now(count) => Ok(count.max(went_here)),
            Removed::Queued(error) => {
                self.stats.of(0).errors.add_one();
                tracing::debug!(%error, "the store missed a clear; it is queued");
                if strict { Err(error) } else { Ok(went_here) }
            }
        }
    }

    pub(super) fn clear_local(&self, group: &Group) -> u64 {
        self.epochs.raise(group);
        if let Group::Tag(_) = group {
            // Who carries the tag is known to each entry, and to each run once it has ended: nobody is visited.
            return 0;
        }
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

    pub(super) fn note_damage(&self, remote: &dyn RemoteTier, key: KeyRef<'_>, asked: &'static str, damage: &Damage) {
        if damage.is_misdelivery() {
            remote.distrust();
        }
        if let Damage::OtherType { stored } = damage {
            return self.warn_of_type(key, stored, asked);
        }
        self.counters(key).undecodable.add_one();
        tracing::debug!(?damage, "a stored value could not be read back; it will be written anew");
    }

    pub(super) fn warn_of_type(&self, key: KeyRef<'_>, stored: &str, asked: &'static str) {
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

/// Does something when it is dropped.
struct Finally<F: FnMut()>(F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The tags among groups.
fn tags(groups: &[Group]) -> Vec<Arc<str>> {
    groups.iter().filter_map(|group| if let Group::Tag(tag) = group { Some(tag.clone()) } else { None }).collect()
}

/// Whole milliseconds, at least one.
fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX - 1).max(1)
}
