//! One process and its way to the store: what a test may do to it.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{SimRedis, link::Link, tier::SimTier};
use crate::{
    backend::{FmBackend, Prefix, Tier},
    error::FmError,
    sync::lock,
    test_util::sim::history::{Recorder, What},
};

/// One process's way to a [`SimRedis`]: open a cache on it, keep a clone, and do to it what networks do.
///
/// Requests and replies take times of their own, so that they overtake each other. One that takes too long, or is lost,
/// is a timeout to the caller; its effect on the store may come later all the same.
///
/// # Examples
///
/// ```
/// # use memory_core::{FmCache, test_util::{Partition, SimRedis}};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), memory_core::FmError> {
/// let redis = SimRedis::new(7);
/// let (here, there) = (redis.node(), redis.node());
/// let (a, b) = (FmCache::builder(here.clone()).build()?, FmCache::builder(there).build()?);
/// a.set("k", 1).await?;
/// assert_eq!(b.get::<i32>("k").await?, Some(1));
///
/// here.partition(Partition::Both);
/// assert!(a.remove("k").strict().await.is_err_and(|error| error.is_backend()));
/// assert_eq!(b.get::<i32>("k").await?, Some(1), "the store has missed it");
///
/// here.partition(Partition::None);
/// tokio::time::sleep(std::time::Duration::from_secs(2)).await;
/// assert_eq!(b.get::<i32>("k").await?, None, "it was replayed");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SimNode(pub(super) Arc<Node>);

/// What does not get through between a process and the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Partition {
    /// Everything does.
    #[default]
    None,
    /// Requests are lost.
    Requests,
    /// Requests arrive and take effect; replies are lost, and the subscription breaks.
    Replies,
    /// Nothing gets through.
    Both,
}

pub(super) struct Node {
    pub(super) redis: SimRedis,
    /// Of this process, among all that ever used the store.
    pub(super) number: u64,
    weather: Mutex<Weather>,
    crashed: AtomicBool,
    /// How far this process's idea of the store's clock is off, in milliseconds; an `i64`.
    clock_error: AtomicU64,
    pub(super) recorder: Option<Recorder>,
}

struct Weather {
    random: fastrand::Rng,
    partition: Partition,
    usual: Range<Duration>,
    /// How often a message takes up to `slowest`.
    slow: f64,
    slowest: Duration,
    bus: Range<Duration>,
}

/// How long the two halves of a round trip take; `None`: lost.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) request: Option<Duration>,
    pub(super) reply: Option<Duration>,
}

impl SimNode {
    pub(super) fn new(redis: SimRedis, number: u64, seed: u64, recorder: Option<Recorder>) -> Self {
        let weather = Weather {
            random: fastrand::Rng::with_seed(seed),
            partition: Partition::None,
            usual: Duration::from_micros(200)..Duration::from_millis(3),
            slow: 0.0,
            slowest: Duration::from_millis(400),
            bus: Duration::ZERO..Duration::from_millis(30),
        };
        Self(Arc::new(Node {
            redis,
            number,
            weather: Mutex::new(weather),
            crashed: AtomicBool::new(false),
            clock_error: AtomicU64::new(0),
            recorder,
        }))
    }

    /// From now on this does not get through.
    pub fn partition(&self, partition: Partition) {
        lock(&self.0.weather).partition = partition;
        if matches!(partition, Partition::Replies | Partition::Both) {
            self.break_bus();
        }
    }

    /// How long a request or a reply takes.
    ///
    /// # Default
    ///
    /// 0.2 to 3 ms.
    pub fn latency(&self, usual: Range<Duration>) {
        lock(&self.0.weather).usual = usual;
    }

    /// This part of requests and replies (0 to 1) takes up to `slowest` instead.
    ///
    /// # Default
    ///
    /// None.
    pub fn slow(&self, part: f64, slowest: Duration) {
        let mut weather = lock(&self.0.weather);
        (weather.slow, weather.slowest) = (part, slowest);
    }

    /// How long a message of the bus takes.
    ///
    /// # Default
    ///
    /// Up to 30 ms.
    pub fn bus_latency(&self, latency: Range<Duration>) {
        lock(&self.0.weather).bus = latency;
    }

    /// Breaks the subscription: messages under way are lost, and those that come until it is there again.
    pub fn break_bus(&self) {
        if self.0.redis.with(|store| store.subscribers.drop_link(self.0.number)) {
            self.0.note_bus(false);
        }
    }

    /// How far this process's idea of the store's clock is off, in milliseconds.
    pub fn clock_error(&self, milliseconds: i64) {
        self.0.clock_error.store(milliseconds.cast_unsigned(), Ordering::Relaxed);
    }

    /// The process is no more: its calls never return, and its queue of missed removals is lost. Requests that are
    /// under way still arrive.
    pub fn crash(&self) {
        self.0.crashed.store(true, Ordering::Relaxed);
        self.break_bus();
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.0.is_crashed()
    }
}

impl Node {
    pub(super) fn is_crashed(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    pub(super) fn skew(&self) -> i64 {
        self.clock_error.load(Ordering::Relaxed).cast_signed()
    }

    /// The fate of one round trip.
    pub(super) fn route(&self) -> Route {
        let mut weather = lock(&self.weather);
        let (request, reply) = (weather.travel(), weather.travel());
        let partition = weather.partition;
        Route {
            request: (!matches!(partition, Partition::Requests | Partition::Both)).then_some(request),
            reply: (!matches!(partition, Partition::Replies | Partition::Both)).then_some(reply),
        }
    }

    /// Whether replies that arrive now get through.
    pub(super) fn hears(&self) -> bool {
        !matches!(lock(&self.weather).partition, Partition::Replies | Partition::Both)
    }

    pub(super) fn bus_delay(&self) -> Duration {
        let range = lock(&self.weather).bus.clone();
        self.draw(range)
    }

    /// A length between these two.
    pub(super) fn draw(&self, range: Range<Duration>) -> Duration {
        between(&mut lock(&self.weather).random, range)
    }

    pub(super) fn note(&self, what: What) {
        if let Some(recorder) = &self.recorder {
            recorder.note(what);
        }
    }

    pub(super) fn note_bus(&self, up: bool) {
        self.note(if up { What::BusUp } else { What::BusDown });
    }
}

impl Weather {
    fn travel(&mut self) -> Duration {
        if self.random.f64() < self.slow {
            return between(&mut self.random, self.usual.start..self.slowest);
        }
        between(&mut self.random, self.usual.clone())
    }
}

/// A length between these two, in whole microseconds.
pub(crate) fn between(random: &mut fastrand::Rng, range: Range<Duration>) -> Duration {
    let micros = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
    let (from, to) = (micros(range.start), micros(range.end));
    Duration::from_micros(if from < to { random.u64(from..to) } else { from })
}

impl FmBackend for SimNode {
    fn open(self, prefix: &Prefix) -> Result<Tier, FmError> {
        Ok(Tier::Remote(Arc::new(SimTier::new(Link::new(self.0, prefix)))))
    }
}

impl fmt::Debug for SimNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNode").field("number", &self.0.number).finish_non_exhaustive()
    }
}
