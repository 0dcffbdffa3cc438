//! A store whose generation is old is refused: runs that were overtaken bring nothing back.

use std::time::Duration;

use memory_core::backend::{Group, Stamp, Written};

use crate::{
    Store, now,
    support::{
        eventually,
        proxy::{Mode, Proxy},
        redis_server::RedisServer,
    },
};

#[tokio::test]
async fn a_run_that_began_before_a_removal_is_not_stored() {
    let server = RedisServer::start();
    let (here, there) = (Store::patient(&server.url()), Store::patient(&server.url()));
    let key = here.key("f");
    here.run_and_store(&key, "first").await;
    let stamp = here.stamp(&key).await;
    assert_eq!(now(there.remove(&key).await), 1);
    assert_eq!(here.store(&key, "overtaken", Some(stamp)).await.unwrap(), Written::Outdated);
    assert_eq!(here.payload(&key).await, None);
    here.run_and_store(&key, "fresh").await;
    assert_eq!(there.payload(&key).await.as_deref(), Some("fresh"));
}

#[tokio::test]
async fn removing_what_was_never_there_stops_a_run_too() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    let stamp = store.stamp(&key).await;
    assert_eq!(now(store.remove(&key).await), 0);
    assert_eq!(store.store(&key, "overtaken", Some(stamp)).await.unwrap(), Written::Outdated);
}

#[tokio::test]
async fn a_run_that_began_before_a_clear_is_not_stored() {
    let server = RedisServer::start();
    let (here, there) = (Store::patient(&server.url()), Store::patient(&server.url()));
    let (plain, grouped) = (here.key("f"), here.key_in("reports", "f"));
    let stamps = (here.stamp(&plain).await, here.stamp(&grouped).await);
    now(there.tier.clear(&Group::All).await);
    assert_eq!(here.store(&plain, "overtaken", Some(stamps.0)).await.unwrap(), Written::Outdated);
    assert_eq!(here.store(&grouped, "overtaken", Some(stamps.1)).await.unwrap(), Written::Outdated);
    here.run_and_store(&grouped, "fresh").await;
}

#[tokio::test]
async fn clearing_a_namespace_stops_its_runs_and_no_others() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let (plain, grouped, other) = (store.key("f"), store.key_in("reports", "f"), store.key_in("other", "f"));
    let stamps = (store.stamp(&plain).await, store.stamp(&grouped).await, store.stamp(&other).await);
    now(store.tier.clear(&Group::Namespace("reports".into())).await);
    assert_eq!(store.store(&plain, "kept", Some(stamps.0)).await.unwrap(), Written::Stored);
    assert_eq!(store.store(&grouped, "overtaken", Some(stamps.1)).await.unwrap(), Written::Outdated);
    assert_eq!(store.store(&other, "kept", Some(stamps.2)).await.unwrap(), Written::Stored);
}

#[tokio::test]
async fn what_is_set_by_hand_beats_a_run_under_way() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    for key in [store.key("f"), store.key_in("reports", "f")] {
        let stamp = store.stamp(&key).await;
        assert_eq!(store.store(&key, "by hand", None).await.unwrap(), Written::Stored);
        assert_eq!(store.store(&key, "overtaken", Some(stamp)).await.unwrap(), Written::Outdated);
        assert_eq!(store.payload(&key).await.as_deref(), Some("by hand"));
        assert_eq!(store.store(&key, "by hand again", None).await.unwrap(), Written::Stored);
        assert_eq!(store.payload(&key).await.as_deref(), Some("by hand again"));
    }
}

#[tokio::test]
async fn what_is_set_by_hand_on_a_server_that_knows_no_generation_can_be_read() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key_in("reports", "f");
    assert_eq!(store.store(&key, "by hand", None).await.unwrap(), Written::Stored);
    assert_eq!(store.payload(&key).await.as_deref(), Some("by hand"));
}

