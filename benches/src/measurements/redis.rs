//! A hit in Redis, and in memory over Redis.

use std::{
    hint::black_box,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use fred::interfaces::{ClientLike, KeysInterface};
use memory_core::{FmCacheManager, FmMemoryBackend, memorize};
use memory_redis::FmRedisBackend;
use redis::AsyncCommands;
use tokio::{runtime::Builder, task::JoinSet};

use crate::{
    report::{Goal, Row},
    rounds::{Contender, Effort, OURS, Samples, take_turns},
    support::runtime,
};

/// The length of a value.
const LENGTH: usize = 1024;

fn kibibyte() -> String {
    "x".repeat(LENGTH)
}

#[memorize(expire = 3600)]
async fn text(number: u64) -> String {
    let _ = number;
    kibibyte()
}

#[memorize(expire = 3600)]
async fn doubled(number: u64) -> u64 {
    number * 2
}

pub(crate) fn hit(effort: Effort) -> Vec<Row> {
    let Some(server) = Server::start() else { return Vec::new() };
    FmCacheManager::init(FmRedisBackend::connect(&server.url).expect("a url"), "benches").expect("a prefix");
    let p50 = latencies(&server.url, effort);
    let about = "a hit of String of 1 KiB in Redis, decoded, 1 task, p50";
    let mut rows = vec![Row::new("redis_hit", about, "µs", &p50, vec![Goal::at_most(1.05, &["raw_get"])])];
    let rates = rates(&server.url, effort);
    let about = "the same, 64 tasks";
    rows.push(Row::new("redis_hit_64", about, "1/s", &rates, vec![Goal::at_least(0.93, &["raw_get"])]));
    rows
}

pub(crate) fn l1_over_l2(effort: Effort) -> Vec<Row> {
    let Some(server) = Server::start() else { return Vec::new() };
    let keys: &'static [u64] = (0..256).collect::<Vec<u64>>().leak();
    let one_tier = FmCacheManager::builder(FmMemoryBackend::new()).prefix("one").build().expect("a prefix");
    let remote = FmRedisBackend::connect(&server.url).expect("a url");
    let two_tiers = FmCacheManager::builder(FmMemoryBackend::new()).prefix("two").l2(remote).build().expect("a prefix");
    let contender = |name, cache: memory_core::FmCache| {
        // One worker, so that what Redis says is heard behind the calls.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let call_all = async || {
            for key in keys {
                doubled(*key).await;
            }
        };
        runtime.block_on(cache.scope(call_all()));
        // The stream of changes begins; what was read before is not trusted.
        thread::sleep(Duration::from_millis(500));
        runtime.block_on(cache.scope(call_all()));
        Contender::new(name, move |times| {
            runtime.block_on(cache.scope(async {
                for key in keys.iter().cycle().take(times as usize) {
                    black_box(doubled(black_box(*key)).await);
                }
            }));
        })
    };
    let samples = take_turns(vec![contender(OURS, two_tiers), contender("one_tier", one_tier)], effort.of_one_thread());
    let about = "a hit of u64 in memory over Redis, and in memory alone; both in a scope";
    vec![Row::new("l1_over_l2_hit", about, "ns", &samples, vec![Goal::at_most(1.2, &["one_tier"])])]
}

const RAW_KEY: &str = "raw";

async fn raw_get(mut connection: redis::aio::MultiplexedConnection) -> String {
    connection.get(RAW_KEY).await.expect("a value")
}

async fn multiplexed(url: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).expect("a url");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    connection.set::<_, _, ()>(RAW_KEY, kibibyte()).await.expect("stored");
    connection
}

