//! What a call was: for statistics, for `tracing`, and for whoever asks.

use std::{
    future::{Future, IntoFuture},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tracing::level_filters::LevelFilter;

use super::{Context, Core, FmCache, FmCacheManager};
use crate::{
    entry::Entry,
    key::{KeyRef, registry},
    time::Tick,
};

/// What one call on a cache was.
///
/// # Examples
///
/// ```
/// use memory_core::{FmCacheManager, FmOutcome, memorize};
///
/// #[memorize(expire = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (_, calls) = FmCacheManager::observe(async { double(1).await + double(1).await }).await;
/// assert_eq!([calls[0].outcome, calls[1].outcome], [FmOutcome::Computed, FmOutcome::Hit]);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FmCall {
    /// The function, by its name in keys; empty for a direct call.
    pub function: String,
    /// How the call came to its answer.
    pub outcome: FmOutcome,
    /// Where the answer was stored; `None` when it came from a run.
    pub tier: Option<FmTier>,
    /// How long ago the value was made; `None` when it was not stored.
    pub age: Option<Duration>,
    /// How long it is still fresh; zero when it is stale, `None` when it was not stored or never expires.
    pub left: Option<Duration>,
}

/// How a call came to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FmOutcome {
    /// From the cache, fresh.
    Hit,
    /// From the cache, past its expiry.
    Stale,
    /// From a run that another call had begun.
    Coalesced,
    /// From a run that this call began.
    Computed,
    /// From the body, past the cache.
    Bypassed,
    /// A direct read that found nothing.
    Miss,
}

/// Where a value was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FmTier {
    /// In this process.
    Memory,
    /// In the store that processes share.
    Remote,
}

impl FmOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Coalesced => "coalesced",
            Self::Computed => "computed",
            Self::Bypassed => "bypassed",
            Self::Miss => "miss",
        }
    }
}

impl FmTier {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Remote => "remote",
        }
    }
}

/// Where the calls of one observation are noted down.
#[derive(Clone, Default)]
pub(crate) struct Report(Arc<Mutex<Vec<FmCall>>>);

/// Whether anybody has ever observed anything: until then no call looks for a report.
static OBSERVED: AtomicBool = AtomicBool::new(false);

/// Where an answer came from, before it is told to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provenance {
    outcome: FmOutcome,
    stored: Option<Found>,
}

/// An entry, as it was found. Moments rather than lengths: those are made only for somebody who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    tier: FmTier,
    born: Tick,
    expires: Tick,
    at: Tick,
}

impl Found {
    fn age(&self) -> Duration {
        self.at.since(self.born)
    }

    fn left(&self) -> Option<Duration> {
        (self.expires != Tick::NEVER).then(|| self.expires.since(self.at))
    }
}

impl Provenance {
    /// An answer that was not stored.
    pub(crate) fn of(outcome: FmOutcome) -> Self {
        Self { outcome, stored: None }
    }

    /// What `entry`, found in `tier`, is as an answer at `now`.
    #[inline]
    pub(crate) fn of_entry(entry: &Entry, tier: FmTier, now: Tick) -> Self {
        let outcome = if now < entry.expires { FmOutcome::Hit } else { FmOutcome::Stale };
        Self { outcome, stored: Some(Found { tier, born: entry.born(), expires: entry.expires, at: now }) }
    }

    pub(crate) fn outcome(&self) -> FmOutcome {
        self.outcome
    }

    pub(crate) fn age(&self) -> Option<Duration> {
        self.stored.map(|found| found.age())
    }

    pub(crate) fn left(&self) -> Option<Duration> {
        self.stored.and_then(|found| found.left())
    }

    /// Whether the answer was past its expiry.
    pub(crate) fn is_stale(&self) -> bool {
        self.outcome == FmOutcome::Stale
    }
}

impl Core {
    /// As [`note`](Self::note), for a fresh entry in memory.
    #[inline]
    pub(crate) fn note_hit(&self, key: KeyRef<'_>, entry: &Entry, now: Tick) {
        self.stats.hit(key.number());
        if is_observed() {
            tell(key, Provenance::of_entry(entry, FmTier::Memory, now));
        }
    }

    /// Counts a call, and tells whoever wants to know.
    #[inline]
    pub(crate) fn note(&self, key: KeyRef<'_>, what: Provenance) {
        if what.outcome == FmOutcome::Hit {
            self.stats.hit(key.number());
        } else {
            self.count(key, what.outcome);
        }
        if what.stored.is_some_and(|found| found.tier == FmTier::Remote) {
            self.counters(key).remote_hits.add_one();
        }
        if is_observed() {
            tell(key, what);
        }
    }

    fn count(&self, key: KeyRef<'_>, outcome: FmOutcome) {
        let counters = self.counters(key);
        match outcome {
            FmOutcome::Stale => counters.stale_hits.add_one(),
            FmOutcome::Coalesced => counters.coalesced.add_one(),
            FmOutcome::Bypassed => counters.bypassed.add_one(),
            FmOutcome::Miss => counters.misses.add_one(),
            FmOutcome::Hit | FmOutcome::Computed => {}
        }
    }
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn is_observed() -> bool {
    OBSERVED.load(Ordering::Relaxed) || LevelFilter::current() == LevelFilter::TRACE && is_traced()
}

#[cold]
fn is_traced() -> bool {
    tracing::enabled!(target: "memory_core::call", tracing::Level::TRACE)
}

#[cold]
fn tell(key: KeyRef<'_>, what: Provenance) {
    let function = registry::function(key.number()).map_or_else(String::new, |function| function.id.to_string());
    let Provenance { outcome, stored } = what;
    let (tier, age) = (stored.map(|found| found.tier), stored.map(|found| found.age()));
    let left = stored.and_then(|found| found.left());
    tracing::trace!(
        target: "memory_core::call",
        function,
        outcome = outcome.name(),
        tier = tier.map(FmTier::name),
        age_ms = age.map(|age| age.as_secs_f64() * 1e3),
        left_ms = left.map(|left| left.as_secs_f64() * 1e3),
        "cache call"
    );
    if let Some(Report(calls)) = Context::report() {
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(FmCall { function, outcome, tier, age, left });
    }
}

impl FmCache {
    /// Awaits `future`, and tells what each call that it made on a cache was, in the order of the answers: calls of memorized
    /// functions, direct calls, and those made by the bodies they ran. (Refreshes behind an answer are not part of it.)
    ///
    /// Task-local, as [`scope`](Self::scope) is. For tests, and for whoever wants to show it to clients; for logs there are
    /// `tracing` events at the target `memory_core::call`, with the fields `function`, `outcome`, `tier`, `age_ms` and `left_ms`.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `future`.
    pub async fn observe<F: IntoFuture>(future: F) -> (F::Output, Vec<FmCall>) {
        OBSERVED.store(true, Ordering::Relaxed);
        let report = Report::default();
        let context = Context { report: Some(report.clone()), ..Context::current() };
        let output = context.scope(future.into_future()).await;
        let calls = std::mem::take(&mut *report.0.lock().unwrap_or_else(PoisonError::into_inner));
        (output, calls)
    }
}

impl FmCacheManager {
    /// See [`FmCache::observe`].
    pub fn observe<F: IntoFuture>(future: F) -> impl Future<Output = (F::Output, Vec<FmCall>)> {
        FmCache::observe(future)
    }
}
