//! A miss: distinct keys, a body that returns at once, room for 10,000.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
};

use cached::macros::concurrent_cached;
use memory_core::memorize;
use quick_cache::sync::Cache as QuickCache;

use crate::{
    clock::Deadline,
    report::{Goal, Row},
    rounds::{Contender, Effort, OURS, take_turns},
    support::{LIFE, foyer, init, moka, runtime},
};

const ROOM: usize = 10_000;

pub(crate) fn in_place(effort: Effort) -> Vec<Row> {
    init(ROOM);
    let contenders =
        vec![distinct(OURS, doubled_in_place), quick_cache(), by_hand(), distinct("cached", doubled_by_cached)];
    let goals = vec![Goal::at_most(3.0, &["quick_cache"])];
    row("miss_in_place", "#[memorize(in_place)], quick_cache get_or_insert_async", contenders, effort, goals)
}

pub(crate) fn detached(effort: Effort) -> Vec<Row> {
    init(ROOM);
    let contenders = vec![distinct(OURS, doubled), moka_try_get_with(), foyer_get_or_fetch()];
    let goals = vec![Goal::at_most(1.0, &["moka"])];
    row("miss_detached", "#[memorize] with its task, moka try_get_with, foyer get_or_fetch", contenders, effort, goals)
}

fn row(name: &str, about: &str, contenders: Vec<Contender>, effort: Effort, goals: Vec<Goal>) -> Vec<Row> {
    let about = format!("a miss of distinct u64, a body that returns at once, room for 10,000: {about}");
    vec![Row::new(name, &about, "ns", &take_turns(contenders, effort.of_one_thread()), goals)]
}

#[memorize(expire = 60, in_place)]
async fn doubled_in_place(number: u64) -> u64 {
    number * 2
}

#[memorize(expire = 60)]
async fn doubled(number: u64) -> u64 {
    number * 2
}

#[concurrent_cached(ttl_secs = 60, max_size = 10_000)]
async fn doubled_by_cached(number: u64) -> u64 {
    number * 2
}

/// A call for a key that was never asked for before.
fn distinct<F: Future>(name: &'static str, call: impl Fn(u64) -> F + 'static) -> Contender {
    let runtime = runtime();
    let next = AtomicU64::new(0);
    Contender::new(name, move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                std::hint::black_box(call(next.fetch_add(1, Ordering::Relaxed)).await);
            }
        });
    })
}

fn quick_cache() -> Contender {
    let cache: &QuickCache<u64, (u64, Deadline)> = Box::leak(Box::new(QuickCache::new(ROOM)));
    distinct("quick_cache", move |key| async move {
        cache.get_or_insert_async(&key, async { Ok::<_, Infallible>((key * 2, Deadline::after(LIFE))) }).await
    })
}

fn by_hand() -> Contender {
    let cache: &QuickCache<u64, (u64, Deadline)> = Box::leak(Box::new(QuickCache::new(ROOM)));
    distinct("by_hand", move |key| async move {
        match cache.get(&key) {
            Some((value, deadline)) if deadline.is_ahead() => value,
            _ => {
                cache.insert(key, (key * 2, Deadline::after(LIFE)));
                key * 2
            }
        }
    })
}

fn moka_try_get_with() -> Contender {
    let cache: &moka::future::Cache<u64, u64> = Box::leak(Box::new(moka(ROOM)));
    distinct("moka", move |key| cache.try_get_with(key, async move { Ok::<_, Infallible>(key * 2) }))
}

fn foyer_get_or_fetch() -> Contender {
    let cache: &foyer::Cache<u64, (u64, Deadline)> = Box::leak(Box::new(foyer(ROOM)));
    distinct("foyer", move |key| async move {
        let fetched = cache.get_or_fetch(&key, || async move { Ok::<_, Infallible>((key * 2, Deadline::after(LIFE))) });
        fetched.await.map(|entry| entry.value().0).ok()
    })
}
