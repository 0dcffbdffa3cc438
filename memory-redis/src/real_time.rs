//! Time as the sockets see it, also where a test has stopped tokio's clock.
//!
//! A runtime whose clock is paused jumps to its next timer whenever it has nothing to do. To such a runtime, waiting
//! for a real server is having nothing to do: every deadline would pass at once, and a heartbeat would spin. So while
//! the clock stands still, a deadline here holds it still (a blocking task does that) until the answer is there or the
//! real time is up, and a sleep is a thread that sleeps.

use std::{
    future::Future,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Handle, RuntimeFlavor};

/// The time was up first.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Awaits `work` for at most `limit`.
pub(crate) async fn within<F: Future>(limit: Duration, work: F) -> Result<F::Output, Elapsed> {
    let _still = stands_still().then(|| Hold::for_at_most(limit));
    tokio::time::timeout(limit, work).await.map_err(|_| Elapsed)
}

/// Sleeps for `length`.
pub(crate) async fn sleep(length: Duration) {
    if stands_still() && sleep_in_a_thread(length).await {
        return;
    }
    tokio::time::sleep(length).await;
}

/// Whether the clock of this runtime is paused.
pub(crate) fn stands_still() -> bool {
    let before = tokio::time::Instant::now();
    if !may_pause() || tokio::time::Instant::now() != before {
        return false;
    }
    let start = Instant::now();
    // Clocks tick coarsely on some platforms: let the real one tick before the other one is judged.
    while start.elapsed().is_zero() {
        std::hint::spin_loop();
    }
    tokio::time::Instant::now() == before
}

/// Whether somebody may pause the clock here: tokio lets only a runtime of one thread do that.
fn may_pause() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread)
}

/// Keeps a paused clock from jumping, until it is dropped.
struct Hold {
    _release: mpsc::Sender<()>,
}

impl Hold {
    fn for_at_most(limit: Duration) -> Self {
        let (release, released) = mpsc::channel();
        tokio::task::spawn_blocking(move || {
            // Ends when the other half is dropped, or when the time is up.
            let _ = released.recv_timeout(limit);
        });
        Self { _release: release }
    }
}

/// `false` when there is no thread to be had.
async fn sleep_in_a_thread(length: Duration) -> bool {
    let (wake, woken) = tokio::sync::oneshot::channel();
    let spawned = thread::Builder::new().name("memory-redis-sleep".into()).spawn(move || {
        thread::sleep(length);
        let _ = wake.send(());
    });
    spawned.is_ok() && woken.await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_is_seen_and_a_deadline_waits_for_real_work() {
        assert!(stands_still());
        let real_work = async {
            // Not a tokio timer: nothing that a paused clock could jump over.
            sleep_in_a_thread(Duration::from_millis(50)).await
        };
        assert!(within(Duration::from_secs(5), real_work).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_passes_in_real_time_on_a_paused_clock() {
        let start = Instant::now();
        within(Duration::from_millis(30), std::future::pending::<()>()).await.unwrap_err();
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[tokio::test]
    async fn a_running_clock_is_left_alone() {
        assert!(!stands_still());
    }
}
