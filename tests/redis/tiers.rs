//! Two levels: the memory of each process over one Redis.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use memory_core::{FmCache, FmCacheManager, FmError, FmMemoryBackend, FmOutcome, FmTier, memorize};
use memory_redis::FmRedisBackend;

use crate::{
    HEALED, PATIENCE,
    support::{
        eventually,
        proxy::{Mode, Proxy},
        redis_server::RedisServer,
        timed,
    },
};

/// How long it may take until the memory of others follows.
const FOLLOWED: Duration = Duration::from_millis(100);
/// For how long memory is trusted here while nothing is heard.
const TRUST: Duration = Duration::from_secs(1);

/// A process with memory of its own, once it stores, finds, and hears of others' changes.
async fn process(url: &str) -> FmCache {
    let cache = build(url);
    connected(&cache).await;
    cache
}

fn build(url: &str) -> FmCache {
    let redis = FmRedisBackend::connect(url).unwrap();
    FmCacheManager::builder(FmMemoryBackend::new()).l2(redis).l1_trust(TRUST).prefix("app").build().unwrap()
}

/// Waits until Redis is used, and until what is stored stays in memory for longer than it would be trusted unheard.
async fn connected(cache: &FmCache) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = &*format!("probe-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let set = Mutex::new(Instant::now());
    eventually(2 * HEALED, "memory is kept coherent", || async {
        let (found, calls) = FmCache::observe(async { cache.get::<i32>(name).await }).await;
        if found.unwrap().is_none() || calls[0].tier != Some(FmTier::Memory) {
            cache.set(name, 1).expire(60).await.unwrap();
            *set.lock().unwrap() = Instant::now();
        }
        (set.lock().unwrap().elapsed() > TRUST + TRUST / 4).then_some(())
    })
    .await;
}

async fn computed(cache: &FmCache, key: &str, value: u32) -> u32 {
    let run = cache.get_or_compute(key.to_owned(), move || async move { Ok::<u32, FmError>(value) });
    run.namespace("n").tags(["t"]).expire(60).await.unwrap()
}

async fn found(cache: &FmCache, key: &str) -> Option<u32> {
    cache.get::<u32>(key).namespace("n").await.unwrap()
}

/// The tier that answers a read of `key`.
async fn tier(cache: &FmCache, key: &str) -> Option<FmTier> {
    let (_, calls) = FmCache::observe(async { found(cache, key).await }).await;
    calls[0].tier
}

#[tokio::test]
async fn what_one_process_computes_comes_into_the_memory_of_another() {
    let server = RedisServer::start();
    let (here, there) = (process(&server.url()).await, process(&server.url()).await);
    assert_eq!(computed(&here, "k", 1).await, 1);
    here.settle().await;
    assert_eq!(tier(&here, "k").await, Some(FmTier::Memory), "it stays in the memory that made it");
    let before = there.stats();
    assert_eq!(computed(&there, "k", 2).await, 1);
    // The word of the store may come after the first read, and takes that back.
    eventually(Duration::from_secs(2), "Redis is not asked again", || async {
        let reads = server.calls("mget");
        for _ in 0..10 {
            assert_eq!(computed(&there, "k", 2).await, 1);
        }
        (server.calls("mget") == reads).then_some(())
    })
    .await;
    let stats = there.stats();
    let (remote, all) = (stats.remote_hits - before.remote_hits, stats.hits - before.hits);
    assert!(remote >= 1 && all >= remote + 10 && stats.runs == 0, "{stats:?}");
    here.set("j", 5_u32).namespace("n").await.unwrap();
    assert_eq!(tier(&there, "j").await, Some(FmTier::Remote));
    // A direct read keeps what it finds, too.
    in_memory(&there, "j").await;
}

#[tokio::test]
async fn the_memory_of_others_follows_every_change_within_100_ms() {
    let server = RedisServer::start();
    let (here, there) = (process(&server.url()).await, process(&server.url()).await);
    for round in 0..40 {
        let how = ["set", "remove", "namespace", "tag", "clear"][round % 5];
        let _ = here.remove("k").namespace("n").await;
        assert_eq!(computed(&here, "k", 1).await, 1);
        here.settle().await;
        in_memory(&there, "k").await;
        match how {
            "set" => here.set("k", 9_u32).namespace("n").await.unwrap(),
            "remove" => drop(here.remove("k").namespace("n").await.unwrap()),
            "namespace" => drop(here.clear_namespace("n").await.unwrap()),
            "tag" => here.invalidate_tag("t").await.unwrap(),
            _ => drop(here.clear().await.unwrap()),
        }
        let expected = (how == "set").then_some(9);
        let (took, _) = timed(eventually_found(&there, "k", expected)).await;
        assert!(took < FOLLOWED, "{how}: {took:?}");
    }
}

