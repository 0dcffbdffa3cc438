//! Redis Sentinel: the master is found, and left when it is another one.

use std::time::{Duration, Instant};

use memory_core::{FmCache, FmCacheManager};
use memory_redis::FmRedisBackend;

use crate::{
    HEALED, PATIENCE, PROMOTION, Store,
    bus::{hears, listen},
    calls::{caches, computed},
    support::{
        eventually,
        redis_server::RedisServer,
        sentinel_set::{NAME, SentinelSet},
        timed,
    },
    traffic::{Traffic, judge},
};

fn process(set: &SentinelSet) -> FmCache {
    let backend = FmRedisBackend::sentinel(NAME, set.urls()).unwrap();
    FmCacheManager::builder(backend).prefix("app").build().unwrap()
}

/// Calls and invalidates while `trouble` makes another server the master.
async fn fails_over(what: &str, trouble: impl FnOnce(&mut SentinelSet)) {
    let mut set = SentinelSet::start();
    let cache = process(&set);
    caches(&cache).await;
    let before = set.master();
    let traffic = Traffic::on(&cache);
    eventually(HEALED, "calls are cached", || async { (cache.stats().hits > 50).then_some(()) }).await;
    let began = Instant::now();
    trouble(&mut set);
    let (promoted, ()) =
        eventually(PROMOTION, "another master", || async { (set.master() != before).then_some(()) }).await;
    let new = set.master();
    let (healed, ()) = eventually(HEALED, "the new master is used", || async {
        let keys: Vec<String> = set.servers[new].run(&[b"KEYS", b"app:*probe*"]);
        let _ = cache.set(format!("probe-{new}"), 1_u32).await;
        keys.contains(&format!("app:probe-{new}")).then_some(())
    })
    .await;
    let again = caches(&cache).await;
    println!("{what}: promoted after {promoted:?}, used {healed:?} later, caching {again:?} later");
    traffic.goes_on(500).await;
    let calls = traffic.end().await;
    judge(what, &calls, PATIENCE, began + Duration::from_secs(2));
    assert!(healed + again < HEALED);
}

#[tokio::test]
async fn a_master_that_is_killed_is_replaced() {
    fails_over("killed", |set| {
        let master = set.master();
        set.servers[master].kill();
    })
    .await;
}

#[tokio::test]
async fn a_master_that_hangs_is_replaced() {
    fails_over("hung", |set| set.servers[set.master()].hang()).await;
}

#[tokio::test]
async fn a_master_that_hands_over_is_left_although_it_answers() {
    fails_over("planned", |set| {
        let _: String = set.sentinels[1].run(&[b"SENTINEL", b"FAILOVER", NAME.as_bytes()]);
    })
    .await;
}

/// Two servers that know nothing of each other, and a sentinel that names the first.
fn two_masters() -> (RedisServer, RedisServer, RedisServer) {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let sentinel = RedisServer::start_sentinel(&format!("sentinel monitor {NAME} 127.0.0.1 {} 1\n", old.port()));
    (old, new, sentinel)
}

fn name_another(sentinel: &RedisServer, master: &RedisServer) {
    let () = sentinel.run(&[b"SENTINEL", b"REMOVE", NAME.as_bytes()]);
    let words = format!("SENTINEL MONITOR {NAME} 127.0.0.1 {} 1", master.port());
    let () = sentinel.run(&words.split(' ').map(str::as_bytes).collect::<Vec<_>>());
}

/// What a replica has that heard everything up to now.
fn copy(from: &RedisServer, to: &RedisServer) {
    let keys: Vec<Vec<u8>> = from.run(&[b"KEYS", b"*"]);
    for key in keys {
        let dump: Vec<u8> = from.run(&[b"DUMP", &key]);
        let () = to.run(&[b"RESTORE", &key, b"0", &dump, b"REPLACE"]);
    }
}

