//! Removals that Redis misses are queued, and made up for before Redis is trusted again.

use memory_core::backend::{Group, RemoteKey, Written};
use memory_redis::FmRedisBackend;

use crate::{
    AT_ONCE, PATIENCE, Store, is_queued, now,
    support::{
        proxy::{Mode, Proxy},
        redis_server::RedisServer,
        timed,
    },
};

/// Nobody gets through, and what was there is cut.
fn cut_off(proxy: &Proxy) {
    proxy.refuse(true);
    // From this moment on: a reset takes its time.
    proxy.existing(Mode::Blackhole);
    proxy.reset();
}

/// The first answer after the outage, which must never be from before the removal.
async fn first_answer(store: &Store, key: &RemoteKey) -> Option<Vec<u8>> {
    store.healed(key).await.1.payload
}

#[tokio::test]
async fn a_removal_that_redis_missed_is_replayed_before_redis_is_read_again() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let (store, other) = (Store::at(&proxy.url()), Store::at(&server.url()));
    let (gone, kept) = (store.key("gone"), store.key("kept"));
    for key in [&gone, &kept] {
        store.run_and_store(key, "value").await;
    }
    let overtaken = other.stamp(&gone).await;
    cut_off(&proxy);
    let (time, removed) = timed(store.remove(&gone)).await;
    assert!(is_queued(&removed) && time < PATIENCE, "{removed:?} after {time:?}");
    assert!(server.run::<bool>(&[b"EXISTS", b"app:gone"]), "Redis knows nothing of it");
    proxy.refuse(false);
    assert_eq!(first_answer(&store, &gone).await, None);
    assert_eq!(store.payload(&kept).await.as_deref(), Some("value"));
    assert_eq!(other.store(&gone, "overtaken", Some(overtaken)).await.unwrap(), Written::Outdated);
}

#[tokio::test]
async fn a_clear_that_redis_missed_is_replayed_and_reclaims_the_space() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::patient(&proxy.url());
    let (grouped, plain) = (store.key_in("reports", "f"), store.key("f"));
    for key in [&grouped, &plain] {
        store.run_and_store(key, "value").await;
    }
    cut_off(&proxy);
    assert!(is_queued(&store.tier.clear(&Group::Namespace("reports".into())).await));
    proxy.refuse(false);
    assert_eq!(first_answer(&store, &grouped).await, None);
    assert_eq!(store.payload(&plain).await.as_deref(), Some("value"));
    crate::support::eventually(crate::HEALED, "the space is reclaimed", || async {
        (!server.run::<bool>(&[b"EXISTS", grouped.text.as_bytes()])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_removal_before_the_first_connection_is_replayed() {
    let mut server = RedisServer::absent();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    assert!(is_queued(&store.remove(&key).await));
    server.restart();
    let healthy = Store::patient(&server.url());
    assert!(store.healed(&key).await.1.payload.is_none());
    let tombstone: Option<String> = server.run(&[b"GET", b"app%gen:{app:f}"]);
    assert!(tombstone.is_some(), "the removal reached Redis");
    healthy.run_and_store(&key, "value").await;
}

#[tokio::test]
async fn a_removal_that_times_out_is_not_followed_by_an_old_answer() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    let key = store.key("f");
    store.works(&key).await;
    proxy.existing(Mode::Blackhole);
    let (time, removed) = timed(store.remove(&key)).await;
    assert!(is_queued(&removed) && time < PATIENCE, "{removed:?} after {time:?}");
    proxy.existing(Mode::Pass);
    let (time, outcome) = timed(store.fetch(&key)).await;
    assert!(outcome.is_err() && time < AT_ONCE, "the connection is no longer trusted");
    assert_eq!(first_answer(&store, &key).await, None);
}

#[tokio::test]
async fn too_many_removals_become_one_of_everything() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::with("app", crate::patient(FmRedisBackend::connect(proxy.url()).unwrap()).removal_queue(3));
    let (gone, caught_up_in_it) = (store.key("0"), store.key("other"));
    for key in [&gone, &caught_up_in_it] {
        store.run_and_store(key, "value").await;
    }
    cut_off(&proxy);
    for n in 0..3 {
        assert!(is_queued(&store.remove(&store.key(&n.to_string())).await));
    }
    proxy.refuse(false);
    assert_eq!(first_answer(&store, &gone).await, None);
    assert_eq!(store.payload(&caught_up_in_it).await.as_deref(), Some("value"), "three fit");
    cut_off(&proxy);
    for n in 0..4 {
        assert!(is_queued(&store.remove(&store.key(&n.to_string())).await));
    }
    proxy.refuse(false);
    assert_eq!(first_answer(&store, &caught_up_in_it).await, None, "four do not");
}

#[tokio::test]
async fn a_removal_whose_caller_goes_away_is_queued_all_the_same() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    let key = store.key("f");
    store.works(&key).await;
    proxy.existing(Mode::Blackhole);
    {
        let removal = store.remove(&key);
        tokio::pin!(removal);
        assert!(futures::poll!(&mut removal).is_pending());
    }
    // Its bytes went nowhere, and nobody waits for it.
    assert_eq!(first_answer(&store, &key).await, None);
}

#[tokio::test]
async fn many_keys_are_removed_at_once() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let keys: Vec<_> = (0..2_500).map(|n| store.key(&n.to_string())).collect();
    for key in [&keys[0], &keys[2_499]] {
        store.run_and_store(key, "value").await;
    }
    assert_eq!(now(store.tier.remove(&keys).await), 2);
    assert_eq!(now(store.tier.remove(&[]).await), 0);
}

#[tokio::test]
async fn a_full_server_refuses_stores_and_takes_removals() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key_in("reports", "f");
    store.run_and_store(&key, "value").await;
    let stamp = store.stamp(&key).await;
    let () = server.run(&[b"CONFIG", b"SET", b"maxmemory", b"1"]);
    let refused = store.store(&key, "more", Some(stamp.clone())).await.unwrap_err();
    assert!(refused.is_backend() && refused.to_string().contains("OOM"), "{refused}");
    assert_eq!(store.payload(&key).await.as_deref(), Some("value"), "it still reads");
    assert_eq!(now(store.remove(&key).await), 1);
    now(store.tier.clear(&Group::Namespace("reports".into())).await);
    let () = server.run(&[b"CONFIG", b"SET", b"maxmemory", b"0"]);
    assert_eq!(store.store(&key, "overtaken", Some(stamp)).await.unwrap(), Written::Outdated);
    store.run_and_store(&key, "fresh").await;
}

#[tokio::test]
async fn a_read_only_server_is_not_trusted_with_a_removal_outstanding() {
    let server = RedisServer::start();
    let store = Store::at(&server.url());
    let key = store.key("f");
    store.works(&key).await;
    let () = server.run(&[b"REPLICAOF", b"127.0.0.1", b"1"]);
    assert!(store.healed(&key).await.1.payload.is_some(), "it still reads");
    let refused = store.store(&key, "more", None).await.unwrap_err();
    assert!(refused.is_backend());
    assert!(is_queued(&store.remove(&key).await));
    store.fails_fast(&key).await;
    let () = server.run(&[b"REPLICAOF", b"NO", b"ONE"]);
    assert_eq!(first_answer(&store, &key).await, None);
}
