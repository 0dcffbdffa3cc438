//! Hits are counted often and asked for seldom: each thread has counters of its own, which cost a load and a store.

use std::{
    cell::Cell,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{BLOCK, BLOCKS};
use crate::sync::lock;

/// Threads with counters of their own at a time; the others share the first stripe.
pub(super) const STRIPES: usize = 64;
pub(super) const SHARED: usize = 0;

/// The hits of each function.
pub(super) struct Hits {
    stripes: [OnceLock<Box<Stripe>>; STRIPES],
}

struct Stripe {
    blocks: [OnceLock<Box<[AtomicU64; BLOCK]>>; BLOCKS],
}

impl Default for Hits {
    fn default() -> Self {
        Self { stripes: [const { OnceLock::new() }; STRIPES] }
    }
}

impl Hits {
    /// Counts a hit of the function at this place.
    #[inline]
    pub(super) fn add_one(&self, place: usize) {
        let stripe = own_stripe();
        let counter = self.counter(stripe, place);
        if stripe == SHARED {
            counter.fetch_add(1, Ordering::Relaxed);
        } else {
            // No other thread writes to it.
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// The hits so far of the function at this place.
    pub(super) fn of(&self, place: usize) -> u64 {
        let blocks = self.stripes.iter().filter_map(|stripe| stripe.get()?.blocks[place / BLOCK].get());
        blocks.map(|block| block[place % BLOCK].load(Ordering::Relaxed)).sum()
    }

    #[inline]
    fn counter(&self, stripe: usize, place: usize) -> &AtomicU64 {
        let stripe = self.stripes[stripe % STRIPES].get_or_init(Stripe::new);
        let block = stripe.blocks[place / BLOCK].get_or_init(|| Box::new([const { AtomicU64::new(0) }; BLOCK]));
        &block[place % BLOCK]
    }
}

impl Stripe {
    #[cold]
    fn new() -> Box<Self> {
        Box::new(Self { blocks: [const { OnceLock::new() }; BLOCKS] })
    }
}

/// The stripes that no thread has: those given back, and those from a number on.
static FREE: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), SHARED + 1));

const NONE_YET: usize = usize::MAX;

thread_local! {
    static OWN: Cell<usize> = const { Cell::new(NONE_YET) };
    static LOAN: Loan = Loan::take();
}

#[inline]
pub(super) fn own_stripe() -> usize {
    match OWN.get() {
        NONE_YET => borrow_stripe(),
        own => own,
    }
}

#[cold]
fn borrow_stripe() -> usize {
    OWN.set(LOAN.try_with(|loan| loan.0).unwrap_or(SHARED));
    OWN.get()
}

/// A stripe on loan to a thread, until the thread ends.
struct Loan(usize);

impl Loan {
    fn take() -> Self {
        let (free, next) = &mut *lock(&FREE);
        Self(free.pop().unwrap_or_else(|| {
            let fresh = *next;
            *next = (fresh + 1).min(STRIPES);
            if fresh < STRIPES { fresh } else { SHARED }
        }))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // What the thread counts from here on, in the destructors of its other locals, is counted where all count.
        OWN.set(SHARED);
        if self.0 != SHARED {
            lock(&FREE).0.push(self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn no_hit_is_lost_however_many_threads_come_and_go() {
        let hits = Hits::default();
        for _ in 0..3 {
            thread::scope(|scope| {
                for _ in 0..2 * STRIPES {
                    scope.spawn(|| (0..100).for_each(|number| hits.add_one(number % 2)));
                }
            });
        }
        assert_eq!(hits.of(0) + hits.of(1), 3 * 2 * STRIPES as u64 * 100);
        assert_eq!((hits.of(0), hits.of(2)), (hits.of(1), 0));
    }
}
