//! The same promises over a real redis-server.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use memory_core::{FmCache, FmCacheManager, memorize};
use memory_redis::FmRedisBackend;

use crate::{
    Logs, Runs,
    support::{eventually, redis_server::RedisServer},
};

/// A process of its own: another cache with the same prefix.
async fn process(server: &RedisServer) -> FmCache {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let backend = FmRedisBackend::connect(server.url()).unwrap();
    let cache = FmCacheManager::builder(backend).prefix("app").build().unwrap();
    eventually(Duration::from_secs(5), "values are cached", || async {
        let key = format!("probe-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        cache.set(key.as_str(), 1_u32).await.unwrap();
        cache.get::<u32>(key.as_str()).await.unwrap().map(|_| ())
    })
    .await;
    cache
}

fn exists(server: &RedisServer, key: &str) -> bool {
    server.run(&[b"EXISTS", key.as_bytes()])
}

fn all_keys(server: &RedisServer) -> Vec<String> {
    let keys: Vec<String> = server.run(&[b"KEYS", b"*"]);
    keys.into_iter().filter(|key| !key.contains("probe-")).collect()
}

#[memorize(expire = 60, skip(runs))]
async fn user(id: u32, name: &str, runs: Runs) -> Result<Option<String>, String> {
    runs.begin();
    match id {
        0 => Err("zero".to_owned()),
        1 => Ok(None),
        _ => Ok(Some(format!("{name} {id}"))),
    }
}

#[tokio::test]
async fn what_one_process_computes_another_one_finds_under_the_exact_key() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let (here, there) = (process(&server).await, process(&server).await);
    let found = here.scope(user(7, "Ann: {é}", runs.clone())).await;
    assert_eq!(found, Ok(Some("Ann: {é} 7".to_owned())));
    here.settle().await;
    let key = here.scope(async { user::key(7, "Ann: {é}") }).await;
    assert!(exists(&server, key.as_str()), "{key}: {:?}", all_keys(&server));
    let life: i64 = server.run(&[b"PTTL", key.as_str().as_bytes()]);
    assert!((50_000..=60_000).contains(&life), "{life}");
    assert_eq!(there.scope(user(7, "Ann: {é}", runs.clone())).await, found);
    assert_eq!(runs.take(), 1);
    assert_eq!(there.scope(user::peek(7, "Ann: {é}")).await.unwrap(), Some(found));
    assert!(there.scope(async { user::invalidate(7, "Ann: {é}").await }).await.unwrap());
    assert_eq!(here.scope(user::peek(7, "Ann: {é}")).await.unwrap(), None);
    assert!(!exists(&server, key.as_str()));
    there.scope(async { user::put(7, "Ann: {é}", Ok(Some("put".to_owned()))).await }).await.unwrap();
    assert_eq!(here.scope(user(7, "Ann: {é}", runs.clone())).await, Ok(Some("put".to_owned())));
    assert_eq!(runs.take(), 0);
}

#[memorize(cache_none = 5, cache_err, skip(runs))]
async fn everything(id: u32, runs: Runs) -> Result<Option<u32>, String> {
    runs.begin();
    match id {
        0 => Err("zero".to_owned()),
        1 => Ok(None),
        id => Ok(Some(id)),
    }
}

#[tokio::test]
async fn err_and_none_do_not_reach_redis_unless_they_are_to() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let (here, there) = (process(&server).await, process(&server).await);
    for id in [0, 1] {
        here.scope(user(id, "x", runs.clone())).await.ok();
        here.scope(user(id, "x", runs.clone())).await.ok();
    }
    here.settle().await;
    assert_eq!(runs.take(), 4);
    assert!(all_keys(&server).iter().all(|key| !key.contains("::user:")), "{:?}", all_keys(&server));
    for id in [0, 1, 2] {
        let first = here.scope(everything(id, runs.clone())).await;
        here.settle().await;
        assert_eq!(there.scope(everything(id, runs.clone())).await, first);
    }
    assert_eq!(runs.take(), 3);
    let key = here.scope(async { everything::key(1) }).await;
    let life: i64 = server.run(&[b"PTTL", key.as_str().as_bytes()]);
    assert!((1..=5_000).contains(&life), "{life}");
}

#[derive(Clone)]
struct Handle(u32);

#[memorize(memory_only, skip(runs))]
async fn handle(id: u32, runs: Runs) -> Handle {
    runs.begin();
    Handle(id)
}

#[tokio::test]
async fn memory_only_never_goes_to_redis() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let cache = process(&server).await;
    let before = (all_keys(&server).len(), server.calls("mget"), server.calls("evalsha"));
    for _ in 0..3 {
        assert_eq!(cache.scope(handle(1, runs.clone())).await.0, 1);
    }
    cache.settle().await;
    assert_eq!((all_keys(&server).len(), server.calls("mget"), server.calls("evalsha")), before);
    assert_eq!(runs.take(), 3, "a cache with nothing but Redis keeps it nowhere");
}

