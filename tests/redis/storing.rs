//! Reading and writing on a server that is well.

use std::{sync::Arc, time::Duration};

use memory_core::backend::{RemoteWrite, Written};
use memory_redis::{FmRedisBackend, redis};

use crate::{
    Store, now,
    support::{eventually, redis_server::RedisServer},
};

#[tokio::test]
async fn the_first_call_waits_for_the_connection_and_finds_it() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("shop::users::get_user:42");
    store.run_and_store(&key, "Ada").await;
    assert_eq!(store.payload(&key).await.as_deref(), Some("Ada"));
    assert!(server.run::<bool>(&[b"EXISTS", b"app:shop::users::get_user:42"]), "the key reads as it is called");
}

#[tokio::test]
async fn a_users_own_client_is_taken() {
    let server = RedisServer::start();
    let client = redis::Client::open(format!("{}/3", server.url())).unwrap();
    let store = Store::with("app", crate::patient(FmRedisBackend::from_client(client)));
    store.run_and_store(&store.key("f"), "value").await;
    let keyspace: String = server.run(&[b"INFO", b"keyspace"]);
    assert!(keyspace.contains("db3:") && !keyspace.contains("db0:"), "{keyspace}");
}

#[tokio::test]
async fn many_keys_are_read_and_written_in_one_round_trip_each_and_in_order() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let keys: Vec<_> = (0..100)
        .map(|n| if n % 2 == 0 { store.key(&format!("f:{n}")) } else { store.key_in("even/odd", &format!("f:{n}")) })
        .collect();
    let fetched = store.tier.fetch(&keys).await.unwrap();
    let writes: Vec<_> = keys
        .iter()
        .zip(fetched)
        .enumerate()
        .filter(|(n, _)| n % 3 != 0)
        .map(|(n, (key, fetched))| RemoteWrite {
            key: key.clone(),
            payload: n.to_string().into(),
            life: Some(Duration::from_secs(60)),
            stamp: Some(fetched.stamp),
            tags: Vec::new(),
        })
        .collect();
    assert!(store.tier.store(&writes).await.unwrap().iter().all(|written| *written == Written::Stored));
    let before = server.calls("mget");
    let payloads: Vec<_> = store.tier.fetch(&keys).await.unwrap().into_iter().map(|found| found.payload).collect();
    assert_eq!(server.calls("mget") - before, 1);
    for (n, payload) in payloads.into_iter().enumerate() {
        assert_eq!(payload, (n % 3 != 0).then(|| n.to_string().into_bytes()), "key {n}");
    }
    assert!(store.tier.fetch(&[]).await.unwrap().is_empty() && store.tier.store(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_key_has_an_expiry_except_where_none_was_asked_for() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let lives = [
        ("minute", Some(Duration::from_secs(60)), 59_000..=60_000),
        ("instant", Some(Duration::from_micros(1)), -2..=1),
        ("huge", Some(Duration::MAX), 3_153_599_000_000..=3_153_600_000_000),
        ("ever", None, -1..=-1),
    ];
    for (name, life, expected) in lives {
        for by_hand in [false, true] {
            let key = store.key(&format!("{name}:{by_hand}"));
            let stamp = if by_hand { None } else { Some(store.stamp(&key).await) };
            let write = RemoteWrite { key: key.clone(), payload: b"value".to_vec(), life, stamp, tags: Vec::new() };
            assert_eq!(store.tier.store(&[write]).await.unwrap(), [Written::Stored]);
            let left: i64 = server.run(&[b"PTTL", key.text.as_bytes()]);
            assert!(expected.contains(&left), "{name}: {left}");
        }
    }
    now(store.remove(&store.key("minute:true")).await);
    let keys: Vec<String> = server.run(&[b"KEYS", b"*"]);
    for key in keys.iter().filter(|key| !key.starts_with("app:ever")) {
        assert_ne!(server.run::<i64>(&[b"PTTL", key.as_bytes()]), -1, "{key} has no expiry");
    }
}

#[tokio::test]
async fn a_touched_entry_lives_on() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    store.run_and_store(&key, "value").await;
    store.tier.touch(&key, Duration::from_secs(1_000)).await.unwrap();
    assert!(server.run::<i64>(&[b"PTTL", b"app:f"]) > 900_000);
    store.tier.touch(&store.key("absent"), Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn a_payload_over_the_limit_is_not_stored_and_not_sent() {
    let server = RedisServer::start();
    let store = Store::with("app", crate::patient(FmRedisBackend::connect(server.url()).unwrap()).payload_limit(10));
    let key = store.key("f");
    let stamp = store.stamp(&key).await;
    assert_eq!(store.store(&key, "0123456789", Some(stamp.clone())).await.unwrap(), Written::Stored);
    let before = server.calls("evalsha");
    assert_eq!(store.store(&key, "0123456789a", Some(stamp)).await.unwrap(), Written::TooLarge);
    assert_eq!(store.store(&key, "0123456789a", None).await.unwrap(), Written::TooLarge);
    assert_eq!(server.calls("evalsha"), before);
    assert_eq!(store.payload(&key).await.as_deref(), Some("0123456789"));
}

#[tokio::test]
async fn the_default_limit_is_one_mebibyte() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    assert_eq!(store.store(&key, &"x".repeat(1 << 20), None).await.unwrap(), Written::Stored);
    assert_eq!(store.payload(&key).await.unwrap().len(), 1 << 20);
    assert_eq!(store.store(&key, &"x".repeat((1 << 20) + 1), None).await.unwrap(), Written::TooLarge);
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_scripts_is_taught_again() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    store.run_and_store(&key, "one").await;
    let stamp = store.stamp(&key).await;
    let () = server.run(&[b"SCRIPT", b"FLUSH"]);
    assert_eq!(store.store(&key, "two", Some(stamp)).await.unwrap(), Written::Stored);
    let () = server.run(&[b"SCRIPT", b"FLUSH"]);
    assert_eq!(now(store.remove(&key).await), 1);
}

#[tokio::test]
async fn the_clock_is_the_servers() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    store.stamp(&store.key("f")).await;
    let (seconds, micros): (u64, u64) = server.run(&[b"TIME"]);
    let shown = store.tier.now_ms();
    assert!(shown.abs_diff(seconds * 1000 + micros / 1000) < 50);
}