#[tokio::test]
async fn a_clear_takes_effect_before_the_space_is_reclaimed() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    for (key, group) in
        [(store.key("f"), Group::All), (store.key_in("reports", "f"), Group::Namespace("reports".into()))]
    {
        store.run_and_store(&key, "value").await;
        let kept: Vec<u8> = server.run(&[b"DUMP", key.text.as_bytes()]);
        now(store.tier.clear(&group).await);
        // As if the sweep had not come to this entry yet.
        let () = server.run(&[b"RESTORE", key.text.as_bytes(), b"0", &kept]);
        assert_eq!(store.payload(&key).await, None);
        store.run_and_store(&key, "fresh").await;
        assert_eq!(store.payload(&key).await.as_deref(), Some("fresh"));
    }
}

#[tokio::test]
async fn a_generation_that_redis_loses_takes_everything_made_under_it_along() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    store.run_and_store(&key, "value").await;
    let stamp = store.stamp(&key).await;
    let () = server.run(&[b"DEL", b"app%gen"]);
    assert_eq!(store.store(&key, "made under the lost one", Some(stamp)).await.unwrap(), Written::Outdated);
    assert_eq!(store.payload(&key).await, None);
    store.run_and_store(&store.key("other"), "value").await;
    assert_eq!(store.payload(&key).await, None, "the new generation is another one");
}

#[tokio::test]
async fn a_stamp_of_somebody_else_is_refused() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    for stamp in [Stamp::default(), Stamp(vec![1; 55].into()), Stamp(vec![1; 56].into())] {
        assert_eq!(store.store(&key, "value", Some(stamp)).await.unwrap(), Written::Outdated);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_longer_than_removals_are_remembered_is_not_stored() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    let stamp = store.stamp(&key).await;
    tokio::time::advance(Duration::from_secs(590)).await;
    assert_eq!(store.store(&key, "in time", Some(stamp.clone())).await.unwrap(), Written::Stored);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(store.store(&key, "too late", Some(stamp)).await.unwrap(), Written::Outdated);
    let left: i64 = {
        now(store.remove(&key).await);
        server.run(&[b"PTTL", b"app%gen:{app:f}"])
    };
    assert!((599_000..=600_000).contains(&left), "a removal is remembered for {left} ms");
}

#[tokio::test]
async fn a_write_that_arrives_late_overwrites_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    for (round, by_hand) in [true, false, true, false].into_iter().enumerate() {
        let store = Store::at(&proxy.url());
        let key = store.key(&round.to_string());
        let stamp = store.healed(&key).await.1.stamp;
        // The bytes of this write are on their way for long.
        proxy.all(Mode::Hold);
        let late = store.store(&key, "old", (!by_hand).then_some(stamp)).await;
        assert!(late.unwrap_err().is_backend());
        // Nothing else goes the way of the old bytes.
        store.tier.distrust();
        proxy.fresh(Mode::Pass);
        proxy.reset();
        eventually(crate::HEALED, "a newer write succeeds", || async {
            (store.store(&key, "new", None).await.ok()? == Written::Stored).then_some(())
        })
        .await;
        let before = server.calls("evalsha");
        proxy.release();
        eventually(Duration::from_secs(5), "the old write arrives", || async {
            (server.calls("evalsha") > before).then_some(())
        })
        .await;
        assert_eq!(store.healed(&key).await.1.payload.as_deref(), Some(&b"new"[..]));
    }
}

#[tokio::test]
async fn no_new_connection_is_used_while_a_lost_write_could_still_take_place() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    let key = store.key("f");
    for _ in 0..5 {
        store.healed(&key).await;
        proxy.existing(Mode::Hold);
        let sent = std::time::Instant::now();
        assert!(store.store(&key, "old", None).await.is_err());
        proxy.reset();
        store.healed(&key).await;
        assert!(sent.elapsed() >= Duration::from_millis(250), "used again after {:?}", sent.elapsed());
    }
}
