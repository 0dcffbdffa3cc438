//! A store whose generation is old is refused: runs that were overtaken bring nothing back.

use std::time::Duration;

use memory_core::backend::{Group, Stamp, Written};

use crate::{
    LAYOUTS, Store, now,
    support::{
        eventually,
        proxy::{Mode, Proxy},
        redis_server::RedisServer,
    },
};

#[tokio::test]
async fn a_run_that_began_before_a_removal_is_not_stored() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let (here, there) = (open(&server.url()), open(&server.url()));
        let key = here.key("f");
        here.run_and_store(&key, "first").await;
        let stamp = here.stamp(&key).await;
        assert_eq!(now(there.remove(&key).await), 1);
        assert_eq!(here.store(&key, "overtaken", Some(stamp)).await.unwrap(), Written::Outdated);
        assert_eq!(here.payload(&key).await, None);
        here.run_and_store(&key, "fresh").await;
        assert_eq!(there.payload(&key).await.as_deref(), Some("fresh"));
    }
}

#[tokio::test]
async fn removing_what_was_never_there_stops_a_run_too() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        let key = store.key("f");
        let stamp = store.stamp(&key).await;
        assert_eq!(now(store.remove(&key).await), 0);
        assert_eq!(store.store(&key, "overtaken", Some(stamp)).await.unwrap(), Written::Outdated);
    }
}

#[tokio::test]
async fn a_run_that_began_before_a_clear_is_not_stored() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let (here, there) = (open(&server.url()), open(&server.url()));
        let (plain, grouped) = (here.key("f"), here.key_in("reports", "f"));
        let stamps = (here.stamp(&plain).await, here.stamp(&grouped).await);
        now(there.tier.clear(&Group::All).await);
        here.is_overtaken(&plain, stamps.0, &[]).await;
        here.is_overtaken(&grouped, stamps.1, &[]).await;
        here.run_and_store(&grouped, "fresh").await;
    }
}

#[tokio::test]
async fn clearing_a_namespace_stops_its_runs_and_no_others() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        let (plain, grouped, other) = (store.key("f"), store.key_in("reports", "f"), store.key_in("other", "f"));
        let stamps = (store.stamp(&plain).await, store.stamp(&grouped).await, store.stamp(&other).await);
        now(store.tier.clear(&Group::Namespace("reports".into())).await);
        assert_eq!(store.store(&plain, "kept", Some(stamps.0)).await.unwrap(), Written::Stored);
        store.is_overtaken(&grouped, stamps.1, &[]).await;
        assert_eq!(store.store(&other, "kept", Some(stamps.2)).await.unwrap(), Written::Stored);
    }
}

#[tokio::test]
async fn what_is_set_by_hand_beats_a_run_under_way() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        for key in [store.key("f"), store.key_in("reports", "f")] {
            let stamp = store.stamp(&key).await;
            assert_eq!(store.store(&key, "by hand", None).await.unwrap(), Written::Stored);
            assert_eq!(store.store(&key, "overtaken", Some(stamp)).await.unwrap(), Written::Outdated);
            assert_eq!(store.payload(&key).await.as_deref(), Some("by hand"));
            assert_eq!(store.store(&key, "by hand again", None).await.unwrap(), Written::Stored);
            assert_eq!(store.payload(&key).await.as_deref(), Some("by hand again"));
        }
    }
}

#[tokio::test]
async fn what_is_set_by_hand_on_a_server_that_knows_no_generation_can_be_read() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        let key = store.key_in("reports", "f");
        assert_eq!(store.store(&key, "by hand", None).await.unwrap(), Written::Stored);
        assert_eq!(store.payload(&key).await.as_deref(), Some("by hand"));
    }
}

#[tokio::test]
async fn a_clear_takes_effect_before_the_space_is_reclaimed() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
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
}

#[tokio::test]
async fn a_clock_that_redis_loses_takes_everything_along() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        let key = store.key("f");
        store.run_and_store(&key, "value").await;
        let stamp = store.stamp(&key).await;
        let () = server.run(&[b"DEL", b"{app%gen}"]);
        store.is_overtaken(&key, stamp, &[]).await;
        store.run_and_store(&store.key("other"), "value").await;
        assert_eq!(store.payload(&key).await, None, "the new clock is another one");
        store.run_and_store(&key, "fresh").await;
        assert_eq!(store.payload(&key).await.as_deref(), Some("fresh"));
    }
}

