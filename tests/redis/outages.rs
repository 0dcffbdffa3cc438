//! Redis absent, dead, hung, slow, loading, locked: each call within its time, and used again soon after.

use std::time::{Duration, Instant};

use crate::{
    AT_ONCE, HEALED, PATIENCE, Store,
    support::{
        eventually,
        proxy::{Mode, Proxy},
        redis_server::RedisServer,
        timed,
    },
};

/// Calls until it is known that there is no connection, then a few more; each within its time.
async fn each_call_is_short(store: &Store) {
    let key = store.key("f");
    store.fails_fast(&key).await;
    for _ in 0..20 {
        let (time, outcome) = timed(store.fetch(&key)).await;
        assert!(outcome.unwrap_err().is_backend());
        assert!(time < AT_ONCE, "a call that knows took {time:?}");
    }
    let (time, outcome) = timed(store.store(&key, "value", None)).await;
    assert!(outcome.is_err() && time < PATIENCE);
}

/// Works again within the promised time, and really.
async fn heals(store: &Store) {
    let key = store.key("f");
    let (time, _) = store.healed(&key).await;
    assert!(time < HEALED, "healed after {time:?}");
    store.works(&key).await;
}

#[tokio::test]
async fn redis_absent_at_boot_costs_little_and_is_found_when_it_comes() {
    let mut server = RedisServer::absent();
    let store = Store::at(&server.url());
    let (time, outcome) = timed(store.fetch(&store.key("f"))).await;
    assert!(outcome.unwrap_err().is_backend() && time < PATIENCE, "the first call took {time:?}");
    each_call_is_short(&store).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.restart();
    heals(&store).await;
}

#[tokio::test]
async fn redis_that_swallows_everything_at_boot_costs_one_deadline() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    proxy.all(Mode::Blackhole);
    let store = Store::at(&proxy.url());
    let key = store.key("f");
    let (time, outcome) = timed(store.fetch(&key)).await;
    assert!(outcome.is_err() && time < PATIENCE, "the first call took {time:?}");
    let (time, outcome) = timed(store.fetch(&key)).await;
    assert!(outcome.is_err() && time < AT_ONCE, "the second call took {time:?}");
    each_call_is_short(&store).await;
    proxy.fresh(Mode::Pass);
    heals(&store).await;
}

#[tokio::test]
async fn redis_killed_and_started_again() {
    let mut server = RedisServer::start();
    let store = Store::at(&server.url());
    heals(&store).await;
    server.kill();
    each_call_is_short(&store).await;
    server.restart();
    heals(&store).await;
}

#[tokio::test]
async fn redis_hung() {
    let server = RedisServer::start();
    let store = Store::at(&server.url());
    heals(&store).await;
    server.hang();
    each_call_is_short(&store).await;
    server.go_on();
    heals(&store).await;
}

#[tokio::test]
async fn a_half_open_connection_that_stays_dead_is_replaced() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    heals(&store).await;
    proxy.existing(Mode::Blackhole);
    heals(&store).await;
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn a_half_open_connection_is_found_without_a_call() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    heals(&store).await;
    proxy.existing(Mode::Blackhole);
    crate::support::eventually(HEALED, "the heartbeat notices", || async { (proxy.accepted() > 1).then_some(()) })
        .await;
    heals(&store).await;
}

#[tokio::test]
async fn connections_that_are_reset() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    heals(&store).await;
    proxy.refuse(true);
    proxy.reset();
    each_call_is_short(&store).await;
    proxy.refuse(false);
    heals(&store).await;
}

#[tokio::test]
async fn a_network_slower_than_the_deadline() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    heals(&store).await;
    proxy.all(Mode::Delay(Duration::from_millis(300)));
    for _ in 0..20 {
        let (time, outcome) = timed(store.fetch(&store.key("f"))).await;
        assert!(outcome.is_err() && time < PATIENCE, "a call took {time:?}");
    }
    proxy.all(Mode::Pass);
    heals(&store).await;
}

