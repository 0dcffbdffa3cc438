//! Requests by Zipf's law, on two threads.

use std::{
    hint::black_box,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use cached::macros::concurrent_cached;
use memory_core::{FmCache, FmCacheManager, FmMemoryBackend, memorize};
use quick_cache::sync::Cache as QuickCache;
use tokio::runtime::Runtime;

use crate::{
    clock::Deadline,
    report::{Goal, Row},
    rounds::{Contender, Effort, OURS, Samples, take_turns},
    support::{LIFE, ROOM, THREADS, foyer, init, moka, on_threads, runtime},
    zipf::requests,
};

const EXPONENT: f64 = 0.99;

pub(crate) fn all_fit(effort: Effort) -> Vec<Row> {
    // Twice the room, so that no shard of anybody runs full.
    init(2 * ROOM);
    let traffic = Traffic::new(ROOM, 1 << 20);
    let contenders = vec![
        traffic.contender(OURS, None, doubled),
        quick_cache(traffic, "by_hand", 2 * ROOM, None),
        traffic.contender("cached", None, doubled_by_cached),
        moka_get(traffic, 2 * ROOM, None),
        foyer_get(traffic, 2 * ROOM, None),
    ];
    let goals = vec![Goal::at_least(3.0, &["cached"]), Goal::at_least(0.7, &["by_hand"])];
    let rates = rates(take_turns(contenders, effort));
    vec![Row::new("zipf_all_fit", "Zipf 0.99, 100k keys, all fit, 2 threads", "M/s", &rates, goals)]
}

const TIGHT_ROOM: usize = 10_000;

pub(crate) fn tight(effort: Effort) -> Vec<Row> {
    let traffic = Traffic::new(1_000_000, if effort.is_quick { 1 << 20 } else { 1 << 22 });
    let contenders = vec![
        traffic.contender(OURS, Some(0), tight_in_place),
        traffic.contender("ours_detached", Some(1), tight_detached),
        quick_cache(traffic, "quick_cache", TIGHT_ROOM, Some(2)),
        moka_get(traffic, TIGHT_ROOM, Some(3)),
        foyer_get(traffic, TIGHT_ROOM, Some(4)),
        traffic.contender("cached", Some(5), tight_by_cached),
    ];
    let names: Vec<&'static str> = contenders.iter().map(|contender| contender.name).collect();
    let samples = take_turns(contenders, effort);
    let rate = Row::new(
        "zipf_tight",
        "Zipf 0.99, 1M keys, room for 10k, 2 threads; ours is in_place, ours_detached with a task a miss",
        "M/s",
        &rates(samples),
        vec![Goal::at_least(0.6, &["quick_cache"])],
    );
    let ratios: Vec<Samples> = names
        .iter()
        .zip(&HIT_RATIOS)
        .map(|(name, ratio)| Samples::new(name, vec![f64::from_bits(ratio.load(Relaxed))]))
        .collect();
    let goals = vec![Goal::at_least_less(0.002, &["moka", "quick_cache", "foyer"])];
    vec![rate, Row::new("zipf_tight_hit_ratio", "the same: how many requests were hits", "ratio", &ratios, goals)]
}

/// Bodies run, by contender.
static RUNS: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];
/// The bits of the ratio in the last turn.
static HIT_RATIOS: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];

/// The same requests for everybody.
#[derive(Clone, Copy)]
struct Traffic {
    requests: [&'static [u64]; THREADS],
}

impl Traffic {
    fn new(keys: usize, count: usize) -> Self {
        let requests = std::array::from_fn(|thread| &*requests(keys, EXPONENT, count, thread as u64).leak());
        Self { requests }
    }

