//! Building a cache.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use super::{
    Core, FmCache, FmCacheManager, Told,
    coherence::{Coherence, DEFAULT_TRUST},
    epoch::Epochs,
    life::{Defaults, check_jitter, check_refresh_ahead},
};
use crate::{
    backend::{FmBackend, LocalTier, Prefix, RemoteTier, Tier},
    error::{FmError, Kind},
    flight::{Flights, Waits},
    stats::Stats,
    time::{IntoDuration, IntoExpiry},
};

/// Settings of a cache; the first mistake in them is the `Err` of [`build`](Self::build) and [`init`](Self::init).
#[must_use = "a builder does nothing until `.build()` or `.init()`"]
pub struct FmCacheBuilder {
    open: Open,
    second: Option<Open>,
    trust: Result<Duration, FmError>,
    prefix: String,
    defaults: Result<Defaults, FmError>,
}

/// Opens the store of a backend, whatever the backend's type.
type Open = Box<dyn FnOnce(&Prefix) -> Result<Tier, FmError>>;

impl FmCacheBuilder {
    pub(crate) fn new(backend: impl FmBackend) -> Self {
        Self {
            open: Box::new(move |prefix| backend.open(prefix)),
            second: None,
            trust: Ok(DEFAULT_TRUST),
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

    /// Expires entries this long after their last read, too.
    ///
    /// # Default
    ///
    /// Reads make no difference.
    pub fn time_to_idle(self, limit: impl IntoDuration) -> Self {
        self.set(limit.into_duration(), |defaults, limit| defaults.idle = Some(limit))
    }

    /// For this long after its expiry a value is answered at once, and refreshed behind the answer.
    ///
    /// # Default
    ///
    /// None: an expired value is not answered.
    pub fn stale_while_revalidate(self, length: impl IntoDuration) -> Self {
        self.set(length.into_duration(), |defaults, length| defaults.stale_while_revalidate = Some(length))
    }

    /// For this long after its expiry a value is answered when the body that should renew it fails.
    ///
    /// # Default
    ///
    /// None: the failure is answered.
    pub fn stale_if_error(self, length: impl IntoDuration) -> Self {
        self.set(length.into_duration(), |defaults, length| defaults.stale_if_error = Some(length))
    }

    /// After a refresh has failed or was begun, the body is not asked again for the key for this long, as long as there is a
    /// stale value to answer: an upstream that is down is not asked on every call.
    ///
    /// # Default
    ///
    /// 5 seconds.
    pub fn stale_throttle(self, interval: impl IntoDuration) -> Self {
        self.set(interval.into_duration(), |defaults, interval| defaults.throttle = interval)
    }

    /// After this part of a value's life, from 0 to 1, the first call refreshes it behind its answer.
    ///
    /// # Default
    ///
    /// None: values are renewed when they have expired.
    pub fn refresh_ahead(self, part: f64) -> Self {
        self.set(check_refresh_ahead(part), |defaults, part| defaults.refresh_ahead = Some(part))
    }

    /// When a stale value is at hand and a body takes longer than this, the stale value is answered, and the body goes on.
    ///
    /// # Default
    ///
    /// None: calls wait for the body.
    pub fn soft_timeout(self, limit: impl IntoDuration) -> Self {
        self.set(limit.into_duration(), |defaults, limit| defaults.limits.soft = Some(limit))
    }

    /// A body that takes longer than this is aborted, and all its callers are told, where the error of the function can be made
    /// from an [`FmError`]; others are not limited.
    ///
    /// # Default
    ///
    /// None: a body takes as long as it takes.
    pub fn timeout(self, limit: impl IntoDuration) -> Self {
        self.set(limit.into_duration(), |defaults, limit| defaults.limits.hard = Some(limit))
    }

    /// A second level behind the memory of this process: a store that processes share. What one process stores is found by
    /// all, and what it invalidates is invalidated everywhere: in the shared store at once, in the memory of other processes
    /// as soon as they hear of it, within milliseconds. See [`l1_trust`](Self::l1_trust) for when they do not.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::{FmCacheManager, FmMemoryBackend, FmError, backend::FmBackend};
    /// # fn example(redis: impl FmBackend) -> Result<(), FmError> {
    /// FmCacheManager::builder(FmMemoryBackend::new()).l2(redis).prefix("app-cache").init()?;
    /// # Ok(()) }
    /// ```
    pub fn l2(mut self, backend: impl FmBackend) -> Self {
        self.second = Some(Box::new(move |prefix| backend.open(prefix)));
        self
    }

    /// For how long a value in the memory of this process is answered while it can't be heard what other processes
    /// invalidate: with [`l2`](Self::l2), and while the connection that tells is down.
    ///
    /// # Default
    ///
    /// 5 seconds.
    pub fn l1_trust(mut self, bound: impl IntoDuration) -> Self {
        self.trust = self.trust.and(bound.into_duration());
        self
    }

    /// A cache of its own: pass it around, or [`scope`](FmCache::scope) it.
    ///
    /// # Errors
    ///
    /// An empty prefix, a negative expiry, a jitter outside 0 to 1, a second level that is not shared between processes, or
    /// behind a first one that is.
    pub fn build(self) -> Result<FmCache, FmError> {
        let (defaults, trust) = (self.defaults?, self.trust?);
        let prefix = Prefix::new(&self.prefix)?;
        let tiers = match ((self.open)(&prefix)?, self.second.map(|open| open(&prefix)).transpose()?) {
            (Tier::Local(local), None) => Tiers { local: Some(local), ..Tiers::default() },
            (Tier::Remote(remote), None) => Tiers { remote: Some(remote), ..Tiers::default() },
            (Tier::Local(local), Some(Tier::Remote(remote))) => {
                Tiers { local: Some(local), remote: Some(remote), coherence: Some(Coherence::new(trust)) }
            }
            _ => return Err(refused_levels()),
        };
        Ok(assemble(prefix, tiers, defaults))
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
    let local = match crate::backend::FmMemoryBackend::new().open(&prefix) {
        Ok(Tier::Local(local)) => Some(local),
        _ => None,
    };
    #[cfg(not(feature = "memory"))]
    let local = None;
    assemble(prefix, Tiers { local, ..Tiers::default() }, Defaults::default())
}

fn refused_levels() -> FmError {
    FmError::new(
        Kind::Config,
        "a second level is a store that processes share, behind one in memory: write \
         `builder(FmMemoryBackend::new()).l2(FmRedisBackend::connect(url)?)`",
    )
}

/// The stores of a cache.
#[derive(Default)]
struct Tiers {
    local: Option<Arc<dyn LocalTier>>,
    remote: Option<Arc<dyn RemoteTier>>,
    coherence: Option<Coherence>,
}

fn assemble(prefix: Prefix, Tiers { local, remote, coherence }: Tiers, defaults: Defaults) -> FmCache {
    FmCache::from_core(Core {
        prefix,
        local,
        remote,
        coherence,
        defaults,
        flights: Flights::new(Waits::of_process()),
        epochs: Epochs::default(),
        stats: Stats::default(),
        told: Told::default(),
        closed: AtomicBool::new(false),
    })
}
