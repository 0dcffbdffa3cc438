//! Retries, singletons and a least-recently-used cache of a synchronous function.

use std::{hint::black_box, sync::OnceLock};

use backon::{ExponentialBuilder, Retryable};
use cached::macros::{cached, once};
use memoize::memoize;
use memory_core::{cached_singleton, default_retry, fm_lru};
use tokio_retry::{Retry, strategy::ExponentialBackoff};

use crate::{
    report::{Goal, Row},
    rounds::{Contender, Effort, OURS, take_turns},
    support::{for_each, runtime},
};

const KEYS: u64 = 100;

/// A retried call that succeeds at once.
pub(crate) fn retry_ok(effort: Effort) -> Vec<Row> {
    let contenders = vec![
        calls(OURS, retried),
        calls("by_hand", by_loop),
        calls("backon", |number| async move { (|| fallible(number)).retry(ExponentialBuilder::default()).await }),
        calls("tokio_retry", |number| {
            Retry::start(ExponentialBackoff::from_millis(2000).take(2), move || fallible(number))
        }),
    ];
    let samples = take_turns(contenders, effort.of_one_thread());
    let goals = vec![Goal::at_most(1.25, &["by_hand"])];
    vec![Row::new("retry_ok", "a retried async function that succeeds at once, 1 thread", "ns", &samples, goals)]
}

/// Reading a singleton.
pub(crate) fn singleton(effort: Effort) -> Vec<Row> {
    static LOCK: OnceLock<Settings> = OnceLock::new();
    let contenders = vec![
        reads(OURS, || settings().port),
        reads("once_lock", || LOCK.get_or_init(Settings::load).port),
        reads("cached", || settings_by_cached().port),
    ];
    let samples = take_turns(contenders, effort.of_one_thread());
    let goals = vec![Goal::at_most(2.0, &["once_lock"])];
    vec![Row::new("singleton", "reading a field of a singleton, 1 thread", "ns", &samples, goals)]
}

/// A hit of a synchronous function with an LRU cache.
pub(crate) fn lru_hit(effort: Effort) -> Vec<Row> {
    let contenders =
        vec![numbers(OURS, doubled), numbers("memoize", doubled_by_memoize), numbers("cached", doubled_by_cached)];
    let samples = take_turns(contenders, effort.of_one_thread());
    let goals = vec![Goal::at_most(1.0, &["memoize", "cached"])];
    vec![Row::new("lru_hit", "fn(u64) -> u64, 100 hot keys, room for 128, LRU, 1 thread", "ns", &samples, goals)]
}

async fn fallible(number: u64) -> Result<u64, std::io::Error> {
    black_box(Ok(number))
}

#[default_retry]
async fn retried(number: u64) -> Result<u64, std::io::Error> {
    black_box(Ok(number))
}

async fn by_loop(number: u64) -> Result<u64, std::io::Error> {
    let mut attempt = 1;
    loop {
        match fallible(number).await {
            Err(_) if attempt < black_box(3) => {
                attempt += 1;
                tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            }
            returned => return returned,
        }
    }
}

#[derive(Clone)]
struct Settings {
    port: u16,
}

impl Settings {
    fn load() -> Self {
        Self { port: black_box(8080) }
    }
}

#[cached_singleton]
fn settings() -> Settings {
    Settings::load()
}

#[once(ttl_secs = 3600)]
fn settings_by_cached() -> Settings {
    Settings::load()
}

#[fm_lru(maxsize = 128)]
fn doubled(number: u64) -> u64 {
    number * 2
}

#[memoize(Capacity: 128)]
fn doubled_by_memoize(number: u64) -> u64 {
    number * 2
}

#[cached(max_size = 128)]
fn doubled_by_cached(number: u64) -> u64 {
    number * 2
}

fn calls<F: Future>(name: &'static str, call: impl Fn(u64) -> F + 'static) -> Contender {
    let (runtime, keys): (_, Vec<u64>) = (runtime(), (0..KEYS).collect());
    Contender::new(name, move |times| for_each(&runtime, &keys, times, &call))
}

fn reads(name: &'static str, read: impl Fn() -> u16 + 'static) -> Contender {
    Contender::new(name, move |times| {
        for _ in 0..times {
            black_box(read());
        }
    })
}

fn numbers(name: &'static str, call: fn(u64) -> u64) -> Contender {
    Contender::new(name, move |times| {
        for number in 0..times {
            black_box(call(black_box(number % KEYS)));
        }
    })
}
