//! Redis Cluster: entries on every master, each master watched for itself.

use std::time::{Duration, Instant};

use memory_core::{FmCache, FmCacheManager, backend::Group};
use memory_redis::FmRedisBackend;

use crate::{
    AT_ONCE, HEALED, PATIENCE, PROMOTION, Store,
    bus::{hears, listen},
    calls::{caches, computed},
    now,
    support::{cluster_set::ClusterSet, eventually, redis_server::RedisServer, timed},
    traffic::{KEYS, SKIPPED, Traffic, judge, told},
};

const ENTRIES: usize = 300;

fn process(set: &ClusterSet) -> FmCache {
    process_with(set, |backend| backend)
}

fn process_with(set: &ClusterSet, more: impl FnOnce(FmRedisBackend) -> FmRedisBackend) -> FmCache {
    let backend = more(FmRedisBackend::cluster(set.urls()).unwrap());
    FmCacheManager::builder(backend).prefix("app").build().unwrap()
}

/// How many entries of ours lie on each master.
fn entries(set: &ClusterSet) -> Vec<usize> {
    let is_ours = |name: &&Vec<u8>| name.starts_with(b"app:k");
    (0..set.masters().len()).map(|at| set.names(at).iter().filter(is_ours).count()).collect()
}

fn names() -> Vec<String> {
    (0..ENTRIES).map(|number| format!("k{number}")).collect()
}

