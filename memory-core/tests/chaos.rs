//! A backend that fails as its seed says.

use std::time::Duration;

use memory_core::{
    FmCache, FmError, FmMemoryBackend,
    test_util::{ChaosBackend, ChaosCounts, SimRedis},
};

/// The calls of a service that does not know what its cache goes through: each gets its own value.
async fn serve(cache: &FmCache, calls: u32) {
    for call in 0..calls {
        let key = call % 7;
        let value = cache.get_or_compute(key.to_string(), move || async move { Ok::<_, FmError>(key) }).await;
        assert_eq!(value.unwrap(), key);
        if call % 5 == 0 {
            cache.remove(key.to_string()).await.unwrap();
        }
    }
}

async fn chaos_in_front_of_a_shared_store(seed: u64) -> (ChaosCounts, u64) {
    let chaos = ChaosBackend::new(SimRedis::new(seed).node(), seed)
        .faults(0.2)
        .lost_replies(0.1)
        .delays(0.2, Duration::from_millis(80))
        .zombies(0.2, Duration::from_secs(1));
    let handle = chaos.handle();
    let cache = FmCache::builder(chaos).build().unwrap();
    serve(&cache, 1000).await;
    (handle.counts(), cache.stats().runs)
}

#[tokio::test(start_paused = true)]
async fn no_call_fails_because_its_shared_store_does_and_a_seed_is_one_story() {
    let (counts, runs) = chaos_in_front_of_a_shared_store(1).await;
    for happened in [counts.faults, counts.lost_replies, counts.delays, counts.zombies] {
        assert!(happened > 10, "{counts:?}");
    }
    assert!(runs < 1000, "it is a cache all the same");
    assert_eq!(chaos_in_front_of_a_shared_store(1).await, (counts, runs));
    assert_ne!(chaos_in_front_of_a_shared_store(2).await.0, counts);
}

#[tokio::test(start_paused = true)]
async fn entries_in_memory_go_and_are_made_again() {
    let chaos = ChaosBackend::new(FmMemoryBackend::new(), 1).evictions(0.3);
    let handle = chaos.handle();
    let cache = FmCache::builder(chaos).build().unwrap();
    serve(&cache, 200).await;
    assert!(handle.counts().evictions > 10 && cache.stats().evictions > 10);
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_made_to_fail_is_replayed_before_the_next_read() {
    let chaos = ChaosBackend::new(SimRedis::new(1).node(), 1).faults(1.0);
    let handle = chaos.handle();
    handle.stop();
    let cache = FmCache::builder(chaos).build().unwrap();
    for clear in [false, true] {
        cache.set("k", 1).namespace("n").strict().await.unwrap();
        handle.start();
        let missed = match clear {
            true => cache.clear_namespace("n").strict().await.map(drop),
            false => cache.remove("k").namespace("n").strict().await.map(drop),
        };
        assert!(missed.unwrap_err().is_backend());
        handle.stop();
        assert_eq!(cache.get::<i32>("k").namespace("n").await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_arrives_late_brings_nothing_back() {
    let chaos = ChaosBackend::new(SimRedis::new(1).node(), 1).zombies(1.0, Duration::from_secs(1));
    let handle = chaos.handle();
    let cache = FmCache::builder(chaos).build().unwrap();
    for key in ["a", "b"] {
        cache.get_or_compute(key, || async { Ok::<_, FmError>(1) }).await.unwrap();
    }
    assert_eq!(handle.counts().zombies, 2);
    cache.remove("a").strict().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(cache.get_many::<i32>(["a", "b"]).await.unwrap(), [None, Some(1)]);
}
