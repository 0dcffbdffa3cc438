//! A function of many ids: a hundred at a time, in memory and in Redis.

use std::{
    collections::HashMap,
    convert::Infallible,
    hint::black_box,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use memory_core::{FmCacheManager, memorize};
use memory_redis::FmRedisBackend;
use quick_cache::sync::Cache as QuickCache;
use redis::AsyncCommands;

use super::redis::{Server, median};
use crate::{
    clock::Deadline,
    report::{Goal, Row},
    rounds::{Contender, Effort, OURS, Samples, take_turns},
    support::{LIFE, ROOM, init, runtime},
};

/// Ids in a batch.
const BATCH: u64 = 100;

#[memorize(expire = 60, batch = ids)]
async fn doubled(ids: Vec<u64>) -> Result<HashMap<u64, u64>, Infallible> {
    Ok(ids.into_iter().map(|id| (id, id * 2)).collect())
}

#[memorize(expire = 60)]
async fn doubled_alone(id: u64) -> u64 {
    id * 2
}

#[memorize(expire = 3600, batch = ids)]
async fn texts(ids: Vec<u64>) -> Result<HashMap<u64, String>, Infallible> {
    Ok(ids.into_iter().map(|id| (id, "x".repeat(100))).collect())
}

pub(crate) fn hit(effort: Effort) -> Vec<Row> {
    init(ROOM);
    let ids = || 0..BATCH;
    let one_by_one = Contender::new("one_by_one", |times| {
        runtime().block_on(async {
            for _ in 0..times {
                let mut all = HashMap::with_capacity(BATCH as usize);
                for id in 0..BATCH {
                    all.insert(id, doubled_alone(black_box(id)).await);
                }
                black_box(all);
            }
        });
    });
    let contenders = vec![ours(ids), by_hand(ids), one_by_one];
    row("batch_hit", "100 ids that are in memory, 1 thread; for each id", contenders, effort)
}

pub(crate) fn miss(effort: Effort) -> Vec<Row> {
    init(ROOM);
    let fresh = || {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let first = NEXT.fetch_add(BATCH, Relaxed);
        first..first + BATCH
    };
    let contenders = vec![ours(fresh), by_hand(fresh)];
    row("batch_miss", "100 ids that are not, one run of the body, 1 thread; for each id", contenders, effort)
}

/// Microseconds of a batch in Redis: the median of many, round by round.
pub(crate) fn in_redis(effort: Effort) -> Vec<Row> {
    const CALLS: usize = 200;
    let Some(server) = Server::start() else { return Vec::new() };
    FmCacheManager::init(FmRedisBackend::connect(&server.url).expect("a url"), "benches").expect("a prefix");
    let samples = runtime().block_on(async {
        let client = redis::Client::open(&*server.url).expect("a url");
        let raw = client.get_multiplexed_async_connection().await.expect("a connection");
        let names: Vec<String> = (0..BATCH).map(|id| format!("raw:{id}")).collect();
        let items: Vec<(&String, String)> = names.iter().map(|name| (name, "x".repeat(100))).collect();
        raw.clone().mset::<_, _, ()>(&items).await.expect("stored");
        texts((0..BATCH).collect()).await.expect("texts");
        FmCacheManager::settle().await;
        let mut samples = [const { Vec::new() }; 2];
        for _ in 0..effort.rounds {
            let ours = async || texts((0..BATCH).collect()).await.expect("texts").len();
            let mget = async || raw.clone().mget::<_, Vec<String>>(&names).await.expect("texts").len();
            samples[0].push(median(CALLS, BATCH as usize, ours).await);
            samples[1].push(median(CALLS, BATCH as usize, mget).await);
        }
        samples
    });
    let samples: Vec<Samples> =
        [OURS, "raw_mget"].into_iter().zip(samples).map(|(name, samples)| Samples::new(name, samples)).collect();
    vec![Row::new("batch_redis", "100 ids whose texts of 100 B are in Redis, p50", "µs", &samples, Vec::new())]
}

fn row(name: &str, about: &str, contenders: Vec<Contender>, effort: Effort) -> Vec<Row> {
    let samples = take_turns(contenders, effort.of_one_thread()).into_iter();
    let of_one: Vec<Samples> = samples.map(|samples| samples.map(|time| time / BATCH as f64)).collect();
    vec![Row::new(name, about, "ns", &of_one, Vec::<Goal>::new())]
}

fn ours(ids: impl Fn() -> Range<u64> + 'static) -> Contender {
    let runtime = runtime();
    Contender::new(OURS, move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                black_box(doubled(black_box(ids().collect())).await.expect("numbers"));
            }
        });
    })
}

/// Looks for each in a quick_cache, and asks for all absent ones at once.
fn by_hand(ids: impl Fn() -> Range<u64> + 'static) -> Contender {
    let (runtime, cache) = (runtime(), QuickCache::<u64, (u64, Deadline)>::new(ROOM));
    let call = async move |ids: Vec<u64>| {
        let (mut found, mut absent) = (HashMap::with_capacity(ids.len()), Vec::new());
        for id in ids {
            match cache.get(&id) {
                Some((value, deadline)) if deadline.is_ahead() => drop(found.insert(id, value)),
                _ => absent.push(id),
            }
        }
        if !absent.is_empty() {
            let made: HashMap<u64, u64> = absent.into_iter().map(|id| (id, id * 2)).collect();
            for (id, value) in made {
                cache.insert(id, (value, Deadline::after(LIFE)));
                found.insert(id, value);
            }
        }
        found
    };
    Contender::new("by_hand", move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                black_box(call(black_box(ids().collect())).await);
            }
        });
    })
}
