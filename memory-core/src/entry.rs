//! A cached value with its life.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::time::{Expiry, Tick};

/// A value in this process and everything the engine needs to judge it.
pub struct Entry {
    /// The value; a hit downcasts and clones it.
    pub value: Arc<dyn Any + Send + Sync>,
    /// The name of the value's type, for the warning when another one is asked for.
    pub type_name: &'static str,
    /// When it came into this process: was computed, set, or read from a shared store.
    pub born: Tick,
    /// From here on it is no longer fresh.
    pub expires: Tick,
    /// No group invalidation up to this epoch of the cache covers the entry. Begins as the epoch when the run that made
    /// it began, and is raised by reads that checked.
    pub epoch: AtomicU64,
    /// The namespace it is in.
    pub namespace: Option<Arc<str>>,
    /// What it counts towards a bound in bytes.
    pub weight: u64,
    idle: Option<Idle>,
}

/// Time to idle: expires `limit` after the last read.
struct Idle {
    limit: Duration,
    last_read: AtomicU64,
}

impl Entry {
    /// An entry that lives from `born` for `expiry`.
    pub fn new(value: Arc<dyn Any + Send + Sync>, type_name: &'static str, born: Tick, expiry: Expiry) -> Self {
        Self {
            value,
            type_name,
            born,
            expires: expiry.duration().map_or(Tick::NEVER, |life| born.after(life)),
            epoch: AtomicU64::new(0),
            namespace: None,
            weight: 1,
            idle: None,
        }
    }

    /// Also expires `limit` after the last read.
    #[must_use]
    pub fn idle_after(mut self, limit: Duration) -> Self {
        self.idle = Some(Idle { limit, last_read: AtomicU64::new(self.born.as_nanos()) });
        self
    }

    /// Whether it may be answered at `now`.
    pub fn is_fresh(&self, now: Tick) -> bool {
        now < self.expires && self.idle.as_ref().is_none_or(|idle| now < idle.deadline())
    }

    /// Notes a read at `now`.
    pub fn touch(&self, now: Tick) {
        if let Some(idle) = &self.idle {
            idle.last_read.fetch_max(now.as_nanos(), Ordering::Relaxed);
        }
    }
}

impl Idle {
    fn deadline(&self) -> Tick {
        Tick::from_nanos(self.last_read.load(Ordering::Relaxed)).after(self.limit)
    }
}
