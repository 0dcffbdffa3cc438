//! The seam between the engine and the stores: entries, not bytes.
//!
//! A store is either [`LocalTier`] (in this process: typed values, synchronous, no serialisation) or [`RemoteTier`]
//! (shared between processes: bytes, asynchronous, may fail). Freshness is the engine's business: a store's own
//! expiry only reclaims space. A store returns errors; the engine decides what they mean for a call.

#[cfg(feature = "memory")]
mod memory;

#[cfg(feature = "memory")]
pub use memory::{FmMemoryBackend, FmMemoryBackendBuilder, FmMemoryEngine};

use std::{
    any::Any,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

pub use crate::{
    entry::{Entry, Weighed},
    key::{Key, KeyRef, escape},
};
use crate::{error::FmError, time::Tick};

/// How a store outside this crate says what went wrong.
#[doc(hidden)]
pub use crate::error::Kind;

/// A boxed future, as the object-safe seam needs.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A store that a cache can be built on: `FmMemoryBackend`, `FmRedisBackend`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cache backend",
    label = "give an `FmMemoryBackend` or an `FmRedisBackend`"
)]
pub trait FmBackend: 'static {
    /// Opens the store for one prefix. Does no I/O: a store that cannot be reached is no error here.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    fn open(self, prefix: &Prefix) -> Result<Tier, FmError>;
}

/// An opened store.
#[non_exhaustive]
pub enum Tier {
    /// In this process.
    Local(Arc<dyn LocalTier>),
    /// Shared between processes.
    Remote(Arc<dyn RemoteTier>),
}

/// The checked, non-empty prefix of a cache, as written by the user and as it appears in keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    plain: Arc<str>,
    escaped: Arc<str>,
}

impl Prefix {
    /// The prefix of a cache that names none.
    pub const FALLBACK: &str = "fm-cache";

    pub(crate) fn fallback() -> Self {
        Self { plain: Self::FALLBACK.into(), escaped: Self::FALLBACK.into() }
    }

    /// Checks a prefix.
    ///
    /// # Errors
    ///
    /// An empty one.
    pub fn new(prefix: &str) -> Result<Self, FmError> {
        if prefix.is_empty() {
            return Err(FmError::new(
                crate::error::Kind::Config,
                "the prefix is empty: give the cache a name of its own, such as \"app-cache\"",
            ));
        }
        Ok(Self { plain: prefix.into(), escaped: crate::key::escape(prefix).into() })
    }

    /// As the user wrote it.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// As it begins every key: `:`, `{`, `}`, `%` and unprintable characters percent-escaped.
    pub fn escaped(&self) -> &str {
        &self.escaped
    }

    /// A namespace as it appears in keys: escaped as the prefix is, and `/` too.
    pub fn escaped_namespace(&self, namespace: &str) -> String {
        crate::key::escape(namespace).replace('/', "%2F")
    }

    /// How the text of every key of a group begins, and of no other key; `None` for a group that no key shows.
    pub fn group_start(&self, group: &Group) -> Option<String> {
        match group {
            Group::All => Some(format!("{}:", self.escaped)),
            Group::Namespace(namespace) => Some(format!("{}:{}/", self.escaped, self.escaped_namespace(namespace))),
            Group::Tag(_) => None,
        }
    }
}

/// What an invalidation of many entries covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Everything under the prefix.
    All,
    /// Everything in one namespace (as the user wrote it).
    Namespace(Arc<str>),
    /// Everything with one tag (as the user wrote it).
    Tag(Arc<str>),
}

/// A store in this process.
///
/// Every method is synchronous and short; the engine calls the writing ones under a lock of the key's shard, so an
/// implementation must not call back into the engine.
pub trait LocalTier: Send + Sync + 'static {
    /// Shows the entry under `key` to `visit`, without copying it; `false` when there is none.
    ///
    /// This may be under a lock, so `visit` has to be short, must run no code of the user and must not come back here.
    fn visit(&self, key: KeyRef<'_>, visit: &mut dyn FnMut(&Entry)) -> bool;
    /// A copy of the entry under `key`, when there is nothing to consider: it is [plain](Entry::is_plain), fresh at `now`, and
    /// was checked at this epoch.
    ///
    /// The key comes in its [parts](KeyRef::parts), which fit into registers: this is the one call that every hit makes.
    fn plain(&self, hash: u64, words: &[u64], now: Tick, epoch: u64) -> Plain {
        let key = KeyRef::from_parts(hash, words);
        let mut plain = Plain::Absent;
        self.visit(key, &mut |entry| plain = Plain::of(entry, now, epoch));
        plain
    }
    /// Stores an entry, evicting others where the bound asks for it.
    fn insert(&self, key: Key, entry: Weighed);
    /// Removes an entry and gives it back, where there was one.
    fn remove(&self, key: KeyRef<'_>) -> Option<Entry>;
    /// Removes what `doomed` picks; how many went.
    fn remove_where(&self, doomed: &mut dyn FnMut(KeyRef<'_>, &Entry) -> bool) -> u64;
    /// How many entries there are; approximate while writes are under way.
    fn entry_count(&self) -> u64;
    /// How many entries the bound has pushed out so far.
    fn evictions(&self) -> u64;
    /// How the weight of `value` is found, for [`Weighed::weight`].
    fn weigh(&self, value: &dyn Any) -> Weight;
}

/// What a quick look finds.
pub enum Plain {
    /// An entry that may be answered as it is.
    Fresh(Entry),
    /// An entry that takes a closer look.
    Unclear,
    /// None.
    Absent,
}

impl Plain {
    /// What is found in an entry.
    #[inline]
    pub fn of(entry: &Entry, now: Tick, epoch: u64) -> Self {
        let is_fresh = entry.is_plain(now) && now < entry.expires && entry.epoch.load(Ordering::Relaxed) == epoch;
        if is_fresh { Self::Fresh(entry.clone()) } else { Self::Unclear }
    }
}

/// How much a value counts towards the bound of a local store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// This much.
    Known(u64),
    /// The length of its serialised form: the engine counts it.
    Serialized,
}

/// A key as a shared store sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteKey {
    /// The exact text of the key, prefix included, without braces.
    pub text: Arc<str>,
    /// The namespace (as the user wrote it) whose generation guards this key.
    pub namespace: Option<Arc<str>>,
    /// The key for other processes, which take it apart again: what [`Watcher::changed`] is called with there.
    pub wire: Arc<[u8]>,
}

/// What a shared store knew about the generations of a key and of its groups when it was read.
///
/// Opaque to the engine: noted when a run starts, handed back when its value is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(pub Box<[u8]>);

/// The answer to one key of a read.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The stored bytes, where there are any and none of their groups was invalidated since.
    pub payload: Option<Vec<u8>>,
    /// The tags they were stored with.
    pub tags: Vec<Arc<str>>,
    /// Whether something lies there that is no entry of this key: a miss, which the engine counts.
    pub damaged: bool,
    /// The generations of this moment.
    pub stamp: Stamp,
}