#[tokio::test]
async fn a_group_that_redis_forgets_makes_nothing_visible_that_was_invalidated() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        let groups = [
            (Group::All, "{app%gen}*"),
            (Group::Namespace("reports".into()), "{app%gen}/reports"),
            (Group::Tag("t".into()), "{app%gen}#t"),
        ];
        for (group, name) in groups {
            let key = store.key_in("reports", "f");
            store.run_and_store_with(&key, "value", &["t"]).await;
            let () = server.run(&[b"DEL", name.as_bytes()]);
            assert!(store.payload(&key).await.is_some(), "nothing was invalidated: {name}");
            let kept: Vec<u8> = server.run(&[b"DUMP", key.text.as_bytes()]);
            let stamp = store.stamp(&key).await;
            now(store.tier.clear(&group).await);
            let () = server.run(&[b"RESTORE", key.text.as_bytes(), b"0", &kept, b"REPLACE"]);
            let () = server.run(&[b"DEL", name.as_bytes()]);
            assert_eq!(store.payload(&key).await, None, "{name}");
            let () = server.run(&[b"DEL", name.as_bytes()]);
            store.is_overtaken(&key, stamp, &["t"]).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_was_flushed_forgets_and_goes_on() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        let key = store.key_in("reports", "f");
        store.run_and_store_with(&key, "value", &["t"]).await;
        let kept: Vec<u8> = server.run(&[b"DUMP", key.text.as_bytes()]);
        let stamp = store.stamp(&key).await;
        let () = server.run(&[b"FLUSHALL"]);
        store.is_overtaken(&key, stamp, &["t"]).await;
        let () = server.run(&[b"RESTORE", key.text.as_bytes(), b"0", &kept, b"REPLACE"]);
        assert_eq!(store.payload(&key).await, None);
        store.run_and_store_with(&key, "fresh", &["t"]).await;
        assert_eq!(store.payload(&key).await.as_deref(), Some("fresh"));
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_gives_no_moment_twice() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    now(store.tier.clear(&Group::All).await);
    let earlier: String = server.run(&[b"GET", b"{app%gen}"]);
    for _ in 0..3 {
        now(store.tier.clear(&Group::Namespace("other".into())).await);
    }
    store.run_and_store(&key, "value").await;
    let latest: String = server.run(&[b"GET", b"{app%gen}"]);
    let latest = u64::from_str_radix(&latest[8..], 16).unwrap();
    eventually(Duration::from_secs(5), "time passes", || async {
        let (seconds, micros): (u64, u64) = server.run(&[b"TIME"]);
        (seconds * 1000 + micros / 1000 > latest).then_some(())
    })
    .await;
    // As when a replica takes over that had not seen the last ones.
    let () = server.run(&[b"SET", b"{app%gen}", earlier.as_bytes()]);
    let kept: Vec<u8> = server.run(&[b"DUMP", key.text.as_bytes()]);
    now(store.tier.clear(&Group::All).await);
    let () = server.run(&[b"RESTORE", key.text.as_bytes(), b"0", &kept]);
    assert_eq!(store.payload(&key).await, None);
}

#[tokio::test]
async fn a_clock_that_can_count_no_further_begins_anew() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let key = store.key("f");
    let () = server.run(&[b"SET", b"{app%gen}", b"0123abcdffffffffffff"]);
    store.run_and_store(&key, "value").await;
    assert_eq!(store.payload(&key).await.as_deref(), Some("value"));
    now(store.tier.clear(&Group::Namespace("other".into())).await);
    assert!(!server.run::<String>(&[b"GET", b"{app%gen}"]).starts_with("0123abcd"));
    assert_eq!(store.payload(&key).await, None);
    store.run_and_store(&key, "fresh").await;
    assert_eq!(store.payload(&key).await.as_deref(), Some("fresh"));
}

#[tokio::test]
async fn what_was_stored_outside_a_namespace_is_not_answered_within_one() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    let inside = store.key_in("reports", "f");
    let outside = memory_core::backend::RemoteKey { namespace: None, ..inside.clone() };
    for (one, other) in [(&inside, &outside), (&outside, &inside)] {
        store.run_and_store(one, "value").await;
        let found = store.fetch(other).await.unwrap();
        assert!(found.payload.is_none() && !found.damaged);
        assert_eq!(store.payload(one).await.as_deref(), Some("value"));
    }
}

#[tokio::test]
async fn a_stamp_of_somebody_else_is_refused() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let store = open(&server.url());
        let key = store.key("f");
        for stamp in [Stamp::default(), Stamp(vec![1; 43].into()), Stamp(vec![1; 44].into())] {
            assert_eq!(store.store(&key, "value", Some(stamp)).await.unwrap(), Written::Outdated);
        }
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