    /// With the number of a counter of runs, also notes the hit ratio: of the last turn, when the cache has long been full.
    fn contender<F: Future>(
        self,
        name: &'static str,
        runs: Option<usize>,
        call: impl Fn(u64) -> F + Sync + 'static,
    ) -> Contender {
        let runtimes: [Runtime; THREADS] = std::array::from_fn(|_| runtime());
        // Each turn goes on where the last one ended.
        let at: [AtomicU64; THREADS] = Default::default();
        let turn = move |times| {
            on_threads(times, |thread, times| {
                let from = at[thread].fetch_add(times, Relaxed) as usize;
                let requests = self.requests[thread].iter().cycle();
                runtimes[thread].block_on(async {
                    for key in requests.skip(from % self.requests[thread].len()).take(times as usize) {
                        black_box(call(*key).await);
                    }
                });
            });
        };
        // Full before anything is timed.
        turn(1 << 21);
        let Some(number) = runs else { return Contender::new(name, turn) };
        Contender::new(name, move |times| {
            let before = RUNS[number].load(Relaxed);
            turn(times);
            let hits = 1.0 - (RUNS[number].load(Relaxed) - before) as f64 / times as f64;
            HIT_RATIOS[number].store(hits.to_bits(), Relaxed);
        })
    }
}

/// Millions in a second.
fn rates(samples: Vec<Samples>) -> Vec<Samples> {
    samples.into_iter().map(|samples| samples.map(|nanoseconds| 1e3 / nanoseconds)).collect()
}

/// Twice the number, counted where somebody asks.
fn body(number: u64, runs: Option<usize>) -> u64 {
    if let Some(runs) = runs {
        RUNS[runs].fetch_add(1, Relaxed);
    }
    number.wrapping_mul(2)
}

#[memorize(expire = 60)]
async fn doubled(number: u64) -> u64 {
    number.wrapping_mul(2)
}

/// A cache of its own for each way to run.
static TIGHT: [OnceLock<FmCache>; 2] = [const { OnceLock::new() }; 2];

fn tight_cache(number: usize) -> &'static FmCache {
    TIGHT[number].get_or_init(|| {
        let backend = FmMemoryBackend::builder().max_entries(TIGHT_ROOM as u64).build();
        FmCacheManager::builder(backend).prefix("tight").build().expect("a prefix that is not empty")
    })
}

#[memorize(expire = 60, in_place, cache = tight_cache(0))]
async fn tight_in_place(number: u64) -> u64 {
    RUNS[0].fetch_add(1, Relaxed);
    number.wrapping_mul(2)
}

#[memorize(expire = 60, cache = tight_cache(1))]
async fn tight_detached(number: u64) -> u64 {
    RUNS[1].fetch_add(1, Relaxed);
    number.wrapping_mul(2)
}

#[concurrent_cached(ttl_secs = 60, max_size = 200_000)]
async fn doubled_by_cached(number: u64) -> u64 {
    number.wrapping_mul(2)
}

#[concurrent_cached(ttl_secs = 60, max_size = 10_000)]
async fn tight_by_cached(number: u64) -> u64 {
    RUNS[5].fetch_add(1, Relaxed);
    number.wrapping_mul(2)
}

fn quick_cache(traffic: Traffic, name: &'static str, room: usize, runs: Option<usize>) -> Contender {
    let cache: &QuickCache<u64, (u64, Deadline)> = Box::leak(Box::new(QuickCache::new(room)));
    traffic.contender(name, runs, move |key| async move {
        match cache.get(&key) {
            Some((value, deadline)) if deadline.is_ahead() => value,
            _ => {
                let value = body(key, runs);
                cache.insert(key, (value, Deadline::after(LIFE)));
                value
            }
        }
    })
}

fn moka_get(traffic: Traffic, room: usize, runs: Option<usize>) -> Contender {
    let cache: &moka::future::Cache<u64, u64> = Box::leak(Box::new(moka(room)));
    traffic.contender("moka", runs, move |key| async move {
        match cache.get(&key).await {
            Some(value) => value,
            None => {
                let value = body(key, runs);
                cache.insert(key, value).await;
                value
            }
        }
    })
}

fn foyer_get(traffic: Traffic, room: usize, runs: Option<usize>) -> Contender {
    let cache: &foyer::Cache<u64, (u64, Deadline)> = Box::leak(Box::new(foyer(room)));
    traffic.contender("foyer", runs, move |key| async move {
        match cache.get(&key) {
            Some(entry) if entry.value().1.is_ahead() => entry.value().0,
            _ => {
                let value = body(key, runs);
                cache.insert(key, (value, Deadline::after(LIFE)));
                value
            }
        }
    })
}