#[tokio::test]
async fn a_master_that_answers_on_is_left_once_the_sentinels_name_another() {
    let (_old, new, sentinel) = two_masters();
    let store = Store::with("app", FmRedisBackend::sentinel(NAME, [sentinel.url()]).unwrap());
    store.works(&store.key("f")).await;
    name_another(&sentinel, &new);
    let (took, ()) = eventually(HEALED, "the new master is used", || async {
        let _ = store.store(&store.key("f"), "value", None).await;
        new.run::<bool>(&[b"EXISTS", b"app:f"]).then_some(())
    })
    .await;
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

#[tokio::test]
async fn what_a_lost_master_confirmed_is_repeated_to_the_next_one() {
    let (old, new, sentinel) = two_masters();
    let backend = FmRedisBackend::sentinel(NAME, [sentinel.url()]).unwrap();
    let cache = FmCacheManager::builder(backend).prefix("app").build().unwrap();
    caches(&cache).await;
    for key in ["removed", "overwritten", "kept"] {
        assert_eq!(computed(&cache, key, 1).await, 1);
    }
    cache.set("cleared", 1_u32).namespace("n").await.unwrap();
    copy(&old, &new);
    assert!(cache.remove("removed").strict().await.unwrap());
    cache.set("overwritten", 2_u32).strict().await.unwrap();
    assert_eq!(cache.clear_namespace("n").strict().await.unwrap(), 1);
    name_another(&sentinel, &new);
    eventually(HEALED, "the new master is used", || async {
        let _ = cache.set("new", 1_u32).await;
        new.run::<bool>(&[b"EXISTS", b"app:new"]).then_some(())
    })
    .await;
    assert_eq!(cache.get::<u32>("removed").await.unwrap(), None);
    assert_ne!(cache.get::<u32>("overwritten").await.unwrap(), Some(1));
    assert_eq!(cache.get::<u32>("cleared").namespace("n").await.unwrap(), None);
    assert_eq!(cache.get::<u32>("kept").await.unwrap(), Some(1));
}

#[tokio::test]
async fn changes_are_heard_also_after_a_failover() {
    let mut set = SentinelSet::start();
    let store = || Store::with("app", FmRedisBackend::sentinel(NAME, set.urls()).unwrap());
    let (here, there) = (store(), store());
    let ears = listen(&there).await;
    hears(&here, &ears, "f").await;
    let before = set.master();
    set.servers[before].kill();
    eventually(PROMOTION, "another master", || async { (set.master() != before).then_some(()) }).await;
    let took = hears(&here, &ears, "f").await;
    println!("heard {took:?} after the promotion");
    assert!(took < HEALED, "{took:?}");
}

#[tokio::test]
async fn a_service_boots_without_sentinels_and_caches_once_they_come() {
    let mut set = SentinelSet::absent();
    let start = Instant::now();
    let cache = process(&set);
    for number in 0..20 {
        let (time, value) = timed(computed(&cache, "k", number)).await;
        assert_eq!(value, number);
        assert!(time < PATIENCE, "a call took {time:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    set.come();
    let took = caches(&cache).await;
    assert!(took < HEALED, "{took:?}");
}

#[tokio::test]
async fn sentinels_that_are_dead_or_hang_are_passed_over() {
    let mut set = SentinelSet::start();
    set.sentinels[0].hang();
    set.sentinels[1].kill();
    let cache = process(&set);
    let took = caches(&cache).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Nor does it matter when there is none any more.
    set.sentinels[2].kill();
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        cache.set("k", 1_u32).strict().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn logins_of_sentinels_and_servers_are_two() {
    let set = SentinelSet::start_with(
        &["--requirepass", "of-nodes", "--masterauth", "of-nodes"],
        &format!("requirepass of-sentinels\nsentinel sentinel-pass of-sentinels\nsentinel auth-pass {NAME} of-nodes"),
    );
    let urls = set.sentinels.iter().map(|one| format!("redis://:of-sentinels@127.0.0.1:{}", one.port()));
    let backend = || FmRedisBackend::sentinel(NAME, urls.clone()).unwrap();
    let store = Store::with("app", backend().node_connection("redis://:of-nodes@master/3"));
    store.works(&store.key("f")).await;
    let admin = format!("redis://:of-nodes@127.0.0.1:{}/3", set.servers[0].port());
    let mut admin = redis::Client::open(admin).unwrap().get_connection().unwrap();
    let found: bool = redis::cmd("EXISTS").arg("app:f").query(&mut admin).unwrap();
    assert!(found, "in its database");
    let without = Store::with("app", backend());
    without.fails_fast(&without.key("f")).await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_no_master() {
    let master = RedisServer::start();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
    // A sentinel that has not heard of the change.
    let lines = format!("sentinel monitor {NAME} 127.0.0.1 {} 1\n", replica.port());
    let sentinel = RedisServer::start_sentinel(&lines);
    let store = Store::with("app", FmRedisBackend::sentinel(NAME, [sentinel.url()]).unwrap());
    store.fails_fast(&store.key("f")).await;
    let () = replica.run(&[b"REPLICAOF", b"NO", b"ONE"]);
    store.works(&store.key("f")).await;
    let () = replica.run(&[b"REPLICAOF", b"127.0.0.1", master.port().to_string().as_bytes()]);
    assert!(store.store(&store.key("f"), "value", None).await.is_err());
    store.fails_fast(&store.key("f")).await;
}