async fn eventually_found(cache: &FmCache, key: &str, expected: Option<u32>) -> Option<u32> {
    let check = || async { Some(found(cache, key).await).filter(|found| *found == expected) };
    eventually(HEALED, "the change is seen", check).await.1
}

#[tokio::test]
async fn what_is_invalidated_elsewhere_during_a_run_is_stored_nowhere() {
    let server = RedisServer::start();
    let (here, there) = (process(&server.url()).await, process(&server.url()).await);
    for how in ["set", "remove", "namespace", "tag", "clear"] {
        let invalidator = there.clone();
        let run = here.get_or_compute("k", move || async move {
            match how {
                "set" => invalidator.set("k", 9_u32).namespace("n").await?,
                "remove" => drop(invalidator.remove("k").namespace("n").await?),
                "namespace" => drop(invalidator.clear_namespace("n").await?),
                "tag" => invalidator.invalidate_tag("t").await?,
                _ => drop(invalidator.clear().await?),
            }
            Ok::<u32, FmError>(1)
        });
        assert_eq!(run.namespace("n").tags(["t"]).await.unwrap(), 1, "{how}: the run's caller gets its value");
        here.settle().await;
        let expected = (how == "set").then_some(9);
        assert_eq!(found(&here, "k").await, expected, "{how}");
        assert_eq!(found(&there, "k").await, expected, "{how}");
        there.clear().await.unwrap();
        assert_eq!(eventually_found(&here, "k", None).await, None);
    }
}

/// Waits until a value is in the memory of a process.
async fn in_memory(cache: &FmCache, key: &str) {
    let check = || async { (tier(cache, key).await == Some(FmTier::Memory)).then_some(()) };
    eventually(HEALED, "the value is in memory", check).await;
}

/// `there` is behind a proxy that can be made to swallow everything.
async fn deaf_process(server: &RedisServer) -> (Proxy, FmCache) {
    let proxy = Proxy::to(server.port());
    let cache = process(&proxy.url()).await;
    (proxy, cache)
}

#[tokio::test]
async fn memory_that_hears_nothing_is_trusted_for_a_bounded_time_and_resyncs() {
    let server = RedisServer::start();
    let here = process(&server.url()).await;
    let (proxy, there) = deaf_process(&server).await;
    assert_eq!(computed(&here, "k", 1).await, 1);
    here.settle().await;
    in_memory(&there, "k").await;
    proxy.all(Mode::Blackhole);
    let deaf = Instant::now();
    here.remove("k").namespace("n").await.unwrap();
    assert_eq!(found(&there, "k").await, Some(1), "nobody has told it");
    let (_, ()) = eventually(HEALED, "memory is not trusted any more", || async {
        found(&there, "k").await.is_none().then_some(())
    })
    .await;
    // A heartbeat before the silence may have been the last thing heard.
    assert!(deaf.elapsed() < TRUST + Duration::from_millis(500), "{:?}", deaf.elapsed());
    assert_eq!(computed(&there, "j", 2).await, 2, "calls go on");
    here.set("j", 3_u32).namespace("n").await.unwrap();
    proxy.reset();
    proxy.all(Mode::Pass);
    let (took, _) = timed(eventually_found(&there, "j", Some(3))).await;
    assert!(took < HEALED, "{took:?}");
    proxy.release();
}

#[tokio::test]
async fn an_invalidation_that_redis_missed_reaches_everybody_when_it_is_back() {
    let server = RedisServer::start();
    let here = process(&server.url()).await;
    let (proxy, there) = deaf_process(&server).await;
    for how in ["remove", "namespace", "tag", "clear", "set"] {
        assert_eq!(computed(&here, "k", 1).await, 1, "{how}");
        here.settle().await;
        assert_eq!(eventually_found(&there, "k", Some(1)).await, Some(1));
        proxy.refuse(true);
        proxy.reset();
        eventually(HEALED, "Redis is out of reach", || async {
            there.invalidate_tag("other").strict().await.err().filter(FmError::is_backend)
        })
        .await;
        match how {
            "set" => there.set("k", 9_u32).namespace("n").await.unwrap(),
            "remove" => drop(there.remove("k").namespace("n").await.unwrap()),
            "namespace" => drop(there.clear_namespace("n").await.unwrap()),
            "tag" => there.invalidate_tag("t").await.unwrap(),
            _ => drop(there.clear().await.unwrap()),
        }
        assert_eq!(found(&there, "k").await, (how == "set").then_some(9), "{how}: it holds here at once");
        assert_eq!(found(&here, "k").await, Some(1), "{how}: nobody else can know");
        proxy.refuse(false);
        let (took, _) = timed(eventually_found(&here, "k", None)).await;
        assert!(took < HEALED, "{how}: {took:?}");
        connected(&there).await;
        there.clear().await.unwrap();
        eventually_found(&here, "k", None).await;
    }
}

