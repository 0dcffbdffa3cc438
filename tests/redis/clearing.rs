//! `clear()` on a Redis that others use too: exactly ours, without blocking anybody.

use std::collections::BTreeSet;

use memory_core::backend::Group;
use memory_redis::{FmRedisBackend, redis};

use crate::{Store, now, support::redis_server::RedisServer};

fn names(server: &RedisServer) -> BTreeSet<Vec<u8>> {
    server.run(&[b"KEYS", b"*"])
}

#[tokio::test]
async fn exactly_the_prefix_goes_whatever_it_looks_like() {
    let server = RedisServer::start();
    for prefix in ["app", "a*p", "a?p", "a[bc]p", "a\\p", "a^p", "a-p", "[a-z]", "*", "\\", "a p", "app\u{e9}"] {
        let () = server.run(&[b"FLUSHALL"]);
        let store = Store::with(prefix, crate::patient(FmRedisBackend::connect(server.url()).unwrap()));
        let neighbours: BTreeSet<Vec<u8>> = [
            &b"app2:f"[..],
            b"xapp:f",
            b"ap",
            b"app",
            b"ap:f",
            b"abp:f",
            b"axp:f",
            b"a:f",
            b"z:f",
            b"p:f",
            b"-:f",
            b"app%gen2",
            b"{app%gen2}",
            b"{app2%gen}",
            b"APP:f",
            b"other",
            b"app\xff:f",
            b"\xff\xfe",
            b"app:\xff".split_at(3).0,
            b"",
        ]
        .into_iter()
        .filter(|name| !name.starts_with(store.prefix.group_start(&Group::All).unwrap().as_bytes()))
        .map(<[u8]>::to_vec)
        .collect();
        for neighbour in &neighbours {
            let () = server.run(&[b"SET", neighbour, b"theirs"]);
        }
        store.run_and_store(&store.key("f:1"), "ours").await;
        store.run_and_store(&store.key_in("reports", "f:1"), "ours").await;
        assert_eq!(now(store.tier.clear(&Group::All).await), 2, "prefix {prefix}");
        let mut left = names(&server);
        left.retain(|name| !name.starts_with(format!("{{{}%gen}}", store.prefix.escaped()).as_bytes()));
        assert_eq!(left, neighbours, "prefix {prefix}");
    }
}

#[tokio::test]
async fn keys_of_ours_that_are_not_text_go_too() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let () = server.run(&[b"SET", b"app:\xff\xfe", b"junk"]);
    assert_eq!(now(store.tier.clear(&Group::All).await), 1);
}

#[tokio::test]
async fn exactly_the_namespace_goes() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let kept = [store.key("f"), store.key("reports"), store.key_in("report", "f"), store.key_in("reports2", "f")];
    let gone = [store.key_in("reports", "f"), store.key_in("reports", "g:1")];
    for key in kept.iter().chain(&gone) {
        store.run_and_store(key, "value").await;
    }
    assert_eq!(now(store.tier.clear(&Group::Namespace("reports".into())).await), 2);
    for key in &kept {
        assert!(store.payload(key).await.is_some(), "{} went", key.text);
    }
    for key in &gone {
        assert_eq!(store.payload(key).await, None);
    }
}

#[tokio::test]
async fn twenty_thousand_entries_go_among_twenty_thousand_others_and_nobody_is_blocked() {
    const COUNT: usize = 20_000;
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let mut pipeline = redis::pipe();
    for n in 0..COUNT {
        pipeline.set(format!("app:f:{n}"), "ours").ignore().set(format!("app2:f:{n}"), "theirs").ignore();
    }
    let () = pipeline.query(&mut server.connection()).unwrap();
    let () = server.run(&[b"CONFIG", b"RESETSTAT"]);
    assert_eq!(now(store.tier.clear(&Group::All).await), COUNT as u64);
    for piecemeal in ["scan", "unlink"] {
        assert!(server.calls(piecemeal) >= 20, "{piecemeal} takes too much at once");
    }
    for forbidden in ["keys", "flushdb", "flushall", "del"] {
        assert_eq!(server.calls(forbidden), 0, "{forbidden}");
    }
    let left: usize = names(&server).iter().filter(|name| name.starts_with(b"app2:")).count();
    assert_eq!((left, names(&server).len()), (COUNT, COUNT + 2), "all of theirs, the clock and one group");
}

#[tokio::test]
async fn an_empty_prefix_clears_to_zero() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    assert_eq!(now(store.tier.clear(&Group::All).await), 0);
    assert_eq!(now(store.tier.clear(&Group::Namespace("none".into())).await), 0);
}
