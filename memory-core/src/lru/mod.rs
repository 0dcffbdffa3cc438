//! A bounded store of computed values that counts as Python's `functools.lru_cache` does.

mod recency;
pub(crate) mod stores;

use std::{
    borrow::Borrow,
    fmt,
    hash::{Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use foldhash::{SharedSeed, fast::FoldHasher};

use recency::Recency;

/// What a store has done so far: see [`FmLru::cache_info`].
///
/// `Display` prints what `functools` prints: `CacheInfo(hits=1, misses=2, maxsize=128, currsize=2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CacheInfo {
    /// Calls that were answered from the store.
    pub hits: u64,
    /// Calls that had to run, those that failed included.
    pub misses: u64,
    /// The bound in entries; `None`: unbounded.
    pub maxsize: Option<u64>,
    /// Entries held now.
    pub currsize: u64,
}

impl fmt::Display for CacheInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hits, misses, maxsize, currsize } = self;
        match maxsize {
            Some(maxsize) => {
                write!(f, "CacheInfo(hits={hits}, misses={misses}, maxsize={maxsize}, currsize={currsize})")
            }
            None => write!(f, "CacheInfo(hits={hits}, misses={misses}, maxsize=None, currsize={currsize})"),
        }
    }
}

/// A least-recently-used store of computed values: what stands behind `#[fm_lru]`.
///
/// It evicts in exact order of use and counts exactly as `functools.lru_cache` does. The lock is held for the lookup
/// and for the insertion, never while a value is computed, so a computation may use the same store. Callers that miss
/// the same key together all compute it: wrap what is costly in `#[memorize]`, which runs once for all of them.
///
/// # Examples
///
/// ```
/// use memory_core::FmLru;
///
/// static LENGTHS: FmLru<String, usize> = FmLru::new(Some(2));
///
/// let length = |word: &str| LENGTHS.get_or_insert_with(word.to_owned(), || word.len());
/// assert_eq!(length("one"), 3);
/// assert_eq!(length("one"), 3);
/// length("three");
/// length("four"); // `one` is the least recently used and goes
///
/// let info = LENGTHS.cache_info();
/// assert_eq!((info.hits, info.misses, info.maxsize, info.currsize), (1, 3, Some(2), 2));
/// assert_eq!(LENGTHS.get("one"), None);
/// ```
pub struct FmLru<K, V> {
    maxsize: Option<u64>,
    counted: Mutex<Counted<K, V>>,
}

struct Counted<K, V> {
    hits: u64,
    misses: u64,
    entries: Recency<K, V>,
}

impl<K, V> Counted<K, V> {
    const EMPTY: Self = Self { hits: 0, misses: 0, entries: Recency::new() };
}

impl<K, V> FmLru<K, V> {
    /// A store of at most `maxsize` entries; `None`: unbounded; `Some(0)`: nothing is ever stored, every call is a miss.
    ///
    /// Nothing is allocated before the first entry.
    pub const fn new(maxsize: Option<u64>) -> Self {
        Self { maxsize, counted: Mutex::new(Counted::EMPTY) }
    }

    /// Hits, misses, bound and size, read together.
    pub fn cache_info(&self) -> CacheInfo {
        let counted = self.lock();
        CacheInfo {
            hits: counted.hits,
            misses: counted.misses,
            maxsize: self.maxsize,
            currsize: counted.entries.len() as u64,
        }
    }

    /// Forgets all entries and sets the counters to zero.
    ///
    /// A computation under way stores its value afterwards, as in `functools`.
    pub fn cache_clear(&self) {
        let cleared = std::mem::replace(&mut *self.lock(), Counted::EMPTY);
        // Keys and values may do anything when they are dropped, so they are dropped with the lock free.
        drop(cleared);
    }

