//! Rooms, of which the number may change while they are taken.

use std::sync::Mutex;

use tokio::{
    sync::{AcquireError, Semaphore, SemaphorePermit, TryAcquireError},
    time::Instant,
};

use super::gradient::{Gradient, Sample};
use crate::sync::lock;

/// So many calls at once.
#[derive(Debug)]
pub(super) struct Rooms {
    free: Semaphore,
    /// Where the number is learned.
    adaptive: Option<Mutex<Adaptive>>,
}

#[derive(Debug)]
struct Adaptive {
    gradient: Gradient,
    /// How many rooms there are, taken or free.
    rooms: usize,
}

/// A room that is taken. It is free again once this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    rooms: &'a Rooms,
    /// `None` once it is dropped.
    permit: Option<SemaphorePermit<'a>>,
    /// Since when, where that is of interest.
    since: Option<Instant>,
}

/// The limit has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resized {
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Rooms {
    pub(super) fn fixed(most: usize) -> Self {
        Self { free: Semaphore::new(most.min(Semaphore::MAX_PERMITS)), adaptive: None }
    }

    /// Between `least` and `most`, as many as the calls show to be well.
    pub(super) fn adaptive(least: usize, most: usize) -> Self {
        let (least, most) = (least.min(Semaphore::MAX_PERMITS), most.min(Semaphore::MAX_PERMITS));
        let adaptive = Adaptive { gradient: Gradient::new(least, most, Instant::now()), rooms: least };
        Self { free: Semaphore::new(least), adaptive: Some(Mutex::new(adaptive)) }
    }

    pub(super) fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// The limit in force, where it is learned.
    pub(super) fn limit(&self) -> Option<usize> {
        self.adaptive.as_ref().map(|adaptive| lock(adaptive).gradient.limit())
    }

    pub(super) async fn take(&self) -> Result<Taken<'_>, AcquireError> {
        Ok(self.taken(self.free.acquire().await?))
    }

    pub(super) fn try_take(&self) -> Result<Taken<'_>, TryAcquireError> {
        Ok(self.taken(self.free.try_acquire()?))
    }

    fn taken<'a>(&'a self, permit: SemaphorePermit<'a>) -> Taken<'a> {
        let since = self.adaptive.as_ref().map(|_| Instant::now());
        Taken { rooms: self, permit: Some(permit), since }
    }

    /// Brings the number of rooms as near to the limit as the taken ones let it.
    fn fit(&self, adaptive: &mut Adaptive) {
        let limit = adaptive.gradient.limit();
        if adaptive.rooms < limit {
            self.free.add_permits(limit - adaptive.rooms);
            adaptive.rooms = limit;
        } else {
            adaptive.rooms -= self.free.forget_permits(adaptive.rooms - limit);
        }
    }
}

impl Taken<'_> {
    /// The call is over, and the time it took says something about the upstream.
    pub(super) fn learn(&mut self, cut: bool) -> Option<Resized> {
        let mut adaptive = lock(self.rooms.adaptive.as_ref()?);
        let began = self.since?;
        let from = adaptive.gradient.limit();
        let under_way = adaptive.rooms - self.rooms.free.available_permits();
        adaptive.gradient.learn(Sample { began, ended: Instant::now(), cut, under_way });
        let to = adaptive.gradient.limit();
        self.rooms.fit(&mut adaptive);
        (from != to).then_some(Resized { from, to })
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let Some(adaptive) = &self.rooms.adaptive else { return drop(permit) };
        let mut adaptive = lock(adaptive);
        // One room too many is not given back.
        if adaptive.rooms > adaptive.gradient.limit() {
            permit.forget();
            adaptive.rooms -= 1;
        } else {
            drop(permit);
        }
    }
}
