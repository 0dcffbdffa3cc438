//! One number that many threads raise often and that is asked for seldom.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::hits::{SHARED, STRIPES, own_stripe};

/// How many calls there were.
pub(crate) struct Calls {
    stripes: [OnceLock<Box<Stripe>>; STRIPES],
}

/// The calls of one thread, on a cache line that no other thread writes to.
#[repr(align(64))]
#[derive(Default)]
struct Stripe(AtomicU64);

impl Default for Calls {
    fn default() -> Self {
        Self { stripes: [const { OnceLock::new() }; STRIPES] }
    }
}

impl Calls {
    /// Counts a call, and tells how many this thread has counted.
    #[inline]
    pub(crate) fn add_one(&self) -> u64 {
        let own = own_stripe();
        let Stripe(count) = &**self.stripes[own % STRIPES].get_or_init(Box::default);
        if own == SHARED {
            return count.fetch_add(1, Ordering::Relaxed) + 1;
        }
        // No other thread writes to it.
        let counted = count.load(Ordering::Relaxed) + 1;
        count.store(counted, Ordering::Relaxed);
        counted
    }

    /// How many calls were counted so far.
    pub(crate) fn total(&self) -> u64 {
        self.stripes.iter().filter_map(OnceLock::get).map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn no_call_is_lost_however_many_threads_count() {
        let calls = Calls::default();
        thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..100).for_each(|_| assert!(calls.add_one() > 0)));
            }
        });
        assert_eq!(calls.total(), 2 * STRIPES as u64 * 100);
    }
}
