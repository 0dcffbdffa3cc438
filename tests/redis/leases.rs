//! A lease is for one process at a time, and nothing rests on it.

use std::time::Duration;

use crate::{
    AT_ONCE, HEALED, LAYOUTS, Store, now,
    support::{eventually, redis_server::RedisServer, timed},
};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_of_many_processes_gets_it() {
    let server = RedisServer::start();
    let stores: Vec<_> = (0..8).map(|n| LAYOUTS[n % 2](&server.url())).collect();
    let key = stores[0].key("f");
    let asked = stores.iter().map(|store| store.tier.lease(&key, LONG));
    let got = futures::future::join_all(asked).await;
    assert_eq!(got.into_iter().filter(|got| *got.as_ref().unwrap()).count(), 1);
    assert!(stores[1].tier.lease(&stores[1].key("g"), LONG).await.unwrap(), "another key is another lease");
}

#[tokio::test]
async fn it_ends_with_a_store_a_write_by_hand_or_a_removal() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let (here, there) = (open(&server.url()), open(&server.url()));
        let key = here.key("f");
        for end in ["store", "by hand", "remove"] {
            assert!(here.tier.lease(&key, LONG).await.unwrap(), "{end}");
            assert!(!there.tier.lease(&key, LONG).await.unwrap(), "{end}");
            match end {
                "store" => there.run_and_store(&key, "value").await,
                "by hand" => drop(there.store(&key, "value", None).await.unwrap()),
                _ => drop(now(there.remove(&key).await)),
            }
        }
    }
}

#[tokio::test]
async fn it_ends_by_itself() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    assert!(store.tier.lease(&key, Duration::from_secs(30)).await.unwrap());
    let left: i64 = server.run(&[b"PTTL", b"app%lease:{app:f}"]);
    assert!((29_000..=30_000).contains(&left), "{left}");
    now(store.remove(&key).await);
    assert!(store.tier.lease(&key, Duration::from_millis(50)).await.unwrap());
    eventually(HEALED, "the lease ends", || async { store.tier.lease(&key, LONG).await.unwrap().then_some(()) }).await;
}

#[tokio::test]
async fn it_is_an_error_when_redis_is_away() {
    let mut server = RedisServer::start();
    let store = Store::at(&server.url());
    let key = store.key("f");
    store.works(&key).await;
    server.kill();
    store.fails_fast(&key).await;
    let (time, outcome) = timed(store.tier.lease(&key, LONG)).await;
    assert!(outcome.unwrap_err().is_backend() && time < AT_ONCE, "{time:?}");
}