/// Microseconds: the median of many single calls, round by round.
fn latencies(url: &str, effort: Effort) -> Vec<Samples> {
    const CALLS: usize = 400;
    runtime().block_on(async {
        let raw = multiplexed(url).await;
        let pool = deadpool_redis::Config::from_url(url).create_pool(None).expect("a pool");
        let fred = fred(url).await;
        text(1).await;
        FmCacheManager::settle().await;
        let mut samples = [const { Vec::new() }; 4];
        for _ in 0..effort.rounds {
            if is_wanted(effort, 0) {
                samples[0].push(median(CALLS, LENGTH, async || text(1).await.len()).await);
            }
            if is_wanted(effort, 1) {
                samples[1].push(median(CALLS, LENGTH, async || raw_get(raw.clone()).await.len()).await);
            }
            if is_wanted(effort, 2) {
                let get =
                    async || pool.get().await.expect("one").get::<_, String>(RAW_KEY).await.expect("a value").len();
                samples[2].push(median(CALLS, LENGTH, get).await);
            }
            if is_wanted(effort, 3) {
                let get = async || fred.get::<String, _>(RAW_KEY).await.expect("a value").len();
                samples[3].push(median(CALLS, LENGTH, get).await);
            }
        }
        named(samples)
    })
}

/// Microseconds of a call that brings so much.
pub(super) async fn median(calls: usize, length: usize, call: impl AsyncFn() -> usize) -> f64 {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let began = Instant::now();
        assert_eq!(call().await, length);
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    times[calls / 2]
}

/// Calls in a second, of 64 tasks on one thread.
fn rates(url: &str, effort: Effort) -> Vec<Samples> {
    let calls = if effort.is_quick { 200 } else { 1000 };
    runtime().block_on(async {
        let raw = multiplexed(url).await;
        let pool = deadpool_redis::Config::from_url(url).create_pool(None).expect("a pool");
        let fred = fred(url).await;
        for key in 0..KEYS {
            text(key).await;
        }
        FmCacheManager::settle().await;
        let mut samples = [const { Vec::new() }; 4];
        for _ in 0..effort.rounds {
            if is_wanted(effort, 0) {
                samples[0].push(rate(calls, text).await);
            }
            if is_wanted(effort, 1) {
                samples[1].push(rate(calls, |_| raw_get(raw.clone())).await);
            }
            if is_wanted(effort, 2) {
                let get = |_| {
                    let pool = pool.clone();
                    async move { pool.get().await.expect("one").get(RAW_KEY).await.expect("a value") }
                };
                samples[2].push(rate(calls, get).await);
            }
            if is_wanted(effort, 3) {
                let get = |_| {
                    let fred = fred.clone();
                    async move { fred.get(RAW_KEY).await.expect("a value") }
                };
                samples[3].push(rate(calls, get).await);
            }
        }
        named(samples)
    })
}

/// More than there are tasks, so that no two of them ask for one key at a time and share what comes.
const KEYS: u64 = 1024;

async fn rate<F>(calls: u64, call: impl Fn(u64) -> F) -> f64
where
    F: Future<Output = String> + Send + 'static,
{
    const TASKS: u64 = 64;
    let began = Instant::now();
    let left = AtomicU64::new(calls * TASKS / 8);
    let mut running: JoinSet<String> = (0..TASKS).map(&call).collect();
    let (mut done, mut next) = (0, TASKS);
    while let Some(value) = running.join_next().await {
        done += u64::from(value.is_ok_and(|value| value.len() == LENGTH));
        if left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            running.spawn(call(next % KEYS));
            next += 1;
        }
    }
    done as f64 / began.elapsed().as_secs_f64()
}

async fn fred(url: &str) -> fred::clients::Client {
    let config = fred::types::config::Config::from_url(url).expect("a url");
    let client = fred::types::Builder::from_config(config).build().expect("a client");
    client.init().await.expect("a connection");
    client
}

const NAMES: [&str; 4] = [OURS, "raw_get", "deadpool_redis", "fred"];

fn is_wanted(effort: Effort, contender: usize) -> bool {
    effort.contender.is_none_or(|only| only == NAMES[contender])
}

fn named(samples: [Vec<f64>; 4]) -> Vec<Samples> {
    let measured = NAMES.into_iter().zip(samples).filter(|(_, samples)| !samples.is_empty());
    measured.map(|(name, samples)| Samples::new(name, samples)).collect()
}

/// A Redis of its own, gone with the measurement.
pub(super) struct Server {
    process: Child,
    pub(super) url: String,
}

impl Server {
    pub(super) fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).ok()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir", "/tmp"])
            .stdout(Stdio::null())
            .spawn()
            .inspect_err(|_| eprintln!("no redis-server in the path: nothing of Redis is measured"))
            .ok()?;
        let server = Self { process, url: format!("redis://127.0.0.1:{port}") };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