#[memorize(skip(runs))]
async fn number(id: u32, runs: Runs) -> u32 {
    id + runs.begin()
}

#[tokio::test]
async fn bytes_that_are_damaged_or_of_another_key_are_a_miss_that_is_written_anew() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let cache = process(&server).await;
    let key = |id| cache.scope(async move { number::key(id).to_string() });
    assert_eq!(cache.scope(number(10, runs.clone())).await, 11);
    assert_eq!(cache.scope(number(20, runs.clone())).await, 22);
    cache.settle().await;
    let (one, two) = (key(10).await, key(20).await);
    let good: Vec<u8> = server.run(&[b"GET", one.as_bytes()]);
    let other: Vec<u8> = server.run(&[b"GET", two.as_bytes()]);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let truncated = &good[..good.len() - 1];
    for (expected, damage) in (13..).zip([b"" as &[u8], b"junk", &flipped, truncated, &other]) {
        let _: () = server.run(&[b"SET", one.as_bytes(), damage]);
        assert_eq!(cache.scope(number(10, runs.clone())).await, expected, "{damage:?}");
        cache.settle().await;
        assert_eq!(cache.scope(number(10, runs.clone())).await, expected, "written anew");
    }
    assert!(cache.stats().undecodable >= 4, "{:?}", cache.stats());
}

mod old {
    #[memory_core::memorize(name = "schema")]
    pub(super) async fn load(id: u32) -> (u32, String) {
        (id, "old".to_owned())
    }
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct New {
    id: u64,
    tags: Vec<String>,
}

#[tokio::test]
async fn a_value_of_an_older_schema_is_a_miss_and_never_a_wrong_value() {
    #[memorize(name = "app.schema")]
    async fn load(id: u32) -> New {
        New { id: id.into(), tags: vec!["new".to_owned()] }
    }

    let server = RedisServer::start();
    let (here, there) = (process(&server).await, process(&server).await);
    here.scope(old::load(1)).await;
    here.settle().await;
    let (from, to) = (here.scope(async { old::load::key(1) }).await, here.scope(async { load::key(1) }).await);
    let bytes: Vec<u8> = server.run(&[b"GET", from.as_str().as_bytes()]);
    let _: () = server.run(&[b"SET", to.as_str().as_bytes(), &bytes]);
    let fresh = New { id: 1, tags: vec!["new".to_owned()] };
    assert_eq!(there.scope(load(1)).await, fresh);
    there.settle().await;
    assert_eq!(here.scope(load::peek(1)).await.unwrap(), Some(fresh));
}

#[memorize(skip(runs))]
fn in_sync(id: u32, runs: Runs) -> u32 {
    id + runs.begin()
}

#[tokio::test]
async fn a_sync_function_runs_uncached_over_redis_with_one_error_log() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let cache = process(&server).await;
    let logs = Logs::capture();
    cache
        .scope(async {
            assert_eq!((in_sync(1, runs.clone()), in_sync(1, runs.clone()), in_sync(2, runs.clone())), (2, 3, 5));
            in_sync::put(1, 9).unwrap();
            assert_eq!(in_sync::refresh(1, runs.clone()), 5);
            assert_eq!(in_sync::peek(1).unwrap(), None);
            assert!(!in_sync::invalidate(1).unwrap());
        })
        .await;
    let errors = logs.lines("ERROR", "synchronous");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("in_sync"), "it names the function: {errors:?}");
}

#[memorize(namespace = "slow", skip(runs, gate))]
async fn slow(id: u32, runs: Runs, gate: std::sync::Arc<tokio::sync::Semaphore>) -> u32 {
    let run = runs.begin();
    gate.acquire().await.unwrap().forget();
    id + run
}

#[tokio::test]
async fn what_is_invalidated_in_another_process_during_a_run_is_not_stored() {
    let server = RedisServer::start();
    let (here, there) = (process(&server).await, process(&server).await);
    for how in ["key", "namespace", "clear", "put"] {
        let runs = Runs::default();
        let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        let call = tokio::spawn(here.scope(slow(10, runs.clone(), gate.clone())));
        while runs.0.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        there
            .scope(async {
                match how {
                    "key" => drop(slow::invalidate(10).strict().await.unwrap()),
                    "namespace" => drop(FmCacheManager::clear_namespace("slow").strict().await.unwrap()),
                    "clear" => drop(FmCacheManager::clear().strict().await.unwrap()),
                    _ => slow::put(10, 99).await.unwrap(),
                }
            })
            .await;
        gate.add_permits(1);
        assert_eq!(call.await.unwrap(), 11, "{how}");
        here.settle().await;
        let expected = (how == "put").then_some(99);
        assert_eq!(here.scope(slow::peek(10)).await.unwrap(), expected, "{how}");
        assert_eq!(there.scope(slow::peek(10)).await.unwrap(), expected, "{how}");
        there.clear().await.unwrap();
    }
}

