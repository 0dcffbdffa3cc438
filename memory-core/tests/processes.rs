//! Processes that share a store: what the simulation has found, one story each, and what its parts do.

use std::{future::IntoFuture, time::Duration};

use memory_core::{
    FmCache, FmError, FmMemoryBackend,
    test_util::{Partition, SimNode, SimRedis},
};
use tokio::{join, time::sleep};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn steady(node: &SimNode, milliseconds: u64) {
    node.latency(ms(milliseconds)..ms(milliseconds));
}

fn two_tiers(node: &SimNode) -> FmCache {
    FmCache::builder(FmMemoryBackend::new()).l2(node.clone()).l1_trust(1).build().unwrap()
}

fn one_tier(node: &SimNode) -> FmCache {
    FmCache::builder(node.clone()).build().unwrap()
}

async fn compute(cache: &FmCache, value: u32) -> u32 {
    let call = cache.get_or_compute("k", move || async move { Ok::<_, FmError>(value) }).namespace("n").tags(["t"]);
    call.await.unwrap()
}

/// One of the ways to invalidate `k`.
async fn invalidate(cache: &FmCache, way: u32) {
    match way {
        0 => cache.remove("k").namespace("n").await.map(drop).unwrap(),
        1 => cache.clear_namespace("n").await.map(drop).unwrap(),
        2 => cache.invalidate_tag("t").await.unwrap(),
        _ => cache.clear().await.map(drop).unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_while_the_store_is_told_of_an_invalidation_is_not_kept() {
    for (way, in_memory) in [(0, true), (0, false), (1, true), (1, false), (2, true), (2, false), (3, true), (3, false)]
    {
        let node = SimRedis::new(1).node();
        let cache = if in_memory { two_tiers(&node) } else { one_tier(&node) };
        // The first call begins to listen.
        assert_eq!(cache.get::<u32>("other").await.unwrap(), None);
        sleep(ms(100)).await;
        assert_eq!(compute(&cache, 1).await, 1);
        steady(&node, 20);
        let read_meanwhile = async {
            sleep(ms(1)).await;
            // Quicker than the invalidation: it finds what was there before.
            steady(&node, 2);
            compute(&cache, 2).await
        };
        let ((), read) = join!(invalidate(&cache, way), read_meanwhile);
        assert_eq!(read, 1, "way {way}, in memory: {in_memory}");
        assert_eq!(compute(&cache, 3).await, 3, "way {way}, in memory: {in_memory}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_first_call_of_a_process_computes_is_kept() {
    let node = SimRedis::new(1).node();
    let cache = two_tiers(&node);
    let slow = cache.get_or_compute("k", || async {
        // Meanwhile the process begins to listen.
        sleep(ms(100)).await;
        Ok::<_, FmError>(1)
    });
    assert_eq!(slow.await.unwrap(), 1);
    assert_eq!(cache.get::<i32>("k").await.unwrap(), Some(1));
    assert_eq!(cache.stats().outdated, 0);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_got_no_answer_overwrites_nothing_newer() {
    let redis = SimRedis::new(1);
    let (node, other) = (redis.node(), redis.node());
    let (cache, elsewhere) = (one_tier(&node), one_tier(&other));
    assert_eq!(cache.get::<i32>("k").await.unwrap(), None);
    steady(&node, 200);
    // It arrives 100 ms after its caller has given up.
    assert!(cache.set("k", 1).strict().await.unwrap_err().is_backend());
    steady(&node, 1);
    cache.clear().await.unwrap();
    sleep(ms(1000)).await;
    for cache in [&cache, &elsewhere] {
        assert_eq!(cache.get::<i32>("k").await.unwrap(), None);
    }
    cache.set("k", 2).strict().await.unwrap();
    assert_eq!(elsewhere.get::<i32>("k").await.unwrap(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_set_whose_caller_goes_away_overwrites_nothing_newer() {
    let node = SimRedis::new(1).node();
    let cache = one_tier(&node);
    assert_eq!(cache.get::<i32>("k").await.unwrap(), None);
    steady(&node, 200);
    let dropped = tokio::time::timeout(ms(10), cache.set("k", 1).into_future()).await;
    assert!(dropped.is_err());
    steady(&node, 1);
    sleep(ms(1000)).await;
    assert_eq!(cache.get::<i32>("k").await.unwrap(), None, "nobody knows that it was set: it was taken back");
}

#[tokio::test(start_paused = true)]
async fn what_the_store_missed_is_replayed_and_what_a_crashed_process_queued_is_lost() {
    let redis = SimRedis::new(1);
    for crashes in [false, true] {
        let (node, other) = (redis.node(), redis.node());
        let (cache, elsewhere) = (two_tiers(&node), two_tiers(&other));
        cache.set("k", 1).strict().await.unwrap();
        assert_eq!(elsewhere.get::<i32>("k").await.unwrap(), Some(1));
        node.partition(Partition::Both);
        assert!(cache.remove("k").strict().await.unwrap_err().is_backend());
        assert_eq!(cache.get::<i32>("k").await.unwrap(), None, "here it holds at once");
        assert_eq!(elsewhere.get::<i32>("k").await.unwrap(), Some(1));
        if crashes {
            node.crash();
        }
        node.partition(Partition::None);
        sleep(ms(2000)).await;
        assert_eq!(elsewhere.get::<i32>("k").await.unwrap(), crashes.then_some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn copies_are_given_up_in_time_with_a_bus_and_without() {
    let redis = SimRedis::new(1);
    let (node, other) = (redis.node(), redis.node());
    let (cache, elsewhere) = (two_tiers(&node), two_tiers(&other));
    cache.set("k", 1).await.unwrap();
    assert_eq!(elsewhere.get::<i32>("k").await.unwrap(), Some(1));
    cache.set("k", 2).await.unwrap();
    sleep(ms(100)).await;
    assert_eq!(elsewhere.get::<i32>("k").await.unwrap(), Some(2), "it was told");

    other.partition(Partition::Both);
    cache.set("k", 3).await.unwrap();
    sleep(ms(200)).await;
    assert_eq!(elsewhere.get::<i32>("k").await.unwrap(), Some(2), "it hears nothing");
    sleep(ms(900)).await;
    assert_eq!(elsewhere.get::<i32>("k").await.unwrap(), None, "and trusts nothing for longer than it was told");
    other.partition(Partition::None);
    sleep(ms(2000)).await;
    assert_eq!(elsewhere.get::<i32>("k").await.unwrap(), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_never_reaches_the_store_works_without_it() {
    let node = SimRedis::new(1).node();
    node.partition(Partition::Requests);
    let cache = two_tiers(&node);
    let began = tokio::time::Instant::now();
    assert_eq!(compute(&cache, 1).await, 1);
    assert!(began.elapsed() <= ms(150));
    assert!(cache.get::<i32>("other").strict().await.unwrap_err().is_backend());
}

#[tokio::test(start_paused = true)]
async fn clocks_that_are_off_shift_the_expiry_by_as_much_and_no_more() {
    let redis = SimRedis::new(1);
    let (node, other) = (redis.node(), redis.node());
    other.clock_error(50);
    let (cache, ahead) = (one_tier(&node), one_tier(&other));
    cache.set("k", 1).expire(ms(1000)).await.unwrap();
    sleep(ms(900)).await;
    assert_eq!(ahead.get::<i32>("k").await.unwrap(), Some(1));
    sleep(ms(70)).await;
    assert_eq!(ahead.get::<i32>("k").await.unwrap(), None);
    assert_eq!(cache.get::<i32>("k").await.unwrap(), Some(1));
}
