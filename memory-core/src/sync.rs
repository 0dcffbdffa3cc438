//! The locks of this crate: `std`'s, which here shrug off panics.
//!
//! Rooms that are explored by a model checker take their locks from here and nowhere else, so that the checker can
//! put its own in their place.

use std::sync::PoisonError;
pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicUsize};

/// Locks, also after a panic under the lock: nothing here is left half done by one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
