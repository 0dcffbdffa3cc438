//! A storm: a hundred clients call an upstream that dies for a minute and comes back, by tokio's paused clock.
//!
//! Each client begins a call every half second, whatever has become of those before. The upstream can answer half as many calls again. More
//! than that queue up; it works on those too for which nobody waits any more, so that whoever repeats too much keeps it busy in vain.

use std::{
    future::Future,
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

const CLIENTS: u32 = 100;
const EVERY: Duration = Duration::from_millis(500);
/// From the connection to the answer, where nothing queues.
const LATENCY: Duration = Duration::from_millis(20);
/// How long anybody waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What would have to wait longer than this is refused.
const QUEUE: Duration = Duration::from_secs(2);

/// Calls that all clients begin in a second.
pub const OFFERED: u32 = 200;
/// Calls that the upstream answers in a second.
pub const CAPACITY: u32 = 300;
/// The seconds in which the upstream is dead.
pub const DEAD: Range<usize> = 30..90;
/// The seconds of the whole simulation.
pub const SECONDS: usize = 150;

/// What is called at the end of all layers.
#[derive(Clone)]
pub struct Upstream {
    began: Instant,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Requests, by the second of their arrival.
    arrived: Vec<u32>,
    /// When all that queues is worked off.
    free: Instant,
}

impl Upstream {
    fn new() -> Self {
        let began = Instant::now();
        Self { began, state: Arc::new(Mutex::new(State { arrived: Vec::new(), free: began })) }
    }

    /// One request.
    pub async fn call(&self) -> io::Result<()> {
        match self.arrives() {
            Some(queued) if queued + LATENCY <= TIMEOUT => {
                tokio::time::sleep(queued + LATENCY).await;
                Ok(())
            }
            Some(_) => {
                tokio::time::sleep(TIMEOUT).await;
                Err(io::ErrorKind::TimedOut.into())
            }
            None => {
                tokio::time::sleep(LATENCY).await;
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }

    /// How long the request has to queue; `None`: it is refused.
    fn arrives(&self) -> Option<Duration> {
        let (now, second) = (Instant::now(), self.second());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut state.arrived, second);
        let queued = state.free.saturating_duration_since(now);
        if DEAD.contains(&second) || queued > QUEUE {
            return None;
        }
        state.free = now + queued + Duration::from_secs(1) / CAPACITY;
        Some(queued)
    }

    fn second(&self) -> usize {
        self.began.elapsed().as_secs() as usize
    }

    fn arrived(&self) -> Vec<u32> {
        let mut arrived = self.state.lock().unwrap_or_else(PoisonError::into_inner).arrived.clone();
        arrived.resize(arrived.len().max(SECONDS), 0);
        arrived
    }
}

fn count(seconds: &mut Vec<u32>, second: usize) {
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    seconds[second] += 1;
}

/// What a storm did, second by second.
pub struct Report {
    /// Requests that reached the upstream.
    pub arrived: Vec<u32>,
    /// Calls that clients began.
    pub begun: Vec<u32>,
    /// Of those, the ones that ended well.
    pub succeeded: Vec<u32>,
}

impl Report {
    /// Requests for each call begun while the upstream was dead; `reserve` requests are not counted.
    pub fn amplification(&self, reserve: u32) -> f64 {
        let while_dead = |seconds: &[u32]| seconds[DEAD].iter().sum::<u32>();
        f64::from(while_dead(&self.arrived).saturating_sub(reserve)) / f64::from(while_dead(&self.begun))
    }

    /// The most requests in a second.
    pub fn peak(&self) -> u32 {
        self.arrived.iter().copied().max().unwrap_or_default()
    }

    /// The share of all calls that ended well.
    pub fn success(&self) -> f64 {
        f64::from(self.succeeded.iter().sum::<u32>()) / f64::from(self.begun.iter().sum::<u32>())
    }

    /// How many seconds after the upstream was back 99 of 100 calls ended well for good; `None`: never.
    pub fn recovery(&self) -> Option<usize> {
        let is_well = |second: usize| self.succeeded[second] * 100 >= self.begun[second] * 99;
        let after = DEAD.end..SECONDS;
        let bad = after.clone().rev().find(|second| !is_well(*second));
        let well = bad.map_or(after.start, |bad| bad + 1);
        (well < after.end).then(|| well - after.start)
    }
}

/// Lets all clients make their calls through `call`, whose layers end at the upstream. The clock has to be paused.
pub async fn storm<F>(call: impl Fn(Upstream) -> F + Clone + Send + 'static) -> Report
where
    F: Future<Output = bool> + Send + 'static,
{
    let upstream = Upstream::new();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(number, upstream.clone(), call.clone()));
    }
    let mut report = Report { arrived: Vec::new(), begun: vec![0; SECONDS], succeeded: vec![0; SECONDS] };
    for (second, is_well) in clients.join_all().await.into_iter().flatten() {
        report.begun[second] += 1;
        report.succeeded[second] += u32::from(is_well);
    }
    report.arrived = upstream.arrived();
    report
}

/// The second of each call, and whether it ended well.
async fn client<F>(number: u32, upstream: Upstream, call: impl Fn(Upstream) -> F) -> Vec<(usize, bool)>
where
    F: Future<Output = bool> + Send + 'static,
{
    let first = upstream.began + EVERY * number / CLIENTS;
    let mut calls = JoinSet::new();
    for number in 0.. {
        tokio::time::sleep_until(first + EVERY * number).await;
        let second = upstream.second();
        if second >= SECONDS {
            break;
        }
        let call = call(upstream.clone());
        calls.spawn(async move { (second, call.await) });
    }
    calls.join_all().await
}