#[tokio::test]
async fn redis_that_is_slow_for_long_is_skipped_until_it_is_fast_again() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    let key = store.key("f");
    heals(&store).await;
    proxy.all(Mode::Delay(Duration::from_millis(300)));
    let start = Instant::now();
    let mut calls = Vec::new();
    while start.elapsed() < Duration::from_secs(3) {
        let began = start.elapsed();
        let (time, outcome) = timed(store.fetch(&key)).await;
        assert!(outcome.is_err() && time < PATIENCE, "a call took {time:?}");
        calls.push((began, time));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let slow: Vec<_> = calls.iter().filter(|(_, time)| *time > AT_ONCE).collect();
    assert!(calls.len() >= 200, "{} calls", calls.len());
    assert!(slow.len() <= 12, "{} of {} calls waited", slow.len(), calls.len());
    assert!(slow.iter().all(|(began, _)| *began < Duration::from_millis(1_500)), "some waited again: {slow:?}");
    proxy.all(Mode::Pass);
    heals(&store).await;
}

#[tokio::test]
async fn a_connection_that_only_a_patient_caller_could_use_is_left_without_any_call() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    heals(&store).await;
    // Slower than a call may be, and no slower than half a heartbeat.
    proxy.all(Mode::Delay(Duration::from_millis(75)));
    eventually(HEALED, "the heartbeat notices", || async { (proxy.accepted() > 2).then_some(()) }).await;
    let (time, outcome) = timed(store.fetch(&store.key("f"))).await;
    assert!(outcome.is_err() && time < AT_ONCE, "a call took {time:?}");
    proxy.all(Mode::Pass);
    heals(&store).await;
}

#[tokio::test]
async fn a_slow_redis_is_used_by_those_who_ask_for_patience() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    proxy.all(Mode::Delay(Duration::from_millis(80)));
    let store = Store::patient(&proxy.url());
    let key = store.key("f");
    store.healed(&key).await;
    for _ in 0..4 {
        store.run_and_store(&key, "value").await;
        assert_eq!(store.payload(&key).await.as_deref(), Some("value"));
    }
    assert_eq!(proxy.accepted(), 1, "no heartbeat was missed");
}

#[tokio::test]
async fn answers_that_are_garbage_or_cut_for_a_while() {
    for mode in [Mode::Garbage, Mode::Cut] {
        let server = RedisServer::start();
        let proxy = Proxy::to(server.port());
        let store = Store::at(&proxy.url());
        let key = store.key("f");
        heals(&store).await;
        proxy.all(mode);
        let start = Instant::now();
        let (mut calls, mut slow) = (0, 0);
        while start.elapsed() < Duration::from_secs(2) {
            let (time, outcome) = timed(store.fetch(&key)).await;
            assert!(outcome.unwrap_err().is_backend() && time < PATIENCE, "{mode:?}: a call took {time:?}");
            calls += 1;
            slow += u32::from(time > AT_ONCE);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(slow <= 2 && calls > 100, "{mode:?}: {slow} of {calls} calls waited");
        proxy.all(Mode::Pass);
        heals(&store).await;
    }
}

#[tokio::test]
async fn a_server_that_comes_back_empty_knows_nothing_of_before() {
    let mut server = RedisServer::start();
    let store = Store::at(&server.url());
    let key = store.key_in("reports", "f");
    heals(&store).await;
    store.run_and_store_with(&key, "value", &["t"]).await;
    let stamp = store.stamp(&key).await;
    server.kill();
    store.fails_fast(&key).await;
    server.restart();
    let (time, found) = store.healed(&key).await;
    assert!(found.payload.is_none() && time < HEALED, "healed after {time:?}");
    store.is_overtaken(&key, stamp, &["t"]).await;
    store.run_and_store_with(&key, "fresh", &["t"]).await;
    assert_eq!(store.payload(&key).await.as_deref(), Some("fresh"));
}

#[tokio::test]
async fn fifty_clients_come_back_without_a_rush() {
    const CLIENTS: usize = 50;
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let stores: Vec<_> = (0..CLIENTS).map(|_| Store::at(&proxy.url())).collect();
    let all_heal = || async {
        futures::future::join_all(stores.iter().map(|store| async { store.healed(&store.key("f")).await.0 })).await
    };
    all_heal().await;
    proxy.refuse(true);
    proxy.reset();
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.refuse(false);
    let slowest = all_heal().await.into_iter().max().unwrap();
    assert!(slowest < HEALED, "the last one healed after {slowest:?}");
    let tries = proxy.accepted_at();
    let again = &tries[CLIENTS..];
    // A twentieth is left for the time between a dial and its being accepted.
    let busiest = again.iter().map(|start| again.iter().filter(|at| within(**at, *start, 950)).count()).max();
    assert!(busiest.unwrap() <= 5 * CLIENTS, "{busiest:?} tries within a second");
    let together = again.iter().map(|start| again.iter().filter(|at| within(**at, *start, 20)).count()).max();
    assert!(together.unwrap() <= CLIENTS, "{together:?} tries within 20 ms");
}

/// Whether a moment lies in the milliseconds after another one.
fn within(at: Instant, start: Instant, millis: u64) -> bool {
    at >= start && at.duration_since(start) < Duration::from_millis(millis)
}

#[tokio::test]
async fn ten_calls_without_an_answer_condemn_a_connection() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let store = Store::at(&proxy.url());
    heals(&store).await;
    proxy.all(Mode::Blackhole);
    let key = store.key("f");
    let outcomes = futures::future::join_all((0..10).map(|_| store.fetch(&key))).await;
    assert!(outcomes.iter().all(Result::is_err));
    let (time, outcome) = timed(store.fetch(&key)).await;
    assert!(outcome.is_err() && time < AT_ONCE, "the next call took {time:?}");
    proxy.fresh(Mode::Pass);
    heals(&store).await;
}

