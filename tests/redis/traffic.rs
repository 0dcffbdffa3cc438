//! Calls that go on while something happens to Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use memory_core::{FmCache, memorize};
use tokio::task::JoinHandle;

use crate::support::{eventually, timed};

/// What 99 of 100 calls cost at most beyond their body, once Redis is known to be in trouble.
pub(crate) const SKIPPED: Duration = Duration::from_millis(5);
/// So many functions' keys are called in turn.
pub(crate) const KEYS: u32 = 40;

#[memorize(expire = 60, skip(truth))]
pub(crate) async fn told(number: u32, truth: u32) -> u32 {
    let _ = number;
    truth
}

/// A user who calls, and invalidates one call in ten; ends when it is told to.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU32>,
    calls: JoinHandle<Vec<(Instant, Duration)>>,
}

impl Traffic {
    /// Panics, on [`end`](Self::end), when an invalidated value is answered.
    pub(crate) fn on(cache: &FmCache) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let made = Arc::default();
        let calls = tokio::spawn(call_until(cache.clone(), Arc::clone(&stop), Arc::clone(&made)));
        Self { stop, made, calls }
    }

    /// Waits until `count` more calls are made.
    pub(crate) async fn goes_on(&self, count: u32) {
        let goal = self.made.load(Ordering::Relaxed) + count;
        let made = || async { (self.calls.is_finished() || self.made.load(Ordering::Relaxed) >= goal).then_some(()) };
        eventually(Duration::from_secs(30), "calls go on", made).await;
    }

    /// When each call began and how long it took.
    pub(crate) async fn end(self) -> Vec<(Instant, Duration)> {
        self.stop.store(true, Ordering::Relaxed);
        self.calls.await.expect("no call fails, and none answers what was invalidated")
    }
}

async fn call_until(cache: FmCache, stop: Arc<AtomicBool>, made: Arc<AtomicU32>) -> Vec<(Instant, Duration)> {
    let mut truths = [0; KEYS as usize];
    let mut times = Vec::new();
    let scoped = cache.clone();
    let calls = async {
        for round in 0_u32.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let number = round * 7 % KEYS;
            let truth = &mut truths[number as usize];
            if round % 10 == 0 {
                *truth += 1;
                told::invalidate(number).await.expect("invalidations hold");
            }
            let start = Instant::now();
            let (time, answer) = timed(told(number, *truth)).await;
            assert_eq!(answer, *truth, "call {round} to {number}: an invalidated value came back");
            times.push((start, time));
            made.store(round + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    scoped.scope(calls).await;
    times
}

/// Each call within `longest`; of those that began after `from`, 99 of 100 within [`SKIPPED`]. Says what it saw.
pub(crate) fn judge(what: &str, calls: &[(Instant, Duration)], longest: Duration, from: Instant) {
    let mut late: Vec<Duration> = calls.iter().filter(|(start, _)| *start >= from).map(|(_, time)| *time).collect();
    late.sort();
    let (p99, max) = (late[late.len() * 99 / 100], calls.iter().map(|(_, time)| *time).max().unwrap());
    let slow = calls.iter().filter(|(_, time)| *time > SKIPPED).count();
    println!(
        "{what}: {} calls, longest {max:?}, {slow} over 5 ms; later {} calls, p99 {p99:?}",
        calls.len(),
        late.len()
    );
    assert!(max <= longest, "{what}: a call took {max:?}");
    assert!(p99 <= SKIPPED, "{what}: 99 of 100 later calls take {p99:?}");
}
