//! For which resources nobody waits.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::key::KeyRef;

/// So many resources are remembered at the most; one may take the place of another.
const PLACES: usize = 1024;

/// The resources whose last response was not one for others. Requests for them that waited for each other would take twice as long
/// and gain nothing, so they do not wait ("hit for miss" in Varnish) until one comes that others may have.
#[derive(Clone)]
pub(super) struct Unshared(Arc<[AtomicU64]>);

impl Unshared {
    pub(super) fn new() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn set(&self, key: KeyRef<'_>, is_unshared: bool) {
        let (place, mark) = (self.place(key), mark(key));
        if is_unshared {
            place.store(mark, Relaxed);
        } else {
            let _ = place.compare_exchange(mark, 0, Relaxed, Relaxed);
        }
    }

    pub(super) fn contains(&self, key: KeyRef<'_>) -> bool {
        self.place(key).load(Relaxed) == mark(key)
    }

    fn place(&self, key: KeyRef<'_>) -> &AtomicU64 {
        &self.0[key.hash() as usize % PLACES]
    }
}

/// Never that of an empty place.
fn mark(key: KeyRef<'_>) -> u64 {
    key.hash() | 1 << 63
}
