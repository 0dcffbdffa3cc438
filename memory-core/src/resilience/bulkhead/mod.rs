//! A bulkhead: how many calls are under way at once, so that a slow upstream does not take all there is.

mod gradient;
mod rooms;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use self::rooms::{Resized, Rooms, Taken};
use super::config::Refused;
use crate::{
    error::{FmError, Kind},
    retry::{IntoCount, policy::within},
    stats::{Event, Ledger},
    time::IntoDuration,
};

/// Lets so many calls be under way at once, and so many wait in line; the others are refused.
///
/// Who waits is served in the order of arrival. Clones are one bulkhead.
///
/// With [`min_concurrent`](BulkheadBuilder::min_concurrent) it finds out by itself how many calls the upstream can take.
///
/// # Examples
///
/// ```
/// use memory_core::{Bulkhead, FmError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FmError> {
/// let bulkhead = Bulkhead::builder().max_concurrent(1).build()?;
/// let room = bulkhead.acquire().await?;
/// assert!(bulkhead.acquire().await.unwrap_err().is_bulkhead_full());
/// drop(room);
/// assert!(bulkhead.acquire().await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Bulkhead(Arc<Shared>);

struct Shared {
    name: Box<str>,
    ledger: Ledger,
    rooms: Rooms,
    most: usize,
    queued: AtomicUsize,
    max_queued: usize,
    /// `None`: as long as it takes.
    max_wait: Option<Duration>,
}

/// Room for one call; dropping it makes room for the next.
#[derive(Debug)]
#[must_use = "dropping it makes room for the next call"]
pub struct BulkheadRoom<'a> {
    taken: Taken<'a>,
    ledger: &'a Ledger,
}

impl BulkheadRoom<'_> {
    /// Makes room for the next call, and lets an adaptive bulkhead learn from how long this one took to be answered.
    ///
    /// A room that is merely dropped teaches nothing: calls that failed or were given up don't say how much the upstream can take.
    pub fn finish(self) {
        self.learn(false);
    }

    /// As [`finish`](Self::finish), for a call that was ended because it took too long.
    pub fn time_out(self) {
        self.learn(true);
    }

    fn learn(mut self, cut: bool) {
        if let Some(Resized { from, to }) = self.taken.learn(cut) {
            self.ledger.note(Event::Resized { from, to });
        }
    }
}

impl Bulkhead {
    /// Begins a bulkhead.
    pub fn builder() -> BulkheadBuilder {
        BulkheadBuilder::default()
    }

    /// Waits for room, where there may be a queue. The room is held until what this returns is dropped.
    ///
    /// # Errors
    ///
    /// [`is_bulkhead_full`](FmError::is_bulkhead_full): at once if the queue is full, or after
    /// [`max_wait`](BulkheadBuilder::max_wait).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue.
    pub async fn acquire(&self) -> Result<BulkheadRoom<'_>, FmError> {
        let shared = &*self.0;
        if let Ok(taken) = shared.rooms.try_take() {
            return Ok(shared.room(taken));
        }
        let _place = shared.queue().ok_or_else(|| shared.refuse())?;
        let room = shared.rooms.take();
        let taken = match shared.max_wait {
            Some(length) => within(length, room).await,
            None => Some(room.await),
        };
        taken.and_then(Result::ok).map(|taken| shared.room(taken)).ok_or_else(|| shared.refuse())
    }

    /// Takes room if there is some; never waits.
    ///
    /// # Errors
    ///
    /// [`is_bulkhead_full`](FmError::is_bulkhead_full).
    pub fn try_acquire(&self) -> Result<BulkheadRoom<'_>, FmError> {
        self.0.rooms.try_take().map(|taken| self.0.room(taken)).map_err(|_| self.0.refuse())
    }

    /// How many calls may be under way at once: `max_concurrent`, or what an adaptive bulkhead has come to.
    pub fn limit(&self) -> usize {
        self.0.rooms.limit().unwrap_or(self.0.most)
    }
}

impl Shared {
    fn room<'a>(&'a self, taken: Taken<'a>) -> BulkheadRoom<'a> {
        BulkheadRoom { taken, ledger: &self.ledger }
    }

