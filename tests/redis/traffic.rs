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

use crate::support::{eventually, redis_server::RedisServer, timed};

/// What 99 of 100 calls cost at most beyond their body, once Redis is known to be in trouble.
pub(crate) const SKIPPED: Duration = Duration::from_millis(5);
/// So many functions' keys are called in turn.
pub(crate) const KEYS: u32 = 40;

#[memorize(expire = 60, skip(truth))]
pub(crate) async fn told(number: u32, truth: u32) -> u32 {
    let _ = number;
    truth
}

/// One call.
pub(crate) struct Sample {
    pub(crate) start: Instant,
    pub(crate) time: Duration,
    /// What a plain round trip to a server that is well took just then: what this machine adds to everything.
    control: Duration,
}

/// A user who calls, and invalidates one call in ten; ends when it is told to.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU32>,
    calls: JoinHandle<Vec<Sample>>,
}

impl Traffic {
    /// Panics, on [`end`](Self::end), when an invalidated value is answered.
    pub(crate) fn on(cache: &FmCache) -> Self {
        let (stop, made) = (Arc::default(), Arc::default());
        let calls = call_until(Arc::clone(&stop), Arc::clone(&made));
        let cache = cache.clone();
        Self { stop, made, calls: tokio::spawn(async move { cache.scope(calls).await }) }
    }

    /// Waits until `count` more calls are made.
    pub(crate) async fn goes_on(&self, count: u32) {
        let goal = self.made.load(Ordering::Relaxed) + count;
        let made = || async { (self.calls.is_finished() || self.made.load(Ordering::Relaxed) >= goal).then_some(()) };
        eventually(Duration::from_secs(30), "calls go on", made).await;
    }

    pub(crate) async fn end(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        self.calls.await.expect("no call fails, and none answers what was invalidated")
    }
}

async fn call_until(stop: Arc<AtomicBool>, made: Arc<AtomicU32>) -> Vec<Sample> {
    let (mut truths, mut samples, mut control) = ([0; KEYS as usize], Vec::new(), Control::start().await);
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
        let control = control.round_trip().await;
        samples.push(Sample { start, time, control });
        made.store(round + 1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    samples
}

/// A server that nothing happens to.
pub(crate) struct Control {
    _server: RedisServer,
    connection: redis::aio::MultiplexedConnection,
}

impl Control {
    pub(crate) async fn start() -> Self {
        let server = RedisServer::start();
        let client = redis::Client::open(server.url()).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await.expect("a connection");
        Self { _server: server, connection }
    }

    /// What a round trip to it takes now: this machine, with all that runs on it, adds that to everything.
    pub(crate) async fn round_trip(&mut self) -> Duration {
        let (time, pong) = timed(redis::cmd("PING").query_async::<String>(&mut self.connection)).await;
        assert_eq!(pong.expect("an answer"), "PONG");
        time
    }
}

/// Each call within `longest`; of those that began after `from`, 99 of 100 within [`SKIPPED`] beyond what this machine
/// adds. Says what it saw.
pub(crate) fn judge(what: &str, calls: &[Sample], longest: Duration, from: Instant) {
    let late = || calls.iter().filter(|call| call.start >= from);
    let (p99, control) = (p99(late().map(|call| call.time)), p99(late().map(|call| call.control)));
    let max = calls.iter().map(|call| call.time).max().expect("calls");
    let slow = calls.iter().filter(|call| call.time > 4 * SKIPPED).count();
    println!(
        "{what}: {} calls, longest {max:?}, {slow} over 20 ms; later {} calls, p99 {p99:?}, this machine's own {control:?}",
        calls.len(),
        late().count()
    );
    assert!(max <= longest, "{what}: a call took {max:?}");
    assert!(p99 <= SKIPPED + control, "{what}: 99 of 100 later calls take {p99:?}");
}

/// Of each hundred, the second longest.
pub(crate) fn p99(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times[times.len() * 99 / 100]
}
