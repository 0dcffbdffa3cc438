//! Answers that are not what they should be: never a wrong value.

use memory_core::backend::Written;

use crate::{
    Store,
    support::{proxy::Proxy, redis_server::RedisServer},
};

#[tokio::test]
async fn junk_under_one_of_our_keys_is_a_miss_and_is_overwritten() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    let junk: [&[&[u8]]; 6] = [
        &[b"SET", b"app:f", b"junk"],
        &[b"SET", b"app:f", b""],
        &[b"RPUSH", b"app:f", b"a list"],
        &[b"SET", b"app:f", b"FMR1----------------"],
        &[b"SET", b"app:f", b"FMR2--------------------\x00\x00\x00\x05app:f"],
        &[b"SET", b"app:f", b"FMR20123abcd00000000beef\x00\xff\x00\x01t\xff\xfff"],
    ];
    for command in junk {
        let () = server.run(&[b"DEL", b"app:f"]);
        let () = server.run(command);
        assert_eq!(store.payload(&key).await, None);
        store.run_and_store(&key, "value").await;
        assert_eq!(store.payload(&key).await.as_deref(), Some("value"));
    }
}

#[tokio::test]
async fn what_an_earlier_version_has_written_is_a_miss_and_no_damage() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    let earlier = [&b"FMR1"[..], &[b'0'; 32], b"\x00\x05app:fvalue"].concat();
    for (written, damaged) in [(&earlier[..], false), (b"FMR2value", true), (b"value", true)] {
        let () = server.run(&[b"SET", b"app:f", written]);
        let found = store.fetch(&key).await.unwrap();
        assert_eq!((found.payload, found.damaged), (None, damaged), "{written:?}");
    }
}

#[tokio::test]
async fn junk_in_place_of_generations_heals() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key_in("reports", "f");
    for place in ["{app%gen}", "{app%gen}*", "{app%gen}/reports", "app%gen:{app:reports/f}"] {
        for junk in [&[b"SET", place.as_bytes(), b"junk"][..], &[b"RPUSH", place.as_bytes(), b"a list"]] {
            store.run_and_store(&key, "value").await;
            let () = server.run(&[b"DEL", place.as_bytes()]);
            let () = server.run(junk);
            store.run_and_store(&key, "again").await;
            assert_eq!(store.payload(&key).await.as_deref(), Some("again"), "{place}");
        }
    }
}

#[tokio::test]
async fn another_keys_value_is_a_miss_and_the_connection_stays_where_it_is_in_step() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::patient(&proxy.url());
    let (own, other) = (store.key("own"), store.key("other"));
    store.run_and_store(&other, "of another").await;
    let () = server.run(&[b"COPY", b"app:other", b"app:own"]);
    assert_eq!(store.payload(&own).await, None);
    store.run_and_store(&own, "value").await;
    assert_eq!(store.payload(&own).await.as_deref(), Some("value"));
    assert_eq!(proxy.accepted(), 1, "the connection had nothing to do with it");
}

#[tokio::test]
async fn a_reply_of_another_request_is_never_answered_and_its_connection_is_thrown_away() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    let keys: Vec<_> = (0..10).map(|n| store.key(&n.to_string())).collect();
    for (n, key) in keys.iter().enumerate() {
        store.run_and_store(key, &n.to_string()).await;
    }
    let surplus: [&[u8]; 4] = [b"+PONG\r\n", b":1\r\n", b"$-1\r\n", b"*3\r\n$-1\r\n$-1\r\n$-1\r\n"];
    for (round, surplus) in surplus.into_iter().enumerate() {
        let before = proxy.accepted();
        let injecting = async {
            // The driver drops what comes while nothing is asked: inject while something is.
            while proxy.accepted() == before {
                proxy.inject(surplus);
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        let reading = async {
            while proxy.accepted() == before {
                for (n, key) in keys.iter().enumerate() {
                    if let Ok(fetched) = store.fetch(key).await {
                        let payload = fetched.payload.map(|bytes| String::from_utf8(bytes).unwrap());
                        assert!(payload.is_none() || payload == Some(n.to_string()), "{payload:?} for {n}");
                    }
                }
                tokio::task::yield_now().await;
            }
        };
        let both = async { tokio::join!(injecting, reading) };
        tokio::time::timeout(crate::HEALED, both).await.unwrap_or_else(|_| panic!("not replaced in round {round}"));
        store.healed(&keys[0]).await;
    }
}

#[tokio::test]
async fn garbage_is_not_an_answer_and_its_connection_is_thrown_away() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    let key = store.key("f");
    store.works(&key).await;
    proxy.inject(b"\x00garbage that is no reply\r\n");
    crate::support::eventually(crate::HEALED, "the connection is replaced", || async {
        let _ = store.fetch(&key).await;
        (proxy.accepted() > 1).then_some(())
    })
    .await;
    let (_, healed) = store.healed(&key).await;
    assert_eq!(healed.payload.as_deref(), Some(&b"works"[..]));
    let stamp = store.stamp(&key).await;
    assert_eq!(store.store(&key, "more", Some(stamp)).await.unwrap(), Written::Stored);
}

#[tokio::test]
async fn a_distrusted_connection_is_replaced() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    let key = store.key("f");
    store.works(&key).await;
    store.tier.distrust();
    assert!(store.fetch(&key).await.is_err(), "not asked any more");
    let (_, healed) = store.healed(&key).await;
    assert_eq!(healed.payload.as_deref(), Some(&b"works"[..]));
    assert_eq!(proxy.accepted(), 2);
}
