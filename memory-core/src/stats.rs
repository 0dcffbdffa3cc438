//! Counters of a cache, in all and per function.

#[cfg(feature = "retry")]
mod calls;
mod hits;
#[cfg(feature = "retry")]
mod resilience;

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use self::hits::Hits;
#[cfg(feature = "retry")]
pub(crate) use calls::Calls;
#[cfg(feature = "retry")]
pub use resilience::FmResilienceStats;
#[cfg(feature = "retry")]
pub(crate) use resilience::{Event, Ledger};

/// What a cache has done since it was built. A snapshot.
///
/// # Examples
///
/// ```
/// # use memory_core::FmCacheManager;
/// let stats = FmCacheManager::stats();
/// println!("{} hits, {} misses", stats.hits, stats.misses);
/// for (function, counts) in &stats.functions {
///     println!("{function}: {} runs", counts.runs);
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FmStats {
    /// Calls answered from the cache with a value that was fresh.
    pub hits: u64,
    /// Of those and of the stale ones, the calls answered from the shared store.
    pub remote_hits: u64,
    /// Calls that found nothing to answer with, those that joined a run under way included.
    pub misses: u64,
    /// Calls answered with a value past its expiry.
    pub stale_hits: u64,
    /// Misses that joined a run under way instead of running the body.
    pub coalesced: u64,
    /// Bodies run.
    pub runs: u64,
    /// Of those, the ones behind an answer: a value was about to expire, or was answered stale.
    pub refreshes: u64,
    /// Bodies that returned an error, panicked or timed out.
    pub failures: u64,
    /// Bodies that were aborted because they took longer than `timeout`.
    pub timeouts: u64,
    /// Values stored.
    pub stores: u64,
    /// Values made but not stored, because something was invalidated while they were made.
    pub outdated: u64,
    /// Values not stored because they exceed the payload limit of the store.
    pub too_large: u64,
    /// Stored values that could not be read back: another schema, type or key, or damage. Each was a miss.
    pub undecodable: u64,
    /// Calls that went past the cache: no key could be made, the function needs memory and the store is remote, recursion, a closed cache.
    pub bypassed: u64,
    /// Times the store failed. No call failed because of them, unless it asked to be `.strict()`.
    pub errors: u64,
    /// Entries pushed out by the bound of the memory store.
    pub evictions: u64,
    /// Entries in the memory store now.
    pub entries: u64,
    /// The same per memorized function, by the name in its keys; direct calls are under `""`.
    pub functions: BTreeMap<String, FmFunctionStats>,
    /// What retries and the other policies have done in this process, by the path of the function (or the client's, or
    /// the name given). These belong to no cache: every cache shows the same.
    #[cfg(feature = "retry")]
    pub resilience: BTreeMap<String, FmResilienceStats>,
}

macro_rules! counters {
    ($($name:ident)*) => {
        /// What a cache has done for one function; the fields mean what they mean in [`FmStats`].
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct FmFunctionStats {$(
            #[doc = concat!("See [`FmStats::", stringify!($name), "`].")]
            pub $name: u64,
        )*}

        /// The live counters of one function.
        #[derive(Default)]
        pub(crate) struct Counters {$(
            pub(crate) $name: Counter,
        )*}

        impl Counters {
            fn snapshot(&self) -> FmFunctionStats {
                FmFunctionStats {$( $name: self.$name.get(), )*}
            }
        }

        impl FmFunctionStats {
            fn add(&mut self, counts: &Self) {
                $( self.$name += counts.$name; )*
            }
        }

        impl FmStats {
            fn add(&mut self, counts: &FmFunctionStats) {
                $( self.$name += counts.$name; )*
            }
        }
    };
}
counters!(hits remote_hits misses stale_hits coalesced runs refreshes failures timeouts stores outdated too_large undecodable bypassed errors);

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Functions per block of [`Stats`], and blocks; functions beyond them share the last counters.
const BLOCK: usize = 64;
const BLOCKS: usize = 128;

/// The counters of a cache, by function number, found without a lock.
pub(crate) struct Stats {
    blocks: [OnceLock<Box<[Counters; BLOCK]>>; BLOCKS],
    hits: Hits,
}

impl Default for Stats {
    fn default() -> Self {
        Self { blocks: [const { OnceLock::new() }; BLOCKS], hits: Hits::default() }
    }
}

impl Stats {
    /// The counters of the function with this number; 0 are direct calls.
    pub(crate) fn of(&self, function: u32) -> &Counters {
        let number = place(function);
        let block = self.blocks[number / BLOCK].get_or_init(|| Box::new(std::array::from_fn(|_| Counters::default())));
        &block[number % BLOCK]
    }

    /// Counts a hit of the function with this number.
    #[inline]
    pub(crate) fn hit(&self, function: u32) {
        self.hits.add_one(place(function));
    }

    /// All counters; `name` tells the name of a function by its number.
    pub(crate) fn snapshot(&self, name: impl Fn(u32) -> String) -> FmStats {
        let mut stats = FmStats {
            #[cfg(feature = "retry")]
            resilience: resilience::snapshot(),
            ..FmStats::default()
        };
        for (index, block) in self.blocks.iter().enumerate() {
            let block = block.get();
            for offset in 0..BLOCK {
                let mut counts = block.map_or_else(FmFunctionStats::default, |block| block[offset].snapshot());
                counts.hits += self.hits.of(index * BLOCK + offset);
                if counts != FmFunctionStats::default() {
                    stats.add(&counts);
                    // Versions of one function share its name.
                    stats.functions.entry(name((index * BLOCK + offset) as u32)).or_default().add(&counts);
                }
            }
        }
        stats
    }
}

/// Where the counters of a function are.
#[inline]
fn place(function: u32) -> usize {
    (function as usize).min(BLOCK * BLOCKS - 1)
}
