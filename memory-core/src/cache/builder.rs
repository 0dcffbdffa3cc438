//! Building a cache.

use std::sync::atomic::AtomicBool;

use super::{
    Core, FmCache, FmCacheManager, Told,
    epoch::Epochs,
    life::{Defaults, check_jitter},
};
use crate::{
    backend::{FmBackend, Prefix, Tier},
    error::FmError,
    flight::{Flights, Waits},
    stats::Stats,
    time::IntoExpiry,
};

/// Settings of a cache; the first mistake in them is the `Err` of [`build`](Self::build) and [`init`](Self::init).
#[must_use = "a builder does nothing until `.build()` or `.init()`"]
pub struct FmCacheBuilder {
    open: Open,
    prefix: String,
    defaults: Result<Defaults, FmError>,
}

/// Opens the store of a backend, whatever the backend's type.
type Open = Box<dyn FnOnce(&Prefix) -> Result<Tier, FmError>>;

impl FmCacheBuilder {
    pub(crate) fn new(backend: impl FmBackend) -> Self {
        Self {
            open: Box::new(move |prefix| backend.open(prefix)),
            prefix: Prefix::FALLBACK.to_owned(),
            defaults: Ok(Defaults::default()),
        }
    }

    /// What all keys begin with, so that services can share a Redis. Must not be empty.
    ///
    /// # Default
    ///
    /// `"fm-cache"`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long entries live that do not say it themselves.
    ///
    /// # Default
    ///
    /// 300 seconds.
    pub fn expire(self, expiry: impl IntoExpiry) -> Self {
        self.set(expiry.into_expiry(), |defaults, expiry| defaults.expiry = expiry)
    }

    /// Shortens each expiry at random by up to this part (0 to 1), so that entries stored together do not expire together.
    ///
    /// # Default
    ///
    /// 0: none.
    pub fn jitter(self, part: f64) -> Self {
        self.set(check_jitter(part), |defaults, part| defaults.jitter = part)
    }

    /// A cache of its own: pass it around, or [`scope`](FmCache::scope) it.
    ///
    /// # Errors
    ///
    /// An empty prefix, a negative expiry, a jitter outside 0 to 1.
    pub fn build(self) -> Result<FmCache, FmError> {
        let defaults = self.defaults?;
        let prefix = Prefix::new(&self.prefix)?;
        let tier = (self.open)(&prefix)?;
        Ok(assemble(prefix, Some(tier), defaults))
    }

    /// Makes it the process-wide cache and returns a handle to it.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn init(self) -> Result<FmCache, FmError> {
        let cache = self.build()?;
        FmCacheManager::install(cache.clone());
        Ok(cache)
    }

    fn set<T>(mut self, setting: Result<T, FmError>, apply: impl FnOnce(&mut Defaults, T)) -> Self {
        match (&mut self.defaults, setting) {
            (Ok(defaults), Ok(setting)) => apply(defaults, setting),
            (Ok(_), Err(error)) => self.defaults = Err(error),
            (Err(_), _) => {}
        }
        self
    }
}

/// The cache that serves before `init`.
pub(crate) fn fallback() -> FmCache {
    let prefix = Prefix::fallback();
    #[cfg(feature = "memory")]
    let tier = crate::backend::FmMemoryBackend::new().open(&prefix).ok();
    #[cfg(not(feature = "memory"))]
    let tier = None;
    assemble(prefix, tier, Defaults::default())
}

fn assemble(prefix: Prefix, tier: Option<Tier>, defaults: Defaults) -> FmCache {
    let (mut local, mut remote) = (None, None);
    match tier {
        Some(Tier::Local(store)) => local = Some(store),
        Some(Tier::Remote(store)) => remote = Some(store),
        None => {}
    }
    FmCache::from_core(Core {
        prefix,
        local,
        remote,
        defaults,
        flights: Flights::new(Waits::of_process()),
        epochs: Epochs::default(),
        stats: Stats::default(),
        told: Told::default(),
        closed: AtomicBool::new(false),
    })
}
