//! The in-memory store: typed values, no serialisation, bounded.

mod clock;
#[cfg(test)]
mod model;
#[cfg(feature = "moka")]
mod moka;
mod scale;

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::Arc,
};

use FmMemoryBackendBuilder as Settings;

use super::{FmBackend, LocalTier, Prefix, Tier, Weight};
use crate::error::FmError;

const DEFAULT_MAX_ENTRIES: u64 = 100_000;
const DEFAULT_MAX_BYTES: u64 = 256 << 20;

/// Keeps values in this process, as they are: a hit clones the value and serialises nothing.
///
/// Bounded, with an eviction policy that a scan over many keys does not flush.
///
/// # Default
///
/// At most 100,000 entries and 256 MiB, whichever comes first. Giving a bound replaces both.
///
/// # Examples
///
/// ```
/// # use memory_core::{FmCacheManager, FmMemoryBackend};
/// # fn main() -> Result<(), memory_core::FmError> {
/// let cache = FmCacheManager::builder(FmMemoryBackend::new()).prefix("app-cache").build()?;
/// let small = FmMemoryBackend::builder().max_entries(10_000).build();
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct FmMemoryBackend {
    settings: FmMemoryBackendBuilder,
}

impl FmMemoryBackend {
    /// A store with the default bounds.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store with bounds of your own.
    pub fn builder() -> FmMemoryBackendBuilder {
        FmMemoryBackendBuilder::default()
    }
}

impl Default for FmMemoryBackendBuilder {
    fn default() -> Self {
        Self { max_entries: None, max_bytes: None, engine: FmMemoryEngine::chosen(), weighers: Weighers::default() }
    }
}

/// Bounds of an [`FmMemoryBackend`].
#[must_use = "a builder does nothing until `.build()`"]
pub struct FmMemoryBackendBuilder {
    max_entries: Option<u64>,
    max_bytes: Option<u64>,
    engine: FmMemoryEngine,
    weighers: Weighers,
}

/// What keeps the entries of an [`FmMemoryBackend`].
///
/// # Default
///
/// [`Clock`](Self::Clock).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FmMemoryEngine {
    /// This crate's own: a sharded table with the eviction policy of `quick_cache` (CLOCK-Pro). The fastest, and the
    /// lightest.
    #[default]
    Clock,
    /// The crate `moka`, with its W-TinyLFU policy. Needs the feature `moka`.
    #[cfg(feature = "moka")]
    Moka,
}

impl FmMemoryEngine {
    /// The default; for the tests of this crate, what `FM_MEMORY_ENGINE` names.
    fn chosen() -> Self {
        #[cfg(all(feature = "moka", feature = "test-util"))]
        if std::env::var_os("FM_MEMORY_ENGINE").is_some_and(|name| name == "moka") {
            return Self::Moka;
        }
        Self::default()
    }
}

/// What values of some types weigh.
#[derive(Default)]
struct Weighers {
    by_bytes: bool,
    by_type: HashMap<TypeId, Weigher>,
}

type Weigher = Box<dyn Fn(&dyn Any) -> u64 + Send + Sync>;

impl Weighers {
    fn weigh(&self, value: &dyn Any) -> Weight {
        if !self.by_bytes {
            return Weight::Known(1);
        }
        self.by_type.get(&value.type_id()).map_or(Weight::Serialized, |weigher| Weight::Known(weigher(value)))
    }
}

impl FmMemoryBackendBuilder {
    /// At most this many entries.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = Some(entries);
        self
    }

    /// At most this many bytes of values: a value weighs its serialised length (counted, not built), a `memory_only` value
    /// its own size, unless a [`weigher`](Self::weigher) says otherwise.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Says what values of type `T` weigh. Call it once for each type; without one the serialised length is taken.
    ///
    /// `T` is the stored part of what a function returns: `User` for `Result<Json<User>, E>`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::FmMemoryBackend;
    /// let backend = FmMemoryBackend::builder()
    ///     .max_bytes(64 << 20)
    ///     .weigher(|image: &Vec<u8>| image.len() as u64)
    ///     .build();
    /// ```
    pub fn weigher<T: 'static>(mut self, weigh: impl Fn(&T) -> u64 + Send + Sync + 'static) -> Self {
        let weigher: Weigher = Box::new(move |value| value.downcast_ref::<T>().map_or(0, &weigh));
        self.weighers.by_type.insert(TypeId::of::<T>(), weigher);
        self
    }

    /// What keeps the entries. All engines keep the same promises; they differ in speed, in weight and in what they evict.
    pub fn engine(mut self, engine: FmMemoryEngine) -> Self {
        self.engine = engine;
        self
    }

    /// The store.
    pub fn build(self) -> FmMemoryBackend {
        FmMemoryBackend { settings: self }
    }

    /// How many entries at most, and how many bytes.
    fn bounds(&self) -> (Option<u64>, Option<u64>) {
        match (self.max_entries, self.max_bytes) {
            (None, None) => (Some(DEFAULT_MAX_ENTRIES), Some(DEFAULT_MAX_BYTES)),
            given => given,
        }
    }
}

impl std::fmt::Debug for FmMemoryBackendBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (max_entries, max_bytes) = self.bounds();
        f.debug_struct("FmMemoryBackendBuilder")
            .field("max_entries", &max_entries)
            .field("max_bytes", &max_bytes)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl FmBackend for FmMemoryBackend {
    fn open(self, _: &Prefix) -> Result<Tier, FmError> {
        let mut settings = self.settings;
        settings.weighers.by_bytes = settings.bounds().1.is_some();
        let store: Arc<dyn LocalTier> = match settings.engine {
            FmMemoryEngine::Clock => Arc::new(clock::Store::new(settings)),
            #[cfg(feature = "moka")]
            FmMemoryEngine::Moka => Arc::new(moka::Store::new(settings)),
        };
        Ok(Tier::Local(store))
    }
}
