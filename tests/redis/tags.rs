//! Tags: invalidating them beats runs under way, however late it is known which tags a value has.

use std::time::Duration;

use memory_core::backend::{Group, RemoteWrite, Written};

use crate::{
    LAYOUTS, Store, is_queued, now,
    support::{proxy::Proxy, redis_server::RedisServer},
};

#[tokio::test]
async fn an_entry_comes_with_its_tags_and_goes_with_any_of_them() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let (here, there) = (open(&server.url()), open(&server.url()));
        for tag in ["user:1", "", "{a}*%#/\u{e9}"] {
            let (key, other) = (here.key_in("n", "f"), here.key("other"));
            here.run_and_store_with(&key, "value", &["one", tag, "two"]).await;
            here.run_and_store_with(&other, "kept", &["one", "user:10"]).await;
            let found = there.fetch(&key).await.unwrap();
            assert_eq!(found.payload.as_deref(), Some(&b"value"[..]));
            assert_eq!(found.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["one", tag, "two"]);
            there.invalidate(tag).await;
            let found = here.fetch(&key).await.unwrap();
            assert_eq!((found.payload, found.tags.len(), found.damaged), (None, 0, false), "{tag}");
            assert_eq!(here.payload(&other).await.as_deref(), Some("kept"), "{tag}");
        }
    }
}

#[tokio::test]
async fn a_run_that_began_before_its_tag_was_invalidated_is_overtaken_whatever_its_tags_turn_out_to_be() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let (here, there) = (open(&server.url()), open(&server.url()));
        let (key, other) = (here.key("f"), here.key("g"));
        let stamps = (here.stamp(&key).await, here.stamp(&other).await);
        there.invalidate("late").await;
        here.is_overtaken(&key, stamps.0, &["early", "late"]).await;
        assert_eq!(here.store(&other, "kept", Some(stamps.1)).await.unwrap(), Written::Stored);
        assert_eq!(here.payload(&other).await.as_deref(), Some("kept"));
        here.run_and_store_with(&key, "fresh", &["early", "late"]).await;
        assert_eq!(there.payload(&key).await.as_deref(), Some("fresh"));
    }
}

#[tokio::test]
async fn what_is_set_by_hand_has_tags_too() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        let key = store.key_in("n", "f");
        for round in 0..2 {
            store.invalidate("t").await;
            assert_eq!(store.store_with(&key, "by hand", None, &["t"]).await.unwrap(), Written::Stored);
            assert_eq!(store.payload(&key).await.as_deref(), Some("by hand"), "round {round}");
        }
        store.invalidate("t").await;
        assert_eq!(store.payload(&key).await, None);
    }
}

#[tokio::test]
async fn invalidating_a_tag_costs_the_same_however_many_entries_it_has() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let keys: Vec<_> = (0..500).map(|n| store.key(&n.to_string())).collect();
    let stamps = store.tier.fetch(&keys).await.unwrap();
    let writes: Vec<_> = keys
        .iter()
        .zip(stamps)
        .map(|(key, found)| RemoteWrite {
            key: key.clone(),
            payload: b"value".to_vec(),
            life: Some(Duration::from_secs(60)),
            stamp: Some(found.stamp),
            tags: vec!["t".into()],
        })
        .collect();
    assert!(store.tier.store(&writes).await.unwrap().iter().all(|written| *written == Written::Stored));
    let () = server.run(&[b"CONFIG", b"RESETSTAT"]);
    store.invalidate("t").await;
    assert_eq!((server.calls("evalsha"), server.calls("scan"), server.calls("unlink")), (1, 0, 1));
    let before = server.calls("mget");
    assert!(store.tier.fetch(&keys).await.unwrap().iter().all(|found| found.payload.is_none()));
    // The scripts read with the same command.
    assert_eq!(server.calls("mget") - before, 2, "one read of the entries and one of all tags");
}

#[tokio::test]
async fn an_invalidated_tag_that_redis_missed_is_replayed_before_redis_is_read_again() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::patient(&proxy.url());
    let (tagged, plain) = (store.key("tagged"), store.key("plain"));
    store.run_and_store_with(&tagged, "value", &["t"]).await;
    store.run_and_store(&plain, "value").await;
    proxy.refuse(true);
    proxy.reset();
    crate::support::eventually(crate::HEALED, "the connection is lost", || async {
        store.fetch(&plain).await.is_err().then_some(())
    })
    .await;
    assert!(is_queued(&store.tier.clear(&Group::Tag("t".into())).await));
    proxy.refuse(false);
    assert_eq!(store.healed(&tagged).await.1.payload, None);
    assert_eq!(store.payload(&plain).await.as_deref(), Some("value"));
}

#[tokio::test]
async fn too_many_invalidated_tags_become_everything() {
    let mut server = RedisServer::start();
    let backend = memory_redis::FmRedisBackend::connect(server.url()).unwrap().removal_queue(3);
    let store = Store::with("app", backend);
    let (key, port) = (store.key("f"), server.port());
    store.works(&key).await;
    server.kill();
    for n in 0..4 {
        assert!(is_queued(&store.tier.clear(&Group::Tag(n.to_string().into())).await), "port {port}");
    }
    server.restart();
    store.healed(&key).await;
    assert!(server.run::<bool>(&[b"EXISTS", b"{app%gen}*"]), "everything was invalidated");
    assert!(!server.run::<bool>(&[b"EXISTS", b"{app%gen}#0"]), "and no single tag");
}

#[tokio::test]
async fn absurd_tags_are_too_large_and_not_sent() {
    let server = RedisServer::start();
    for open in LAYOUTS {
        let store = open(&server.url());
        let key = store.key("f");
        let stamp = store.stamp(&key).await;
        let long = "t".repeat(65_536);
        for tags in [vec!["t"; 256], vec![&long, "t"]] {
            let before = server.calls("evalsha");
            assert_eq!(store.store_with(&key, "v", Some(stamp.clone()), &tags).await.unwrap(), Written::TooLarge);
            assert_eq!(store.store_with(&key, "v", None, &tags).await.unwrap(), Written::TooLarge);
            assert_eq!(server.calls("evalsha"), before);
        }
    }
}

#[tokio::test]
async fn a_tag_is_remembered_for_as_long_as_its_entries_live() {
    const DAY: i64 = 86_400_000;
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        let left = |tag: &str| server.run::<i64>(&[b"PTTL", format!("{{app%gen}}#{tag}").as_bytes()]);
        let write = |life| RemoteWrite {
            key: store.key("f"),
            payload: b"value".to_vec(),
            life,
            stamp: None,
            tags: vec!["t".into(), "other".into()],
        };
        for (days, expected) in [(0, DAY), (3, 3 * DAY), (1, 3 * DAY)] {
            let life = Duration::from_secs(days * 86_400).max(Duration::from_secs(60));
            store.tier.store(&[write(Some(life))]).await.unwrap();
            assert!((expected - 60_000..=expected).contains(&left("t")), "{days} days: {}", left("t"));
        }
        store.tier.store(&[write(None)]).await.unwrap();
        assert!(left("t") > 10_000 * DAY);
        now(store.tier.clear(&Group::Tag("t".into())).await);
        assert!((DAY - 60_000..=DAY).contains(&left("t")), "what was stored before is covered for ever all the same");
    }
}
