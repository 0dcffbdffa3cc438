//! How a service is tested against a cache that fails: with faults from a seed, and with processes that share a store.
//!
//! `cargo run --example chaos` runs what follows as a program; in a crate, each function would be a
//! `#[tokio::test(start_paused = true)]`, with the feature `test-util` of `memory-core` as a dev-dependency.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use memory_core::{
    FmCache, FmError, FmMemoryBackend, memorize,
    test_util::{ChaosBackend, Partition, SimRedis},
};
use tokio::time::sleep;

/// The "database" of the service.
static PRICE: AtomicU32 = AtomicU32::new(1);

#[memorize(expire = 3600, namespace = "prices")]
async fn price(article: u32) -> Result<u32, FmError> {
    sleep(Duration::from_millis(20)).await;
    Ok(article * PRICE.load(Ordering::Relaxed))
}

/// Whatever happens to the cache, no call fails, none is answered with another's value, and none takes much longer.
async fn a_service_does_not_depend_on_its_cache() {
    let store = SimRedis::new(1).node();
    let chaos = ChaosBackend::new(store, 1)
        .faults(0.2)
        .lost_replies(0.1)
        .delays(0.2, Duration::from_millis(50))
        .zombies(0.1, Duration::from_secs(1));
    let handle = chaos.handle();
    let cache = FmCache::builder(chaos).build().expect("settings that can work");
    let test = async {
        for call in 0..1000 {
            let began = tokio::time::Instant::now();
            assert_eq!(price(call % 50).await.expect("no call fails because of the cache"), call % 50);
            assert!(began.elapsed() < Duration::from_millis(400));
        }
    };
    cache.scope(test).await;
    let (counts, stats) = (handle.counts(), cache.stats());
    println!("   {} faults, {} hits, {} runs", counts.faults + counts.lost_replies, stats.hits, stats.runs);
    assert!(stats.hits > 500);
}

/// Two processes keep copies in memory. One is cut off and invalidates: its own calls are right at once, the other's once the
/// store has heard of it.
async fn an_invalidation_outlives_an_outage() {
    let redis = SimRedis::new(1);
    let (here, there) = (redis.node(), redis.node());
    let process = |node| FmCache::builder(FmMemoryBackend::new()).l2(node).build().expect("settings that can work");
    let (a, b) = (process(here.clone()), process(there));
    let price_in = async |cache: &FmCache| cache.scope(price(7)).await.expect("it can't fail");
    assert_eq!((price_in(&a).await, price_in(&b).await), (7, 7));

    here.partition(Partition::Both);
    PRICE.store(2, Ordering::Relaxed);
    let missed = a.scope(async { price::invalidate(7).strict().await }).await;
    assert!(missed.is_err_and(|error| error.is_backend()), "who is strict hears of it");
    assert_eq!((price_in(&a).await, price_in(&b).await), (14, 7));

    here.partition(Partition::None);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((price_in(&a).await, price_in(&b).await), (14, 14), "it was replayed, and told");
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!("1. A thousand calls through faults, delays and late writes:");
    a_service_does_not_depend_on_its_cache().await;
    println!("2. Two processes, one of them cut off while it invalidates");
    an_invalidation_outlives_an_outage().await;
    println!("All as promised.");
}
