//! Calls on a cache over Redis: what a user sees, on good days and bad ones.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use memory_core::{FmCache, FmCacheManager, FmError, memorize};
use memory_redis::FmRedisBackend;

use crate::{
    HEALED, PATIENCE,
    support::{
        eventually,
        proxy::{Mode, Proxy},
        redis_server::RedisServer,
        timed,
    },
    traffic::{Control, SKIPPED, p99},
};

fn process(url: &str) -> FmCache {
    FmCacheManager::builder(FmRedisBackend::connect(url).unwrap()).prefix("app").build().unwrap()
}

pub(crate) async fn computed(cache: &FmCache, key: &str, value: u32) -> u32 {
    cache.get_or_compute(key.to_owned(), move || async move { Ok::<u32, FmError>(value) }).expire(60).await.unwrap()
}

/// Waits until `cache` stores and finds values again.
pub(crate) async fn caches(cache: &FmCache) -> Duration {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (took, ()) = eventually(HEALED, "values are cached", || async {
        let key = format!("probe-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        cache.set(key.as_str(), 1_u32).await.unwrap();
        cache.get::<u32>(key.as_str()).await.unwrap().map(|_| ())
    })
    .await;
    took
}

#[tokio::test]
async fn what_one_process_computes_another_one_finds() {
    let server = RedisServer::start();
    let (here, there) = (process(&server.url()), process(&server.url()));
    caches(&here).await;
    caches(&there).await;
    assert_eq!(computed(&here, "k", 1).await, 1);
    assert_eq!(computed(&there, "k", 2).await, 1);
    assert_eq!((there.stats().runs, there.stats().hits > 0), (0, true));
    let text = "app:k";
    let life: i64 = server.run(&[b"PTTL", text.as_bytes()]);
    assert!((55_000..=60_000).contains(&life), "{life}");
    assert!(there.remove("k").await.unwrap());
    assert_eq!(here.get::<u32>("k").await.unwrap(), None);
    here.set_many([("a", 1_u32), ("b", 2)]).namespace("n").await.unwrap();
    assert_eq!(there.get_many::<u32>(["b", "x", "a"]).namespace("n").await.unwrap(), [Some(2), None, Some(1)]);
    assert_eq!(there.clear_namespace("n").await.unwrap(), 2);
    assert_eq!(here.get::<u32>("a").namespace("n").await.unwrap(), None);
}

#[tokio::test]
async fn an_invalidation_in_another_process_during_a_run_is_never_lost() {
    let server = RedisServer::start();
    let (here, there) = (process(&server.url()), process(&server.url()));
    caches(&here).await;
    caches(&there).await;
    for how in ["remove", "clear", "namespace", "set"] {
        let invalidator = there.clone();
        let run = here
            .get_or_compute("k", move || async move {
                match how {
                    "remove" => drop(invalidator.remove("k").namespace("n").await?),
                    "clear" => drop(invalidator.clear().await?),
                    "namespace" => drop(invalidator.clear_namespace("n").await?),
                    _ => invalidator.set("k", 9_u32).namespace("n").await?,
                }
                Ok::<u32, FmError>(1)
            })
            .namespace("n");
        assert_eq!(run.await.unwrap(), 1, "{how}: the run's own caller gets its value");
        let expected = (how == "set").then_some(9);
        assert_eq!(here.get::<u32>("k").namespace("n").await.unwrap(), expected, "{how}");
        assert_eq!(there.get::<u32>("k").namespace("n").await.unwrap(), expected, "{how}");
        there.clear().await.unwrap();
    }
    assert_eq!(here.stats().outdated, 4);
}

#[tokio::test]
async fn a_service_boots_without_redis_and_caches_once_it_comes() {
    let mut server = RedisServer::absent();
    let start = Instant::now();
    let cache = process(&server.url());
    assert!(start.elapsed() < Duration::from_secs(1));
    for number in 0..20 {
        let (time, value) = timed(computed(&cache, "k", number)).await;
        assert_eq!(value, number, "nothing is cached, nothing fails");
        assert!(time < PATIENCE, "a call took {time:?}");
    }
    server.restart();
    let took = caches(&cache).await;
    assert!(took < HEALED, "{took:?}");
}

#[tokio::test]
async fn no_call_fails_while_redis_is_dead_or_hangs_and_caching_comes_back() {
    for hang in [false, true] {
        let mut server = RedisServer::start();
        let cache = process(&server.url());
        caches(&cache).await;
        computed(&cache, "k", 1).await;
        if hang {
            server.hang()
        } else {
            server.kill()
        }
        let mut control = Control::start().await;
        let start = Instant::now();
        let (mut late, mut controls) = (Vec::new(), Vec::new());
        let mut number = 0;
        while start.elapsed() < Duration::from_secs(3) {
            number += 1;
            let key = format!("k-{number}");
            let (time, value) = timed(computed(&cache, &key, number)).await;
            assert_eq!(value, number);
            assert!(time < PATIENCE, "hang: {hang}: call {number} took {time:?}");
            if start.elapsed() > Duration::from_millis(1500) {
                late.push(time);
                controls.push(control.round_trip().await);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(late.len() >= 100, "only {} calls", late.len());
        let (p99, control) = (p99(late.into_iter()), p99(controls.into_iter()));
        assert!(
            p99 <= SKIPPED + control,
            "hang: {hang}: 99 of 100 calls take {p99:?}, and this machine alone {control:?}"
        );
        if hang {
            server.go_on()
        } else {
            server.restart()
        }
        let took = caches(&cache).await;
        assert!(took < HEALED, "hang: {hang}: {took:?}");
        assert!(cache.stats().errors > 0);
    }
}

#[memorize(expire = 60)]
#[allow(dead_code, reason = "only its companions are called")]
async fn doubled(number: u64) -> u64 {
    number * 2
}

#[tokio::test]
async fn strict_calls_tell_of_an_outage_and_others_do_not() {
    let mut server = RedisServer::start();
    let cache = process(&server.url());
    caches(&cache).await;
    cache.set("k", 1_u32).await.unwrap();
    server.kill();
    for error in [
        cache.get::<u32>("k").strict().await.unwrap_err(),
        cache.set("k", 2_u32).strict().await.unwrap_err(),
        cache.remove("k").strict().await.unwrap_err(),
        cache.clear().strict().await.unwrap_err(),
        cache.clear_namespace("n").strict().await.unwrap_err(),
        doubled::on(&cache).put(1, 2).strict().await.unwrap_err(),
        doubled::on(&cache).invalidate(1).strict().await.unwrap_err(),
    ] {
        assert!(error.is_backend(), "{error}");
    }
    assert_eq!(cache.get::<u32>("k").await.unwrap(), None);
    cache.set("k", 3_u32).await.unwrap();
    doubled::on(&cache).put(1, 2).await.unwrap();
    assert!(!cache.remove("k").await.unwrap());
    assert_eq!(cache.clear().await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_overwritten_or_removed_during_an_outage_does_not_come_back() {
    let server = RedisServer::start();
    let cache = process(&server.url());
    caches(&cache).await;
    cache.set("overwritten", 1_u32).await.unwrap();
    cache.set("removed", 1_u32).await.unwrap();
    cache.set("kept", 1_u32).await.unwrap();
    server.hang();
    cache.set("overwritten", 2_u32).await.unwrap();
    cache.remove("removed").await.unwrap();
    server.go_on();
    caches(&cache).await;
    // The overwriting value may have been lost, but the old one must not be seen again.
    assert_ne!(cache.get::<u32>("overwritten").await.unwrap(), Some(1));
    assert_eq!(cache.get::<u32>("removed").await.unwrap(), None);
    assert_eq!(cache.get::<u32>("kept").await.unwrap(), Some(1));
}

#[tokio::test]
async fn damaged_and_foreign_values_are_misses_that_are_written_anew() {
    let server = RedisServer::start();
    let cache = process(&server.url());
    caches(&cache).await;
    for (number, damage) in [&b"not ours"[..], b"", b"\xFAfm\x01 truncated"].into_iter().enumerate() {
        let key = format!("k{number}");
        computed(&cache, &key, 1).await;
        let _: () = server.run(&[b"SET", format!("app:{key}").as_bytes(), damage]);
        assert_eq!(computed(&cache, &key, 2).await, 2, "{damage:?}");
        assert_eq!(computed(&cache, &key, 3).await, 2, "written anew");
    }
    let other: Vec<u8> = server.run(&[b"GET", b"app:k0"]);
    computed(&cache, "victim", 7).await;
    let _: () = server.run(&[b"SET", b"app:victim", &other]);
    assert_eq!(cache.get::<u32>("victim").await.unwrap(), None, "the value of another key is never answered");
    cache.set("typed", "text".to_owned()).await.unwrap();
    assert_eq!(cache.get::<u32>("typed").await.unwrap(), None);
    assert_eq!(cache.stats().undecodable, 5, "{:?}", cache.stats());
}

#[tokio::test]
async fn a_value_over_the_payload_limit_is_returned_and_counted_but_not_stored() {
    let server = RedisServer::start();
    let backend = FmRedisBackend::connect(server.url()).unwrap().payload_limit(1000);
    let cache = FmCacheManager::builder(backend).prefix("app").build().unwrap();
    caches(&cache).await;
    let long = || async { Ok::<String, FmError>("x".repeat(2000)) };
    assert_eq!(cache.get_or_compute("k", long).await.unwrap().len(), 2000);
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
    assert_eq!(cache.stats().too_large, 1);
}

#[tokio::test]
async fn time_to_idle_holds_in_redis_too() {
    let server = RedisServer::start();
    let cache = process(&server.url());
    caches(&cache).await;
    cache.set("k", 1_u32).expire(60).time_to_idle(1).await.unwrap();
    let until = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < until {
        assert_eq!(cache.get::<u32>("k").await.unwrap(), Some(1), "each read prolongs it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let life: i64 = server.run(&[b"PTTL", b"app:k"]);
    assert!((1..=1000).contains(&life), "{life}");
    let (took, ()) = eventually(HEALED, "it expires once it is idle", || async {
        let exists: bool = server.run(&[b"EXISTS", b"app:k"]);
        (!exists).then_some(())
    })
    .await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// What fails while Redis is away is made up for before it is read again: also where that never ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_goes_on_writing_heals_all_the_same() {
    let mut server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    proxy.all(Mode::Delay(Duration::from_millis(20)));
    let cache = process(&proxy.url());
    caches(&cache).await;
    server.kill();
    let writers: Vec<_> = (0..10_u32).map(|writer| tokio::spawn(write_forever(cache.clone(), writer))).collect();
    eventually(HEALED, "the outage is noticed", || async { cache.get::<u32>("k").strict().await.err() }).await;
    server.restart();
    let (took, _) =
        eventually(HEALED, "Redis is used again", || async { cache.get::<u32>("k").strict().await.ok() }).await;
    assert!(took < HEALED, "{took:?}");
    for writer in &writers {
        assert!(!writer.is_finished());
        writer.abort();
    }
}

async fn write_forever(cache: FmCache, writer: u32) {
    for number in 0_u32.. {
        cache.set(format!("{writer}-{number}"), number).expire(60).await.expect("no call fails");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