#[tokio::test]
async fn entries_are_spread_over_all_masters_and_read_together() {
    let set = ClusterSet::start();
    let (here, there) = (process_with(&set, crate::patient), process_with(&set, crate::patient));
    caches(&here).await;
    caches(&there).await;
    here.set_many(names().into_iter().zip(0_u32..)).await.unwrap();
    let counts = entries(&set);
    println!("entries on each master: {counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), ENTRIES);
    assert!(counts.iter().all(|count| *count > ENTRIES / 6), "{counts:?}");
    let found = there.get_many::<u32>(names().into_iter().chain(["absent".to_owned()])).await.unwrap();
    let expected: Vec<Option<u32>> = (0..300).map(Some).chain([None]).collect();
    assert_eq!(found, expected);
    assert!(there.remove("k7").await.unwrap());
    assert_eq!(here.get::<u32>("k7").await.unwrap(), None);
    assert_eq!(computed(&here, "k7", 70).await, 70);
    assert_eq!(computed(&there, "k7", 71).await, 70);
}

#[tokio::test]
async fn clearing_takes_exactly_ours_from_every_master() {
    let set = ClusterSet::start();
    let cache = process_with(&set, crate::patient);
    caches(&cache).await;
    cache.set_many(names().into_iter().zip(0_u32..)).await.unwrap();
    cache.set_many(names().into_iter().take(30).zip(0_u32..)).namespace("n").await.unwrap();
    let theirs: Vec<String> = (0..100).flat_map(|n| [format!("app2:{n}"), format!("other:{n}")]).collect();
    for name in &theirs {
        let () = set.servers[set.owner(name)].run(&[b"SET", name.as_bytes(), b"theirs"]);
    }
    assert_eq!(cache.clear_namespace("n").await.unwrap(), 30);
    assert_eq!(entries(&set).iter().sum::<usize>(), ENTRIES);
    assert!(cache.clear().await.unwrap() >= ENTRIES as u64);
    assert_eq!(entries(&set), [0, 0, 0]);
    let left = (0..3).flat_map(|at| set.names(at));
    assert_eq!(left.filter(|name| !name.starts_with(b"app%") && !name.starts_with(b"{app%")).count(), theirs.len());
    assert_eq!(cache.get_many::<u32>(names()).await.unwrap(), vec![None; ENTRIES]);
    for replica in &set.servers[3..] {
        assert_eq!(replica.calls("scan"), 0, "a replica is nobody's business");
    }
    for forbidden in ["keys", "flushdb", "flushall", "del"] {
        // The test itself asks each master for its names.
        let calls: u64 = set.masters().iter().map(|master| master.calls(forbidden)).sum();
        assert!(calls == 0 || forbidden == "keys", "{forbidden}");
    }
}

#[tokio::test]
async fn a_service_boots_without_a_cluster_and_caches_once_it_comes() {
    let mut set = ClusterSet::absent();
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
async fn the_documented_rights_are_all_that_is_needed() {
    let set = ClusterSet::start();
    let rights = "on >word resetchannels &app%bus* ~app:* ~app%* ~{app%gen}* +eval +evalsha +script|load +mget +set \
                  +unlink +scan +pexpire +pttl +ping +time +publish +subscribe +cluster|slots +cluster|info +asking";
    let words: Vec<&[u8]> =
        ["ACL", "SETUSER", "user"].into_iter().chain(rights.split(' ')).map(str::as_bytes).collect();
    for server in &set.servers {
        let () = server.run(&words);
    }
    let urls = set.servers[1..3].iter().map(|server| format!("redis://user:word@127.0.0.1:{}", server.port()));
    let store = Store::with("app", crate::patient(FmRedisBackend::cluster(urls).unwrap()));
    for at in 0..3 {
        let key = store.key(&set.name_on(at, "f"));
        store.run_and_store(&key, "value").await;
        assert_eq!(now(store.remove(&key).await), 1);
        store.run_and_store(&key, "value").await;
    }
    assert_eq!(now(store.tier.clear(&Group::All).await), 3);
    for server in &set.servers {
        let refused: Vec<redis::Value> = server.run(&[b"ACL", b"LOG"]);
        assert!(refused.is_empty(), "{refused:?}");
    }
}

/// Calls and invalidates while one master fails and its replica takes over.
async fn fails_over(what: &str, failing: usize, trouble: impl FnOnce(&mut ClusterSet)) {
    let mut set = ClusterSet::start();
    let cache = process(&set);
    caches(&cache).await;
    let key = set.name_on(failing, "probe");
    let traffic = Traffic::on(&cache);
    traffic.goes_on(100).await;
    let began = Instant::now();
    trouble(&mut set);
    let (promoted, ()) =
        eventually(PROMOTION, "the replica takes over", || async { set.leads(3 + failing).then_some(()) }).await;
    let (healed, ()) = eventually(HEALED, "its keys are cached again", || async {
        cache.set(key.as_str(), 1_u32).await.unwrap();
        cache.get::<u32>(key.as_str()).await.unwrap().map(|_| ())
    })
    .await;
    println!("{what}: promoted after {promoted:?}, its keys cached {healed:?} later");
    traffic.goes_on(500).await;
    let calls = traffic.end().await;
    judge(what, &calls, PATIENCE, began + Duration::from_secs(2));
    let there = set.servers[3 + failing].run::<bool>(&[b"EXISTS", format!("app:{key}").as_bytes()]);
    assert!(there, "on the new master");
}

#[tokio::test]
async fn a_master_that_is_killed_is_replaced_by_its_replica() {
    for failing in [0, 2] {
        fails_over(&format!("killed {failing}"), failing, |set| set.servers[failing].kill()).await;
    }
}

#[tokio::test]
async fn a_master_that_hangs_is_replaced_by_its_replica() {
    for failing in [0, 1] {
        fails_over(&format!("hung {failing}"), failing, |set| set.servers[failing].hang()).await;
    }
}

#[tokio::test]
async fn what_a_lost_master_confirmed_is_repeated_to_its_replica() {
    let mut set = ClusterSet::start();
    let cache = process(&set);
    caches(&cache).await;
    let failing = (set.owner("{app%gen}") + 1) % 3;
    let (removed, kept) = (set.name_on(failing, "removed"), set.name_on(failing, "kept"));
    for key in [&removed, &kept] {
        assert_eq!(computed(&cache, key, 1).await, 1);
    }
    let () = set.servers[failing].run(&[b"WAIT", b"1", b"1000"]);
    // The replica hears nothing more: it is not let in again.
    let mut admin = set.servers[failing].connection();
    let () = redis::cmd("CONFIG").arg(&["SET", "requirepass", "secret"]).query(&mut admin).unwrap();
    let () = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "replica"]).query(&mut admin).unwrap();
    assert!(cache.remove(removed.as_str()).strict().await.unwrap());
    set.servers[failing].kill();
    eventually(PROMOTION, "the replica takes over", || async { set.leads(3 + failing).then_some(()) }).await;
    let there: bool = set.servers[3 + failing].run(&[b"EXISTS", format!("app:{removed}").as_bytes()]);
    println!("the replica has it still: {there}");
    eventually(HEALED, "its keys are cached again", || async {
        assert_eq!(cache.get::<u32>(removed.as_str()).await.unwrap(), None, "it was removed");
        cache.get::<u32>(kept.as_str()).await.unwrap()
    })
    .await;
    assert_eq!(cache.get::<u32>(removed.as_str()).await.unwrap(), None, "it was removed");
}