#[tokio::test]
async fn no_call_fails_or_waits_while_redis_is_dead_and_memory_still_helps() {
    let mut server = RedisServer::start();
    let cache = process(&server.url()).await;
    assert_eq!(computed(&cache, "k", 1).await, 1);
    cache.settle().await;
    server.kill();
    let mut times = Vec::new();
    for number in 0..300_u32 {
        let (time, value) = timed(computed(&cache, &format!("k{}", number % 3), number % 3)).await;
        assert_eq!(value, number % 3);
        times.push(time);
    }
    times.sort();
    assert!(times[times.len() - 1] < PATIENCE, "{:?}", times[times.len() - 1]);
    assert!(times[times.len() * 99 / 100] < Duration::from_millis(5), "{:?}", times[times.len() * 99 / 100]);
    let hits = cache.stats().hits;
    assert!(hits > 200, "memory answers while it is trusted: {hits} hits");
    server.restart();
    connected(&cache).await;
    assert_eq!(computed(&cache, "new", 7).await, 7);
    cache.settle().await;
    assert!(server.run::<bool>(&[b"EXISTS", b"app:n/new"]), "Redis is used again");
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[memorize(expire = 10, stale_while_revalidate = 600, name = "shared")]
async fn shared(id: u32) -> u32 {
    tokio::task::yield_now().await;
    id + RUNS.fetch_add(1, Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn a_refresh_runs_once_in_all_processes_and_all_get_its_value() {
    let server = RedisServer::start();
    let remote = |_: usize| {
        let redis = FmRedisBackend::connect(server.url()).unwrap();
        FmCacheManager::builder(redis).prefix("app").build().unwrap()
    };
    let mut processes: Vec<FmCache> = (0..3).map(remote).collect();
    processes.extend((0..3).map(|_| build(&server.url())));
    for cache in &processes {
        eventually(2 * HEALED, "values are shared", || async { (cache.scope(shared(10)).await == 10).then_some(()) })
            .await;
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
    tokio::time::advance(Duration::from_secs(11)).await;
    for cache in &processes {
        let value = cache.scope(shared(10)).await;
        assert!((10..=11).contains(&value), "{value}");
    }
    for cache in &processes {
        cache.settle().await;
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 2, "one process refreshes");
    for cache in &processes {
        eventually(HEALED, "the new value is seen", || async { (cache.scope(shared(10)).await == 11).then_some(()) })
            .await;
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);
}

#[memorize(expire = 60, memory_only, skip(runs))]
async fn stays_here(runs: Arc<AtomicU32>) -> Arc<str> {
    runs.fetch_add(1, Ordering::SeqCst);
    "here".into()
}

#[tokio::test]
async fn a_value_for_memory_only_never_goes_to_redis_and_needs_nobody_s_word() {
    let mut server = RedisServer::start();
    let (cache, runs) = (process(&server.url()).await, Arc::new(AtomicU32::new(0)));
    cache.scope(stays_here(runs.clone())).await;
    let keys: Vec<String> = server.run(&[b"KEYS", b"*stays_here*"]);
    assert_eq!(keys, Vec::<String>::new());
    server.kill();
    tokio::time::sleep(TRUST + Duration::from_millis(100)).await;
    cache.scope(stays_here(runs.clone())).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn every_call_can_be_asked_what_it_was() {
    let server = RedisServer::start();
    let (here, there) = (process(&server.url()).await, process(&server.url()).await);
    let (_, calls) = FmCache::observe(async { computed(&here, "k", 1).await }).await;
    assert_eq!((calls[0].outcome, calls[0].tier, calls[0].age), (FmOutcome::Computed, None, None));
    here.settle().await;
    let (_, mut calls) = FmCache::observe(async { computed(&there, "k", 2).await }).await;
    // What is heard late of the write takes the first copy back.
    in_memory(&there, "k").await;
    calls.extend(FmCache::observe(async { computed(&there, "k", 2).await }).await.1);
    let seen: Vec<_> = calls.iter().map(|call| (call.outcome, call.tier)).collect();
    assert_eq!(seen, [(FmOutcome::Hit, Some(FmTier::Remote)), (FmOutcome::Hit, Some(FmTier::Memory))]);
    assert!(calls.iter().all(|call| call.age.is_some() && call.left.unwrap() > Duration::from_secs(55)));
}

#[test]
fn two_levels_are_memory_over_a_shared_store_and_nothing_else() {
    let redis = || FmRedisBackend::connect("redis://127.0.0.1:1").unwrap();
    let over_memory = FmCacheManager::builder(FmMemoryBackend::new()).l2(FmMemoryBackend::new()).build();
    let over_redis = FmCacheManager::builder(redis()).l2(redis()).build();
    for refused in [over_memory, over_redis] {
        let error = refused.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(".l2("), "{error}");
    }
}
