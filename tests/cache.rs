//! Direct use of the cache in memory, and the engine's promises about runs.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use memory_core::{FOREVER, FmCache, FmCacheManager, FmError, FmMemoryBackend, memorize};
use tokio::{
    sync::{Notify, oneshot},
    time::{advance, sleep},
};

fn cache() -> FmCache {
    FmCacheManager::builder(FmMemoryBackend::new()).prefix("test").build().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_value_is_there_until_it_expires() {
    let cache = cache();
    cache.set("k", "v".to_owned()).expire(60).await.unwrap();
    advance(seconds(59)).await;
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("v"));
    advance(seconds(1)).await;
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_default_expiry_is_five_minutes_or_what_the_builder_says() {
    let five_minutes = cache();
    let short = FmCacheManager::builder(FmMemoryBackend::new()).prefix("short").expire(1.5).build().unwrap();
    five_minutes.set("k", 1).await.unwrap();
    short.set("k", 1).await.unwrap();
    advance(Duration::from_millis(1499)).await;
    assert_eq!(short.get::<i32>("k").await.unwrap(), Some(1));
    advance(Duration::from_millis(1)).await;
    assert_eq!(short.get::<i32>("k").await.unwrap(), None);
    advance(seconds(298)).await;
    assert_eq!(five_minutes.get::<i32>("k").await.unwrap(), Some(1));
    advance(seconds(1)).await;
    assert_eq!(five_minutes.get::<i32>("k").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn zero_is_not_stored_huge_saturates_and_nonsense_is_refused() {
    let cache = cache();
    cache.set("k", 1).await.unwrap();
    cache.set("k", 2).expire(0).await.unwrap();
    assert_eq!(cache.get::<i32>("k").await.unwrap(), None, "zero is not stored, and the old value is gone");
    cache.set("big", 1).expire(u64::MAX).await.unwrap();
    cache.set("bigger", 1).expire(Duration::MAX).await.unwrap();
    cache.set("forever", 1).expire(FOREVER).await.unwrap();
    cache.set("infinite", 1).expire(f64::INFINITY).await.unwrap();
    advance(seconds(3600 * 24 * 365 * 50)).await;
    for key in ["big", "bigger", "forever", "infinite"] {
        assert_eq!(cache.get::<i32>(key).await.unwrap(), Some(1), "{key}");
    }
    for error in [
        cache.set("k", 1).expire(-1).await.unwrap_err(),
        cache.set("k", 1).expire(f64::NAN).await.unwrap_err(),
        cache.set("k", 1).time_to_idle(-0.5).await.unwrap_err(),
        cache.set("k", 1).jitter(2.0).await.unwrap_err(),
    ] {
        assert!(error.is_config(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn time_to_idle_counts_from_the_last_read() {
    let cache = cache();
    cache.set("k", 1).expire(100).time_to_idle(10).await.unwrap();
    for _ in 0..9 {
        advance(seconds(9)).await;
        assert_eq!(cache.get::<i32>("k").await.unwrap(), Some(1));
    }
    advance(seconds(10)).await;
    assert_eq!(cache.get::<i32>("k").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_expiries_of_keys_set_together() {
    let cache = cache();
    cache.set_many((0..1000).map(|n| (n.to_string(), n))).expire(100).jitter(0.5).await.unwrap();
    let alive = async |at: u64| {
        advance(seconds(at)).await;
        let keys: Vec<String> = (0..1000).map(|n: i32| n.to_string()).collect();
        cache.get_many::<i32>(keys).await.unwrap().into_iter().flatten().count()
    };
    assert_eq!(alive(50).await, 1000);
    let half_way = alive(25).await;
    assert!((350..650).contains(&half_way), "{half_way}");
    assert_eq!(alive(26).await, 0);
}

#[tokio::test]
async fn many_keys_are_read_and_written_in_order() {
    let cache = cache();
    cache.set_many([("a", 1), ("b", 2)]).namespace("n").await.unwrap();
    assert_eq!(cache.get_many::<i32>(["b", "x", "a"]).namespace("n").await.unwrap(), [Some(2), None, Some(1)]);
    assert_eq!(cache.get_many::<i32>(["a"]).await.unwrap(), [None], "the namespace is part of the key");
}

#[tokio::test]
async fn many_keys_are_taken_in_every_spelling() {
    let cache = cache();
    let owned = vec!["a".to_owned(), "b".to_owned()];
    cache.set_many(HashMap::from([("a".to_owned(), 1)])).await.unwrap();
    cache.set_many(vec![("b", 2)]).await.unwrap();
    assert_eq!(cache.get_many::<i32>(&owned).await.unwrap(), [Some(1), Some(2)]);
    assert_eq!(cache.get_many::<i32>(owned).await.unwrap(), [Some(1), Some(2)]);
    assert_eq!(cache.get_many::<i32>(&["a", "b"]).await.unwrap(), [Some(1), Some(2)]);
    let inferred: Vec<Option<i32>> = cache.get_many(["a", "b"]).await.unwrap();
    assert_eq!(inferred, [Some(1), Some(2)]);
}

#[tokio::test]
async fn removing_says_whether_it_was_there() {
    let cache = cache();
    cache.set("k", 1).await.unwrap();
    assert!(cache.remove("k").await.unwrap());
    assert!(!cache.remove("k").await.unwrap());
    assert!(!cache.remove("k").strict().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn removing_an_expired_entry_says_that_nothing_was_there() {
    let cache = cache();
    cache.set("k", 1).expire(1).await.unwrap();
    advance(seconds(2)).await;
    assert!(!cache.remove("k").await.unwrap());
}

#[tokio::test]
async fn clear_and_clear_namespace_take_exactly_theirs() {
    let cache = cache();
    let other = FmCacheManager::builder(FmMemoryBackend::new()).prefix("test2").build().unwrap();
    other.set("k", 1).await.unwrap();
    cache.set("k", 1).await.unwrap();
    cache.set("k", 2).namespace("reports").await.unwrap();
    cache.set("l", 3).namespace("reports").await.unwrap();
    cache.set("l", 3).namespace("reports:x").await.unwrap();
    assert_eq!(cache.clear_namespace("reports").await.unwrap(), 2);
    assert_eq!(cache.get::<i32>("k").namespace("reports").await.unwrap(), None);
    assert_eq!(cache.get::<i32>("l").namespace("reports:x").await.unwrap(), Some(3));
    assert_eq!(cache.get::<i32>("k").await.unwrap(), Some(1));
    assert_eq!(cache.clear().await.unwrap(), 2);
    assert_eq!(cache.get::<i32>("k").await.unwrap(), None);
    assert_eq!(other.get::<i32>("k").await.unwrap(), Some(1));
}

#[tokio::test]
async fn keys_and_namespaces_never_run_into_each_other() {
    let cache = cache();
    cache.set("b:c", 1).namespace("a").await.unwrap();
    assert_eq!(cache.get::<i32>("c").namespace("a:b").await.unwrap(), None);
    assert_eq!(cache.get::<i32>("a:b:c").await.unwrap(), None);
    cache.set("", 2).await.unwrap();
    assert_eq!(cache.get::<i32>("").await.unwrap(), Some(2));
    assert_eq!(cache.get::<i32>("").namespace("").await.unwrap(), None);
}

#[tokio::test]
async fn another_type_than_stored_is_a_miss() {
    let cache = cache();
    cache.set("k", 1_i32).await.unwrap();
    assert_eq!(cache.get::<u64>("k").await.unwrap(), None);
    assert_eq!(cache.get::<i32>("k").await.unwrap(), Some(1), "and the value stays");
    assert_eq!(cache.stats().undecodable, 1);
}

#[tokio::test]
async fn every_call_is_counted_once() {
    let cache = cache();
    cache.set("text", "one".to_owned()).await.unwrap();
    let read = cache.get_many::<String>(["text", "absent"]).await.unwrap();
    assert_eq!(read, [Some("one".to_owned()), None]);
    assert_eq!((cache.stats().hits, cache.stats().misses), (1, 1));
    // The second look of a run finds the other type again, and says nothing new.
    cache.get_or_compute("text", || async { Ok::<i32, FmError>(1) }).await.unwrap();
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.undecodable), (1, 2, 1));
}

/// Can't be part of a key.
struct Unspeakable(u32);

impl serde::Serialize for Unspeakable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words"))
    }
}

#[memorize]
async fn spoken(argument: Unspeakable) -> u32 {
    argument.0
}

#[tokio::test]
async fn nothing_is_stored_under_half_a_key() {
    let cache = cache();
    cache
        .scope(async {
            assert_eq!((spoken(Unspeakable(1)).await, spoken(Unspeakable(2)).await), (1, 2));
            assert!(spoken::put(Unspeakable(1), 1).await.unwrap_err().is_config());
            assert_eq!(spoken::peek(Unspeakable(2)).await.unwrap(), None);
        })
        .await;
    assert_eq!(cache.stats().bypassed, 2);
}

#[tokio::test]
async fn an_empty_prefix_and_bad_defaults_are_refused() {
    let builder = || FmCacheManager::builder(FmMemoryBackend::new());
    for error in [
        builder().prefix("").build().unwrap_err(),
        builder().expire(-1).build().unwrap_err(),
        builder().jitter(1.1).build().unwrap_err(),
        FmCacheManager::init(FmMemoryBackend::new(), "").unwrap_err(),
    ] {
        assert!(error.is_config(), "{error}");
    }
}

#[tokio::test]
async fn memory_stays_within_its_bounds() {
    let entries =
        FmCacheManager::builder(FmMemoryBackend::builder().max_entries(100).build()).prefix("n").build().unwrap();
    let bytes =
        FmCacheManager::builder(FmMemoryBackend::builder().max_bytes(100_000).build()).prefix("b").build().unwrap();
    let weighed = FmMemoryBackend::builder().max_bytes(1000).weigher(|_: &String| 100).build();
    let weighed = FmCacheManager::builder(weighed).prefix("w").build().unwrap();
    for number in 0..2000 {
        entries.set(number.to_string(), number).await.unwrap();
        bytes.set(number.to_string(), "x".repeat(1000)).await.unwrap();
        weighed.set(number.to_string(), "x".repeat(1000)).await.unwrap();
    }
    let stats = entries.stats();
    assert!(stats.entries <= 100 && stats.entries > 50, "{stats:?}");
    assert!(stats.evictions >= 1900, "{stats:?}");
    let stats = bytes.stats();
    assert!(stats.entries <= 100 && stats.entries > 50, "{stats:?}");
    assert!((5..=10).contains(&weighed.stats().entries), "{:?}", weighed.stats());
}

#[tokio::test]
async fn scopes_keep_tests_apart_and_reach_into_runs() {
    let (mine, yours) = (cache(), cache());
    mine.scope(async {
        FmCacheManager::set("k", 1).await.unwrap();
        let value = FmCacheManager::get_or_compute("outer", || async {
            FmCacheManager::set("inner", 7).await?;
            Ok::<i32, FmError>(1)
        });
        value.await.unwrap();
    })
    .await;
    assert_eq!(mine.get::<i32>("inner").await.unwrap(), Some(7), "the run inherits the scope");
    assert_eq!(yours.get::<i32>("k").await.unwrap(), None);
}

#[tokio::test]
async fn a_call_uses_the_cache_of_the_scope_it_is_awaited_in() {
    let cache = cache();
    let write = FmCacheManager::set("late", 1);
    cache.scope(write).await.unwrap();
    assert_eq!(cache.scope(FmCacheManager::get::<i32>("late")).await.unwrap(), Some(1));
    assert!(cache.scope(FmCacheManager::remove("late")).await.unwrap());
}

/// How often something ran.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicU32>);

impl Runs {
    fn one_more(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_make_one_run() {
    let (cache, runs) = (cache(), Runs::default());
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, runs) = (cache.clone(), runs.clone());
            tokio::spawn(async move {
                let compute = move || async move {
                    sleep(seconds(1)).await;
                    Ok::<u32, FmError>(runs.one_more())
                };
                cache.get_or_compute("k", compute).expire(60).await
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), 1);
    }
    assert_eq!(runs.count(), 1);
    let stats = cache.stats();
    assert_eq!((stats.runs, stats.coalesced, stats.misses, stats.stores), (1, 999, 1000, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_every_waiter_with_its_source_and_is_not_stored() {
    #[derive(Debug, thiserror::Error)]
    #[error("the loader is down")]
    struct Down;
    let (cache, runs) = (cache(), Runs::default());
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (cache, runs) = (cache.clone(), runs.clone());
            tokio::spawn(async move {
                let compute = move || async move {
                    runs.one_more();
                    sleep(seconds(1)).await;
                    Err::<u32, Box<dyn Error + Send + Sync>>(Down.into())
                };
                cache.get_or_compute("k", compute).await
            })
        })
        .collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        let shared = error.downcast_ref::<FmError>().expect("an FmError");
        assert!(shared.is_run() && shared.source().is_some_and(<dyn Error>::is::<Down>), "{shared:?}");
    }
    assert_eq!(runs.count(), 1);
    let again = cache.get_or_compute("k", || async { Ok::<u32, anyhow::Error>(5) }).await.unwrap();
    assert_eq!(again, 5, "the next call runs again");
}

#[tokio::test(start_paused = true)]
async fn a_lone_callers_error_comes_as_it_is() {
    let error = cache().get_or_compute("k", || async { Err::<u32, anyhow::Error>(anyhow::anyhow!("mine")) }).await;
    assert_eq!(error.unwrap_err().to_string(), "mine");
}

#[tokio::test]
async fn the_run_goes_on_when_its_caller_goes_away() {
    let cache = cache();
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = {
        let (cache, started, go) = (cache.clone(), started.clone(), go.clone());
        tokio::spawn(async move {
            let compute = move || async move {
                started.notify_one();
                go.notified().await;
                Ok::<u32, FmError>(1)
            };
            cache.get_or_compute("k", compute).await
        })
    };
    started.notified().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    go.notify_one();
    cache.settle().await;
    assert_eq!(cache.get::<u32>("k").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_panic_reaches_its_caller_and_one_waiter_runs_again() {
    let (cache, runs) = (cache(), Runs::default());
    let gate = Arc::new(Notify::new());
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (cache, runs, gate) = (cache.clone(), runs.clone(), gate.clone());
            tokio::spawn(async move {
                let compute = move || async move {
                    if runs.one_more() == 1 {
                        gate.notified().await;
                        panic!("boom");
                    }
                    Ok::<u32, FmError>(2)
                };
                cache.get_or_compute("k", compute).await
            })
        })
        .collect();
    while cache.stats().misses < 10 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    let mut panics = 0;
    for call in calls {
        match call.await {
            Ok(value) => assert_eq!(value.unwrap(), 2),
            Err(error) => panics += u32::from(error.is_panic()),
        }
    }
    assert_eq!((panics, runs.count()), (1, 2));
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.hits, stats.failures), (10, 0, 1), "whoever takes over was counted already");
}

#[tokio::test]
async fn what_is_invalidated_during_a_run_is_never_stored() {
    for how in ["remove", "clear", "namespace", "set"] {
        let cache = cache();
        let (started, is_started) = oneshot::channel();
        let (go, may_go) = oneshot::channel::<()>();
        let call = {
            let cache = cache.clone();
            tokio::spawn(async move {
                let compute = move || async move {
                    started.send(()).unwrap();
                    may_go.await.unwrap();
                    Ok::<u32, FmError>(1)
                };
                cache.get_or_compute("k", compute).namespace("n").await
            })
        };
        is_started.await.unwrap();
        match how {
            "remove" => drop(cache.remove("k").namespace("n").await.unwrap()),
            "clear" => drop(cache.clear().await.unwrap()),
            "namespace" => drop(cache.clear_namespace("n").await.unwrap()),
            _ => cache.set("k", 9_u32).namespace("n").await.unwrap(),
        }
        // A call after the invalidation must not join the run that began before it.
        let next = cache.get_or_compute("k", || async { Ok::<u32, FmError>(2) }).namespace("n");
        let expected = if how == "set" { 9 } else { 2 };
        assert_eq!(next.await.unwrap(), expected, "{how}");
        go.send(()).unwrap();
        assert_eq!(call.await.unwrap().unwrap(), 1, "{how}: its own caller gets its value");
        cache.settle().await;
        assert_eq!(cache.get::<u32>("k").namespace("n").await.unwrap(), Some(expected), "{how}");
    }
}

#[tokio::test]
async fn a_computation_that_needs_itself_ends() {
    let (cache, runs) = (cache(), Runs::default());
    let (inner_cache, inner_runs) = (cache.clone(), runs.clone());
    let outer = cache.get_or_compute("k", move || async move {
        inner_runs.one_more();
        let inner = inner_cache.get_or_compute("k", || async { Ok::<u32, FmError>(1) }).await?;
        Ok::<u32, FmError>(inner + 1)
    });
    assert_eq!(outer.await.unwrap(), 2);
    assert_eq!(runs.count(), 1);
    assert_eq!(cache.stats().bypassed, 1);
}

#[tokio::test]
async fn two_computations_that_need_each_other_end() {
    fn compute(
        cache: FmCache,
        own: &'static str,
        other: &'static str,
        depth: u32,
    ) -> futures::future::BoxFuture<'static, u32> {
        Box::pin(async move {
            let inner = cache.clone();
            let run = cache.get_or_compute(own, move || async move {
                tokio::task::yield_now().await;
                if depth > 0 {
                    compute(inner, other, own, depth - 1).await;
                }
                Ok::<u32, FmError>(1)
            });
            run.await.unwrap()
        })
    }
    let cache = cache();
    let (a, b) = tokio::join!(compute(cache.clone(), "a", "b", 3), compute(cache.clone(), "b", "a", 3));
    assert_eq!((a, b), (1, 1));
}

#[tokio::test]
async fn closing_settles_and_then_runs_uncached() {
    let cache = cache();
    cache.set("k", 1).await.unwrap();
    cache.close().await;
    assert_eq!(cache.get::<i32>("k").await.unwrap(), None);
    assert_eq!(cache.get_or_compute("k", || async { Ok::<i32, FmError>(2) }).await.unwrap(), 2);
    assert_eq!(cache.get_or_compute("k", || async { Ok::<i32, FmError>(3) }).await.unwrap(), 3);
    assert_eq!(cache.stats().bypassed, 2);
}

#[test]
fn a_runtime_that_shuts_down_with_runs_in_flight_neither_hangs_nor_panics() {
    let cache = cache();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let never = cache.clone();
    runtime.block_on(async move {
        let call = tokio::spawn(async move {
            never.get_or_compute("k", || async { std::future::pending::<Result<u32, FmError>>().await }).await
        });
        while cache_misses(&cache) == 0 {
            tokio::task::yield_now().await;
        }
        drop(call);
    });
    drop(runtime);
}

fn cache_misses(cache: &FmCache) -> u64 {
    cache.stats().misses
}
