//! The waits themselves.

use std::{thread, time::Duration};

/// Waits by tokio's clock; without a wait, other tasks get their turn all the same.
pub(crate) async fn pause(wait: Duration) {
    if wait.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(wait).await;
    }
}

/// Blocks the thread; where tokio's clock is paused (in tests), moves that clock on instead.
pub(crate) fn pause_blocking(wait: Duration) {
    if wait.is_zero() || advance_paused(wait) {
        return;
    }
    thread::sleep(wait);
}

#[cfg(not(feature = "test-util"))]
fn advance_paused(_: Duration) -> bool {
    false
}

#[cfg(feature = "test-util")]
fn advance_paused(wait: Duration) -> bool {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    let paused = tokio::runtime::Handle::try_current().is_ok() && stands_still();
    if paused {
        // One poll moves the clock; what is left of the future only lets timers fire, which the caller's next await does.
        let _ = pin!(tokio::time::advance(wait)).poll(&mut Context::from_waker(Waker::noop()));
    }
    paused
}

/// Whether tokio's clock stands still while time passes.
#[cfg(feature = "test-util")]
fn stands_still() -> bool {
    let (before, began) = (tokio::time::Instant::now(), std::time::Instant::now());
    while began.elapsed().is_zero() {
        std::hint::spin_loop();
    }
    tokio::time::Instant::now() == before
}
