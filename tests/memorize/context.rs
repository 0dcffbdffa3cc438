//! Which cache a call uses, and what is counted.

use std::time::Duration;

use memory_core::{FmCacheManager, FmMemoryBackend, memorize};
use tokio::time::{advance, sleep};

use crate::{Logs, Runs, alone, cache, seconds};

#[memorize(skip(runs))]
async fn outer(id: u32, runs: Runs) -> u32 {
    sleep(Duration::from_millis(10)).await;
    inner(id, runs).await
}

#[memorize(skip(runs))]
async fn inner(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

#[memorize(skip(runs))]
fn inner_in_sync(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

#[tokio::test(start_paused = true)]
async fn bodies_inherit_the_scope_of_their_caller() {
    let runs = Runs::default();
    let (one, two) = (cache(), cache());
    for cache in [&one, &two] {
        assert_eq!(cache.scope(outer(1, runs.clone())).await, 1);
        cache.scope(async { inner_in_sync(1, runs.clone()) }).await;
    }
    assert_eq!(runs.take(), 4);
    assert_eq!((one.stats().entries, two.stats().entries), (3, 3));
    assert_eq!(two.scope(inner::peek(1)).await.unwrap(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn scopes_nest_and_end() {
    let runs = Runs::default();
    let (one, two) = (cache(), cache());
    one.scope(async {
        inner(1, runs.clone()).await;
        two.scope(inner(2, runs.clone())).await;
        assert_eq!((inner::peek(1).await.unwrap(), inner::peek(2).await.unwrap()), (Some(1), None));
        FmCacheManager::set("direct", 1).await.unwrap();
    })
    .await;
    assert_eq!(one.get::<i32>("direct").await.unwrap(), Some(1));
    assert_eq!(two.scope(inner::peek(2)).await.unwrap(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn everything_is_counted_per_function() {
    #[memorize(name = "counted", expire = 10, skip(runs))]
    async fn counted(id: u32, runs: Runs) -> Result<u32, String> {
        runs.begin();
        sleep(seconds(1)).await;
        if id == 0 { Err("zero".to_owned()) } else { Ok(id) }
    }

    let runs = Runs::default();
    alone(async {
        let _ = tokio::join!(counted(1, runs.clone()), counted(1, runs.clone()), counted(1, runs.clone()));
        let _ = counted(1, runs.clone()).await;
        let _ = counted(0, runs.clone()).await;
        inner(5, runs.clone()).await;
        let stats = FmCacheManager::stats();
        let own = &stats.functions["counted"];
        assert_eq!((own.hits, own.misses, own.coalesced), (1, 4, 2));
        assert_eq!((own.runs, own.failures, own.stores), (2, 1, 1));
        assert_eq!((stats.hits, stats.misses, stats.runs), (1, 5, 3), "and in all");
        advance(seconds(10)).await;
        let _ = counted(1, runs.clone()).await;
        assert_eq!(FmCacheManager::stats().functions["counted"].misses, 5, "an expired entry is a miss");
    })
    .await;
}

/// The only test of this program that uses the global cache: whatever else runs beside it has a scope.
#[tokio::test(start_paused = true)]
async fn never_initialised_it_works_on_a_default_in_memory_and_says_so_once_and_init_replaces_it() {
    let logs = Logs::capture();
    let runs = Runs::default();
    assert_eq!((inner(1, runs.clone()).await, inner(1, runs.clone()).await), (1, 1));
    assert_eq!(runs.take(), 1);
    assert_eq!(inner_in_sync(1, runs.clone()), 1);
    assert!(inner::key(1).as_str().starts_with("fm-cache:"), "{}", inner::key(1));
    assert_eq!(logs.lines("WARN", "no cache was initialised").len(), 1);

    FmCacheManager::init(FmMemoryBackend::new(), "app-cache").unwrap();
    assert!(inner::key(1).as_str().starts_with("app-cache:"), "{}", inner::key(1));
    assert_eq!(inner::peek(1).await.unwrap(), None);
    let handle = FmCacheManager::init(FmMemoryBackend::new(), "second").unwrap();
    inner(1, runs.clone()).await;
    assert_eq!(handle.stats().stores, 1, "a second call replaces the first");
    assert!(FmCacheManager::init(FmMemoryBackend::new(), "").is_err());
    assert_eq!(logs.lines("WARN", "no cache was initialised").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_closed_cache_runs_bodies_uncached() {
    let runs = Runs::default();
    let cache = cache();
    cache.scope(inner(1, runs.clone())).await;
    cache.close().await;
    assert_eq!(cache.scope(inner(1, runs.clone())).await, 1);
    assert_eq!(cache.scope(async { inner_in_sync(1, runs.clone()) }).await, 1);
    assert_eq!(runs.take(), 3);
}