#[tokio::test(start_paused = true)]
async fn under_paused_time_redis_answers_and_the_clock_moves_with_the_test() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    let start = (store.stamp(&key).await, store.tier.now_ms());
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(store.store(&key, "value", Some(start.0)).await.unwrap(), Written::Stored);
    assert_eq!(store.payload(&key).await.as_deref(), Some("value"));
    let passed = store.tier.now_ms() - start.1;
    assert!((30_000..31_000).contains(&passed), "{passed} ms");
}

#[tokio::test(start_paused = true)]
async fn under_paused_time_the_heartbeat_does_not_spin() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    store.stamp(&store.key("f")).await;
    let before = server.calls("ping");
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert!(server.calls("ping") - before < 5, "a day of paused time passes in no time");
}

#[test]
fn the_next_runtime_takes_over_when_one_has_ended() {
    let server = RedisServer::start();
    let store = Arc::new(Store::patient(&server.url()));
    for round in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = Arc::clone(&store);
        runtime.block_on(async move {
            let key = store.key("f");
            if round > 0 {
                assert_eq!(store.payload(&key).await, Some((round - 1).to_string()));
            }
            store.run_and_store(&key, &round.to_string()).await;
        });
    }
}

#[test]
fn without_a_runtime_calls_fail_and_do_not_panic() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    let fetched = futures::executor::block_on(store.fetch(&key));
    assert!(fetched.unwrap_err().is_backend());
    assert!(crate::is_queued(&futures::executor::block_on(store.remove(&key))));
}

#[tokio::test]
async fn a_closed_store_fails_and_leaves_no_connection() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    store.run_and_store(&key, "value").await;
    store.tier.close().await;
    assert!(store.fetch(&key).await.unwrap_err().is_closed());
    assert!(store.store(&key, "value", None).await.unwrap_err().is_closed());
    only_ours_is_connected(&server).await;
}

#[tokio::test]
async fn a_dropped_store_leaves_no_connection() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    store.stamp(&store.key("f")).await;
    drop(store);
    only_ours_is_connected(&server).await;
}

async fn only_ours_is_connected(server: &RedisServer) {
    eventually(Duration::from_secs(5), "the connection ends", || async {
        let clients: String = server.run(&[b"CLIENT", b"LIST"]);
        (clients.lines().count() == 1).then_some(())
    })
    .await;
}
