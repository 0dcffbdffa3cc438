//! A hit in memory: an async function of a `u64` that returns one, 256 hot keys, one thread, 60 s to live.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use memory_core::{FmCacheManager, FmMemoryBackend, memorize};
use tokio::runtime::{Builder, Runtime};

use super::Measurement;
use crate::{clock, rounds::Contender};

const KEYS: u64 = 256;
const ROOM: usize = 100_000;
const LIFE: Duration = Duration::from_secs(60);

pub(crate) const MEASUREMENT: Measurement =
    Measurement { name: "hit", about: "async fn(u64) -> u64 from memory, 256 hot keys, 1 thread", contenders };

fn contenders() -> Vec<Contender> {
    vec![memorized(), moka_future(), moka_sync(), quick_cache_fine(), quick_cache_coarse()]
}

#[memorize(expire = 60)]
async fn doubled(number: u64) -> u64 {
    number * 2
}

fn memorized() -> Contender {
    let cache = FmCacheManager::init(FmMemoryBackend::new(), "benches");
    let runtime = runtime();
    Contender::new("#[memorize(expire = 60)]", move |times| {
        black_box(&cache);
        runtime.block_on(async {
            for key in keys(times) {
                black_box(doubled(black_box(key)).await);
            }
        });
    })
}

fn moka_future() -> Contender {
    let cache = moka::future::Cache::builder().max_capacity(ROOM as u64).time_to_live(LIFE).build();
    let runtime = runtime();
    Contender::new("moka, future: get", move |times| {
        runtime.block_on(async {
            for key in keys(times) {
                let value = match cache.get(&black_box(key)).await {
                    Some(value) => value,
                    None => {
                        cache.insert(key, key * 2).await;
                        key * 2
                    }
                };
                black_box(value);
            }
        });
    })
}

fn moka_sync() -> Contender {
    let cache = moka::sync::Cache::builder().max_capacity(ROOM as u64).time_to_live(LIFE).build();
    Contender::new("moka, sync: get", move |times| {
        for key in keys(times) {
            black_box(cache.get(&black_box(key)).unwrap_or_else(|| {
                cache.insert(key, key * 2);
                key * 2
            }));
        }
    })
}

fn quick_cache_fine() -> Contender {
    let cache = quick_cache::sync::Cache::<u64, (u64, Instant)>::new(ROOM);
    Contender::new("quick_cache + deadline, by hand", move |times| {
        for key in keys(times) {
            let stored = cache.get(&black_box(key)).filter(|(_, deadline)| Instant::now() < *deadline);
            let (value, _) = stored.unwrap_or_else(|| {
                let fresh = (key * 2, Instant::now() + LIFE);
                cache.insert(key, fresh);
                fresh
            });
            black_box(value);
        }
    })
}

fn quick_cache_coarse() -> Contender {
    clock::start();
    let cache = quick_cache::sync::Cache::<u64, (u64, u64)>::new(ROOM);
    Contender::new("quick_cache + deadline, by a coarse clock", move |times| {
        for key in keys(times) {
            let stored = cache.get(&black_box(key)).filter(|(_, deadline)| clock::coarse() < *deadline);
            let (value, _) = stored.unwrap_or_else(|| {
                let fresh = (key * 2, clock::coarse() + LIFE.as_millis() as u64);
                cache.insert(key, fresh);
                fresh
            });
            black_box(value);
        }
    })
}

fn keys(times: u64) -> impl Iterator<Item = u64> {
    (0..times).map(|number| number % KEYS)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime without I/O")
}