/// One conditional write.
#[derive(Clone, Debug)]
pub struct RemoteWrite {
    /// Where.
    pub key: RemoteKey,
    /// What.
    pub payload: Vec<u8>,
    /// For how long; `None` for ever.
    pub life: Option<Duration>,
    /// The generations under which the value was made; `None` writes in any case and counts as newer than every
    /// run under way (a `set` by hand).
    pub stamp: Option<Stamp>,
    /// The tags whose generations guard the value, beside those of its namespace and of everything. They may be known
    /// only once the value is: the stamp says when the run began, whatever the tags turn out to be.
    pub tags: Vec<Arc<str>>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Stored.
    Stored,
    /// Something was invalidated or written since the stamp: nothing was stored.
    Outdated,
    /// Larger than the store's payload limit: nothing was stored.
    TooLarge,
}

/// What became of a removal.
#[derive(Clone, Debug)]
pub enum Removed {
    /// Done; how many entries went.
    Now(u64),
    /// The store could not be reached: the removal is queued and will be replayed before the store is read again.
    Queued(FmError),
}

/// A store shared between processes.
///
/// Every method bounds its own time and fails at once while the store is known to be down.
pub trait RemoteTier: Send + Sync + 'static {
    /// The store's own clock, in milliseconds since the Unix epoch, as estimated from its last answer and our
    /// monotonic clock.
    fn now_ms(&self) -> u64;
    /// Reads keys in one round trip; the answers are in the order of the keys.
    fn fetch<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Result<Vec<Fetched>, FmError>>;
    /// Writes in one round trip; the answers are in the order of the writes.
    fn store<'a>(&'a self, writes: &'a [RemoteWrite]) -> BoxFuture<'a, Result<Vec<Written>, FmError>>;
    /// Removes keys and raises their generations, so that runs under way anywhere cannot store under them.
    fn remove<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Removed>;
    /// Removes a group and raises its generation.
    fn clear<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Removed>;
    /// Gives an entry that was read `life` more to live (time to idle).
    fn touch<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<(), FmError>>;
    /// Asks to be the one process that refreshes a key; `false` when another one is. Ends with the next store or removal
    /// under the key, and by itself after `life`. Saves work, and nothing rests on it.
    fn lease<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<bool, FmError>>;
    /// Tells `watcher` from now on what other processes change. Called once at most, before anything is read. Does no
    /// I/O: the stream begins with the first call of another method. The store keeps `watcher` until it is closed or
    /// dropped, so that a watcher must not keep the store.
    fn watch(&self, watcher: Arc<dyn Watcher>);
    /// The connection that gave the last answers mixes replies up (a value carried another key): drop it.
    fn distrust(&self);
    /// Stops the background work of this store; later calls fail.
    fn close<'a>(&'a self) -> BoxFuture<'a, ()>;
}

/// Who keeps copies of a shared store and hears what other processes do to it.
///
/// Messages may come late or not at all; [`in_step`](Self::in_step) and [`resync`](Self::resync) bound the harm. Called
/// from the store's background task: every method is short.
pub trait Watcher: Send + Sync + 'static {
    /// Another process has stored or removed the entry with this [`RemoteKey::wire`].
    fn changed(&self, wire: &[u8]);
    /// Another process has invalidated a group.
    fn invalidated(&self, group: &Group);
    /// Every change up to the moment that lies so far back has been told. Comes again and again while the stream is
    /// sound, so that silence means that it is not.
    fn in_step(&self, ago: Duration);
    /// The stream begins, or begins again after a break: changes before this moment may have been missed.
    fn resync(&self);
}