#[tokio::test]
async fn a_password_that_changes_and_comes_back() {
    let server = RedisServer::start_with(&["--requirepass", "first"]);
    let admin = redis::Client::open(format!("redis://:first@127.0.0.1:{}", server.port())).unwrap();
    let mut admin = admin.get_connection().unwrap();
    let store = Store::at(&format!("redis://:first@127.0.0.1:{}", server.port()));
    heals(&store).await;
    let change = |admin: &mut redis::Connection, password: &str| {
        let () = redis::cmd("CONFIG").arg(&["SET", "requirepass", password]).query(admin).unwrap();
    };
    change(&mut admin, "second");
    let () = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).query(&mut admin).unwrap();
    each_call_is_short(&store).await;
    let shown = store.fetch(&store.key("f")).await.unwrap_err();
    assert!(!format!("{shown} {shown:?}").contains("first"), "{shown:?}");
    change(&mut admin, "first");
    heals(&store).await;
}

#[tokio::test]
async fn a_login_that_is_lost_on_a_live_connection_is_renewed() {
    let server = RedisServer::start();
    let store = Store::at(&format!("redis://user:word@127.0.0.1:{}", server.port()));
    let () = server.run(&[b"ACL", b"SETUSER", b"user", b"on", b">word", b"~*", b"&*", b"+@all"]);
    heals(&store).await;
    let () = server.run(&[b"ACL", b"DELUSER", b"user"]);
    each_call_is_short(&store).await;
    let () = server.run(&[b"ACL", b"SETUSER", b"user", b"on", b">word", b"~*", b"&*", b"+@all"]);
    heals(&store).await;
}

#[tokio::test]
async fn a_server_that_pauses_its_clients() {
    let server = RedisServer::start();
    let store = Store::at(&server.url());
    heals(&store).await;
    let () = server.run(&[b"CLIENT", b"PAUSE", b"1500"]);
    let (time, outcome) = timed(store.fetch(&store.key("f"))).await;
    assert!(outcome.is_err() && time < PATIENCE, "a call took {time:?}");
    heals(&store).await;
}

#[tokio::test]
async fn a_server_that_loads_its_data() {
    let mut server = RedisServer::start();
    let mut pipeline = redis::pipe();
    for n in 0..2_000 {
        pipeline.set(format!("other:{n}"), "value").ignore();
    }
    let () = pipeline.query(&mut server.connection()).unwrap();
    let () = server.run(&[b"SAVE"]);
    let store = Store::at(&server.url());
    heals(&store).await;
    // Two seconds in all.
    server.restart_with(&["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"]);
    each_call_is_short(&store).await;
    heals(&store).await;
    assert!(server.run::<bool>(&[b"EXISTS", b"other:1999"]), "it had been loading");
}

#[tokio::test]
async fn no_second_sees_more_than_five_tries_to_connect() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    proxy.refuse(true);
    let store = Store::at(&proxy.url());
    let _ = store.fetch(&store.key("f")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let tries = proxy.accepted_at();
    assert!(tries.len() >= 3, "it keeps trying: {tries:?}");
    // A twentieth is left for the time between a dial and its being accepted.
    let second = Duration::from_millis(950);
    let crowded = tries.windows(6).find(|six| six[5] - six[0] < second);
    assert!(crowded.is_none(), "six tries within a second: {crowded:?}");
}