    /// A place in the queue, if there is one left.
    fn queue(&self) -> Option<Place<'_>> {
        let one_more = |queued| (queued < self.max_queued).then_some(queued + 1);
        self.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        self.ledger.note(Event::Queued { policy: "bulkhead" });
        Some(Place(self))
    }

    fn refuse(&self) -> FmError {
        self.ledger.note(Event::Refused { policy: "bulkhead", retry_after: None });
        FmError::refused(Kind::BulkheadFull, format!("the bulkhead `{}` is full", self.name), None)
    }
}

/// A place in the queue, while it is taken.
struct Place<'a>(&'a Shared);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Settings of a [`Bulkhead`]; times are seconds or a `Duration`.
///
/// # Default
///
/// No queue. With one, waiting in it takes as long as it takes. `max_concurrent` has to be given, and is the limit unless
/// `min_concurrent` is given too.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct BulkheadBuilder {
    max_concurrent: Option<u32>,
    min_concurrent: Option<u32>,
    max_queued: u32,
    max_wait: Option<Duration>,
    name: Option<String>,
    refused: Refused,
}

impl BulkheadBuilder {
    /// How many calls may be under way at once.
    pub fn max_concurrent(mut self, calls: impl IntoCount) -> Self {
        self.max_concurrent = Some(self.refused.some("max_concurrent", calls.into_count()));
        self
    }

    /// Makes it adaptive: as many calls may be under way as the upstream can take, but at least this many, and at most
    /// `max_concurrent`. Default: always `max_concurrent`.
    ///
    /// It begins with the least and goes up while calls take as long as in an upstream with little to do, and down when they take
    /// longer; it looks every 100 ms, if ten calls have ended well by then. Once a minute, if there is much to do, it lets only the
    /// least number through until ten calls have shown how long they take then; so give it a queue, or a least number that is
    /// enough for a moment. The controller is that of [Envoy's adaptive concurrency filter].
    ///
    /// [Envoy's adaptive concurrency filter]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), memory_core::FmError> {
    /// let bulkhead = memory_core::Bulkhead::builder().max_concurrent(200).min_concurrent(5).max_queued(50).build()?;
    /// assert_eq!(bulkhead.limit(), 5);
    /// # Ok(()) }
    /// ```
    pub fn min_concurrent(mut self, calls: impl IntoCount) -> Self {
        self.min_concurrent = Some(self.refused.some("min_concurrent", calls.into_count()));
        self
    }

    /// How many calls may wait for room. Default: none.
    pub fn max_queued(mut self, calls: impl IntoCount) -> Self {
        self.max_queued = calls.into_count();
        self
    }

    /// How long a call may wait for room. Default: as long as it takes. Without a queue it changes nothing.
    pub fn max_wait(mut self, length: impl IntoDuration) -> Self {
        self.max_wait = Some(self.refused.length(length));
        self
    }

    /// Its name in errors, the log and [`FmStats::resilience`](crate::FmStats::resilience).
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name, unless it has one.
    pub(crate) fn named_or(mut self, name: &str) -> Self {
        self.name.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Builds it.
    ///
    /// # Errors
    ///
    /// [`is_config`](FmError::is_config): no `max_concurrent`, or zero; a `min_concurrent` of zero or above it.
    pub fn build(mut self) -> Result<Bulkhead, FmError> {
        let needs = "a bulkhead needs `max_concurrent`: how many calls at once";
        self.refused.unless(self.max_concurrent.is_some(), || needs.into());
        let (least, most) = (self.min_concurrent, self.max_concurrent.unwrap_or(1));
        self.refused.unless(self.max_concurrent.is_none() || least.is_none_or(|least| least <= most), || {
            format!("`min_concurrent` is above `max_concurrent`, which is {most}: give less")
        });
        self.refused.into_result()?;
        let most = most as usize;
        let name = self.name.unwrap_or_else(|| "bulkhead".into());
        Ok(Bulkhead(Arc::new(Shared {
            ledger: Ledger::named(&name),
            name: name.into(),
            rooms: least.map_or_else(|| Rooms::fixed(most), |least| Rooms::adaptive(least as usize, most)),
            most,
            queued: AtomicUsize::new(0),
            max_queued: self.max_queued as usize,
            max_wait: self.max_wait,
        })))
    }
}

impl From<&Self> for Bulkhead {
    fn from(bulkhead: &Self) -> Self {
        bulkhead.clone()
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.0.name)
            .field("limit", &self.limit())
            .field("free", &self.0.rooms.free())
            .finish_non_exhaustive()
    }
}
