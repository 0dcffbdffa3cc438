//! A backend that fails: not always, but as its seed says.

mod dice;
mod local;
mod remote;

use std::{fmt, sync::Arc, time::Duration};

pub use self::dice::{ChaosCounts, ChaosHandle};
use self::{dice::Dice, local::ChaosLocal, remote::ChaosRemote};
use crate::{
    backend::{FmBackend, Prefix, Tier},
    error::FmError,
};

/// Wraps a backend and does to it what happens in production, from a seed: a test of your service shows that its calls
/// do not depend on the cache.
///
/// In front of a store that processes share, calls fail before they take effect or after it, are slow, and writes that
/// were given up arrive later. What the seam promises is kept: a removal that was made to fail is replayed before the store
/// is read again. In front of a store in memory, entries go at random, as if evicted.
///
/// Waits are on tokio's clock, so that they take no time where it is paused. The same seed makes the same decisions for the
/// same calls in the same order.
///
/// # Default
///
/// Nothing goes wrong, until a rate is given.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use memory_core::{FmCache, FmError, test_util::{ChaosBackend, SimRedis}};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), FmError> {
/// let store = SimRedis::new(7).node();
/// let chaos = ChaosBackend::new(store, 7).faults(0.3).delays(0.2, Duration::from_millis(50)).lost_replies(0.1);
/// let handle = chaos.handle();
/// let cache = FmCache::builder(chaos).build()?;
/// for n in 0..100 {
///     let value = cache.get_or_compute((n % 10).to_string(), move || async move { Ok::<_, FmError>(n % 10) }).await?;
///     assert_eq!(value, n % 10);
/// }
/// assert!(handle.counts().faults > 0 && cache.stats().errors > 0);
///
/// handle.stop();
/// cache.set("k", 1).strict().await?;
/// assert_eq!(cache.get::<i32>("k").strict().await?, Some(1));
/// # Ok(()) }
/// ```
#[must_use = "a backend does nothing until a cache is opened on it"]
pub struct ChaosBackend {
    open: Open,
    seed: u64,
    rates: Rates,
    handle: ChaosHandle,
}

/// Opens the store of a backend, whatever the backend's type.
type Open = Box<dyn FnOnce(&Prefix) -> Result<Tier, FmError>>;

/// How often what happens; a rate is a part of the calls, from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    faults: f64,
    lost_replies: f64,
    delays: f64,
    longest_delay: Duration,
    zombies: f64,
    latest_zombie: Duration,
    evictions: f64,
}

impl ChaosBackend {
    /// Nothing goes wrong yet.
    pub fn new(inner: impl FmBackend, seed: u64) -> Self {
        Self {
            open: Box::new(move |prefix| inner.open(prefix)),
            seed,
            rates: Rates::default(),
            handle: ChaosHandle::default(),
        }
    }

    /// This part of the calls of a shared store fails without having any effect.
    pub fn faults(mut self, rate: f64) -> Self {
        self.rates.faults = rate;
        self
    }

    /// This part of the calls of a shared store takes effect, and is reported as failed.
    pub fn lost_replies(mut self, rate: f64) -> Self {
        self.rates.lost_replies = rate;
        self
    }

    /// This part of the calls of a shared store waits before anything else, up to `longest`.
    pub fn delays(mut self, rate: f64, longest: Duration) -> Self {
        (self.rates.delays, self.rates.longest_delay) = (rate, longest);
        self
    }

    /// This part of the writes that runs make to a shared store is reported as failed, and arrives up to `latest` later.
    pub fn zombies(mut self, rate: f64, latest: Duration) -> Self {
        (self.rates.zombies, self.rates.latest_zombie) = (rate, latest);
        self
    }

    /// This part of the reads and writes of a store in memory finds its entry evicted.
    pub fn evictions(mut self, rate: f64) -> Self {
        self.rates.evictions = rate;
        self
    }

    /// To count what happens, and to switch it off and on, also once the cache is built.
    pub fn handle(&self) -> ChaosHandle {
        self.handle.clone()
    }
}

impl FmBackend for ChaosBackend {
    fn open(self, prefix: &Prefix) -> Result<Tier, FmError> {
        let dice = Arc::new(Dice::new(self.seed, self.rates, self.handle));
        Ok(match (self.open)(prefix)? {
            Tier::Local(inner) => Tier::Local(Arc::new(ChaosLocal::new(inner, dice))),
            Tier::Remote(inner) => Tier::Remote(Arc::new(ChaosRemote::new(inner, dice))),
        })
    }
}

impl fmt::Debug for ChaosBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChaosBackend").field("seed", &self.seed).field("rates", &self.rates).finish_non_exhaustive()
    }
}