#[tokio::test]
async fn many_callers_over_redis_are_one_run_and_a_dead_redis_costs_no_call() {
    let mut server = RedisServer::start();
    let runs = Runs::default();
    let cache = process(&server).await;
    let calls = |id| cache.scope(futures::future::join_all((0..1000).map(move |_| number(id, Runs::default()))));
    let _ = cache.scope(futures::future::join_all((0..1000).map(|_| number(1, runs.clone())))).await;
    assert_eq!(runs.take(), 1);
    server.kill();
    assert_eq!(calls(2).await, [3; 1000]);
    assert!(!cache.scope(async { number::invalidate(2).await }).await.unwrap());
    cache.scope(async { number::put(2, 1).await }).await.unwrap();
    let refused = cache.scope(async { number::invalidate(2).strict().await }).await.unwrap_err();
    assert!(refused.is_backend(), "{refused}");
}

#[memorize(expire = 60, batch = ids, cache_none, skip(runs))]
async fn squares(ids: Vec<u32>, runs: Runs) -> Result<HashMap<u32, u64>, String> {
    runs.begin();
    // Odd numbers do not come back.
    Ok(ids.into_iter().filter(|id| id % 2 == 0).map(|id| (id, u64::from(id).pow(2))).collect())
}

/// Nothing of it is stored; the script that stores would count as reads, too.
#[memorize(expire = 0, batch = ids)]
async fn unstored(ids: Vec<u32>) -> HashMap<u32, u32> {
    ids.into_iter().map(|id| (id, id)).collect()
}

/// How often the server has read from its sockets.
fn reads(server: &RedisServer) -> u64 {
    let statistics: String = server.run(&[b"INFO", b"stats"]);
    let count = statistics.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    count.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_batch_is_one_mget_and_one_pipeline() {
    let server = RedisServer::start();
    let runs = Runs::default();
    let (here, there) = (process(&server).await, process(&server).await);
    let call = |cache: &FmCache, ids: std::ops::Range<u32>| cache.scope(squares(ids.collect(), runs.clone()));
    // The scripts are known from here on.
    call(&here, 1_000..1_002).await.unwrap();
    here.settle().await;
    runs.take();

    let mgets = server.calls("mget");
    assert_eq!(here.scope(unstored((0..100).collect())).await.len(), 100);
    assert_eq!(server.calls("mget") - mgets, 1);

    let (scripts, read) = (server.calls("evalsha"), reads(&server));
    assert_eq!(call(&here, 0..100).await.unwrap().len(), 50);
    here.settle().await;
    assert_eq!(server.calls("evalsha") - scripts, 100);
    let read = reads(&server) - read;
    println!("{read} reads for 100 entries asked for and stored");
    assert!(read < 30, "{read} reads: 100 entries were not stored in one round trip");

    let scripts = server.calls("evalsha");
    assert_eq!(call(&there, 50..150).await.unwrap()[&98], 98 * 98);
    there.settle().await;
    assert_eq!((server.calls("evalsha") - scripts, runs.take()), (50, 2), "what another process has stored is found");
    let (mgets, scripts) = (server.calls("mget"), server.calls("evalsha"));
    assert_eq!(call(&here, 0..150).await.unwrap().len(), 75);
    assert_eq!((server.calls("mget") - mgets, server.calls("evalsha") - scripts, runs.take()), (1, 0, 0));

    let read = reads(&server);
    assert_eq!(here.scope(async { squares::invalidate_many(0..100).await }).await.unwrap(), 100);
    let read = reads(&server) - read;
    assert!(read < 30, "{read} reads: 100 entries were not removed together");
    assert_eq!(there.scope(squares::peek(2)).await.unwrap(), None);
    assert_eq!(there.scope(squares::peek(101)).await.unwrap(), Some(None));
}

#[tokio::test]
async fn a_batch_without_redis_is_what_its_body_says() {
    let mut server = RedisServer::start();
    let runs = Runs::default();
    let here = process(&server).await;
    here.scope(squares(vec![2, 4], runs.clone())).await.unwrap();
    server.kill();
    assert_eq!(here.scope(squares(vec![2, 4, 6], runs.clone())).await.unwrap().len(), 3);
    assert_eq!(here.scope(async { squares::invalidate_many([2, 4]).await }).await.unwrap(), 0, "held, and queued");
    assert!(here.scope(async { squares::invalidate_many([2]).strict().await }).await.unwrap_err().is_backend());
}