    /// Every state between two statements that can panic (`Eq`, `Clone`) is whole, so a poisoned lock means nothing.
    fn lock(&self) -> MutexGuard<'_, Counted<K, V>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_bounded(&self) -> bool {
        self.maxsize.is_some()
    }

    /// The value under a key with this hash of which `is_key` holds, counted as a hit, or a counted miss.
    pub(crate) fn find(&self, hash: u64, is_key: impl FnMut(&K) -> bool) -> Option<V>
    where
        V: Clone,
    {
        let mut counted = self.lock();
        let Some(position) = counted.entries.position(hash, is_key) else {
            counted.misses += 1;
            return None;
        };
        counted.hits += 1;
        // Without a bound nobody ever asks for the order.
        if self.is_bounded() {
            counted.entries.touch(position);
        }
        Some(counted.entries.value(position).clone())
    }

    /// Keeps a computed value, by the rules of [`insert`](Self::insert).
    pub(crate) fn keep(&self, hash: u64, key: K, value: V, same: impl Fn(&K, &K) -> bool) {
        if !self.stores() {
            return;
        }
        let mut counted = self.lock();
        let present = counted.entries.position(hash, |other| same(other, &key));
        let replaced = match present {
            // Recursion or another caller was faster: `functools` keeps that entry where it has a bound.
            Some(_) if self.is_bounded() => Some((Some(key), value)),
            Some(position) => Some((None, counted.entries.replace_value(position, value))),
            None if self.is_full(&counted) => {
                counted.entries.replace_oldest(hash, key, value).map(|(key, value)| (Some(key), value))
            }
            None => {
                counted.entries.push(hash, key, value);
                None
            }
        };
        // As in `cache_clear`: what goes is dropped with the lock free.
        drop(counted);
        drop(replaced);
    }

    /// Whether anything is ever stored.
    pub(crate) fn stores(&self) -> bool {
        self.maxsize != Some(0)
    }

    fn is_full(&self, counted: &Counted<K, V>) -> bool {
        self.maxsize.is_some_and(|maxsize| counted.entries.len() as u64 >= maxsize)
    }
}

impl<K: Hash + Eq, V: Clone> FmLru<K, V> {
    /// A clone of the value, which becomes the most recently used; counted as a hit, or as a miss.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.find(hash_of(key), |other| other.borrow() == key)
    }

    /// Stores a value that was computed after a miss.
    ///
    /// Where the key has come meanwhile, a bounded store keeps the entry it has and an unbounded one takes the new
    /// value, as `functools` does. Not counted.
    pub fn insert(&self, key: K, value: V) {
        self.keep(hash_of(&key), key, value, K::eq);
    }

    /// The stored value, or the one that `compute` returns, which is stored.
    ///
    /// `compute` runs without the lock: it may use this store.
    pub fn get_or_insert_with(&self, key: K, compute: impl FnOnce() -> V) -> V {
        let hash = hash_of(&key);
        if let Some(value) = self.find(hash, |other| *other == key) {
            return value;
        }
        let value = compute();
        self.keep(hash, key, value.clone(), K::eq);
        value
    }

    /// As [`get_or_insert_with`](Self::get_or_insert_with) for a computation that can fail.
    ///
    /// # Errors
    ///
    /// That of `compute`, which is never stored; the call counts as a miss.
    pub fn get_or_try_insert_with<E>(&self, key: K, compute: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let hash = hash_of(&key);
        if let Some(value) = self.find(hash, |other| *other == key) {
            return Ok(value);
        }
        let value = compute()?;
        self.keep(hash, key, value.clone(), K::eq);
        Ok(value)
    }
}

impl<K, V> fmt::Debug for FmLru<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmLru").field("info", &self.cache_info()).finish_non_exhaustive()
    }
}

pub(crate) fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    hash_with(|hasher| value.hash(hasher))
}

/// Hashes with a seed of this process' own, so that keys from outside can't be chosen to collide.
pub(crate) fn hash_with(write: impl FnOnce(&mut FoldHasher<'static>)) -> u64 {
    let mut hasher = FoldHasher::with_seed(0, SharedSeed::global_random());
    write(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
