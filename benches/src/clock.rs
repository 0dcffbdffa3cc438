//! The clock of what is written by hand: coarse, monotonic, read without a system call.

use std::time::Duration;

use coarsetime::Instant;

/// A moment from which on a value is no longer fresh.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    #[inline]
    pub(crate) fn after(life: Duration) -> Self {
        Self(Instant::now_without_cache_update() + life.into())
    }

    #[inline]
    pub(crate) fn is_ahead(self) -> bool {
        Instant::now_without_cache_update() < self.0
    }
}