#[tokio::test]
async fn a_cluster_is_found_again_when_the_seed_has_gone() {
    let mut set = ClusterSet::start();
    let store = Store::with("app", FmRedisBackend::cluster([set.servers[0].url()]).unwrap());
    store.works(&store.key("f")).await;
    set.servers[0].kill();
    eventually(PROMOTION, "the replica takes over", || async { set.leads(3).then_some(()) }).await;
    store.works(&store.key("f")).await;
    set.servers[1..4].iter().for_each(RedisServer::hang);
    store.fails_fast(&store.key("f")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    set.servers[1..4].iter().for_each(RedisServer::go_on);
    store.works(&store.key("f")).await;
}

#[tokio::test]
async fn changes_on_every_master_are_heard_also_after_a_failover() {
    let mut set = ClusterSet::start();
    let store = || Store::with("app", FmRedisBackend::cluster(set.urls()).unwrap());
    let (here, there) = (store(), store());
    let ears = listen(&there).await;
    here.works(&here.key("f")).await;
    let names: Vec<String> = (0..3).map(|at| set.name_on(at, "told")).collect();
    for name in &names {
        let took = hears(&here, &ears, name).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    set.servers[1].kill();
    eventually(PROMOTION, "the replica takes over", || async { set.leads(4).then_some(()) }).await;
    for name in &names {
        let took = hears(&here, &ears, name).await;
        println!("{name} heard {took:?} after the promotion");
        assert!(took < HEALED, "{took:?}");
    }
}

/// Asks for `kept` again and again, and removes and computes `lost` in between; p99 and the longest.
async fn each_hits(cache: &FmCache, kept: &str, lost: &str) -> (Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..600 {
        // A removal that can't be told to its master must not hold up the others.
        cache.remove(lost).await.unwrap();
        let (time, found) = timed(cache.get::<u32>(kept).into_future()).await;
        times.push(time);
        assert_eq!(found.unwrap(), Some(1), "after {} calls", times.len());
        assert_eq!(computed(cache, lost, 2).await, 2);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort();
    (times[594], times[599])
}

#[tokio::test]
async fn the_keys_of_other_masters_go_on_being_cached_while_one_hangs() {
    let set =
        ClusterSet::start_with(&["--cluster-require-full-coverage", "no", "--cluster-replica-no-failover", "yes"]);
    let cache = process(&set);
    caches(&cache).await;
    let failing = (set.owner("{app%gen}") + 1) % 3;
    let (lost, kept) = (set.name_on(failing, "lost"), set.name_on((failing + 1) % 3, "kept"));
    cache.set(lost.as_str(), 1_u32).await.unwrap();
    cache.set(kept.as_str(), 1_u32).await.unwrap();
    set.servers[failing].hang();
    let well = each_hits(&cache, &kept, &lost).await;
    cache.set(lost.as_str(), 1_u32).await.unwrap();
    set.servers[failing].hang();
    let late = each_hits(&cache, &kept, &lost).await;
    println!("keys of others: p99 {:?}, longest {:?}; while one hangs {:?}, {:?}", well.0, well.1, late.0, late.1);
    assert!(late.0 < well.0 + SKIPPED && late.1 < PATIENCE);
    set.servers[failing].go_on();
    let (healed, ()) = eventually(HEALED, "its keys are cached again", || async {
        assert_ne!(cache.get::<u32>(lost.as_str()).await.unwrap(), Some(1), "it was removed");
        cache.set(lost.as_str(), 3_u32).await.unwrap();
        (cache.get::<u32>(lost.as_str()).await.unwrap() == Some(3)).then_some(())
    })
    .await;
    println!("cached again after {healed:?}");
    // Its silence is noticed without a call, so that the next one costs nothing.
    set.servers[failing].hang();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (time, outcome) = timed(cache.get::<u32>(lost.as_str()).strict().into_future()).await;
    assert!(outcome.is_err() && time < AT_ONCE, "{time:?}");
}

#[tokio::test]
async fn slots_that_move_while_calls_run_fail_no_call_and_lose_no_invalidation() {
    let set = ClusterSet::start();
    let cache = process(&set);
    caches(&cache).await;
    let traffic = Traffic::on(&cache);
    traffic.goes_on(200).await;
    let began = Instant::now();
    let mut slots: Vec<u16> = Vec::new();
    for number in 0..KEYS / 2 {
        let text = cache.scope(async { told::key(number).to_string() }).await;
        slots.push(set.servers[0].run(&[b"CLUSTER", b"KEYSLOT", text.as_bytes()]));
    }
    slots.sort();
    slots.dedup();
    for slot in &slots {
        let from = set.owner_of(*slot);
        set.begin_to_move(*slot, from, (from + 1) % 3);
        traffic.goes_on(10).await;
        set.move_keys(*slot, from, (from + 1) % 3);
        traffic.goes_on(3).await;
        set.end_to_move(*slot, (from + 1) % 3);
        traffic.goes_on(3).await;
    }
    let took = began.elapsed();
    let errors = cache.stats().errors;
    traffic.goes_on(300).await;
    assert_eq!(cache.stats().errors, errors, "nothing is in doubt once the slots have moved");
    let calls = traffic.end().await;
    println!("{} slots moved in {took:?}, {errors} reads and writes passed over", slots.len());
    judge("moving slots", &calls, PATIENCE, began);
}
