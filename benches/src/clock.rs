//! A clock that is read in a nanosecond and is right to a few milliseconds.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

static MILLISECONDS: AtomicU64 = AtomicU64::new(0);

/// Milliseconds since the clock was started.
pub(crate) fn coarse() -> u64 {
    MILLISECONDS.load(Ordering::Relaxed)
}

/// Starts the thread that moves the clock.
pub(crate) fn start() {
    let began = Instant::now();
    thread::spawn(move || {
        loop {
            MILLISECONDS.store(began.elapsed().as_millis() as u64, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(5));
        }
    });
}
