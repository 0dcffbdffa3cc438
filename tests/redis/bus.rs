//! What one process changes, others hear.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use memory_core::backend::{Group, RemoteKey, Watcher};
use memory_redis::FmRedisBackend;
use tokio::sync::mpsc;

use crate::{
    HEALED, LAYOUTS, Store, is_queued, now,
    support::{
        eventually,
        proxy::{Mode, Proxy},
        redis_server::RedisServer,
        timed,
    },
};

/// How long it may take until others hear of a change.
const TOLD: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Changed(Vec<u8>),
    Invalidated(Group),
    /// Up to this moment.
    InStep(Instant),
    Resync,
}

/// Writes down what it hears, and when.
struct Recorder(mpsc::UnboundedSender<(Instant, Event)>);

impl Recorder {
    fn note(&self, event: Event) {
        let _ = self.0.send((Instant::now(), event));
    }
}

impl Watcher for Recorder {
    fn changed(&self, wire: &[u8]) {
        self.note(Event::Changed(wire.to_vec()));
    }
    fn invalidated(&self, group: &Group) {
        self.note(Event::Invalidated(group.clone()));
    }
    fn in_step(&self, ago: Duration) {
        self.note(Event::InStep(Instant::now() - ago));
    }
    fn resync(&self) {
        self.note(Event::Resync);
    }
}

pub(crate) struct Ears(tokio::sync::Mutex<mpsc::UnboundedReceiver<(Instant, Event)>>);

impl Ears {
    /// The next event.
    async fn next(&self) -> (Instant, Event) {
        let mut events = self.0.lock().await;
        tokio::time::timeout(HEALED, events.recv()).await.expect("something is heard").expect("somebody watches")
    }

    /// The next change; when it was heard.
    pub(crate) async fn change(&self) -> (Instant, Event) {
        loop {
            match self.next().await {
                (_, Event::InStep(_)) => {}
                change => return change,
            }
        }
    }

    /// Waits until it is heard that the stream begins and is sound.
    async fn in_step(&self) {
        while self.next().await.1 != Event::Resync {}
        while !matches!(self.next().await.1, Event::InStep(_)) {}
    }
}

/// Has a key changed until that is heard; how long it took, with what was missing for it.
pub(crate) async fn hears(here: &Store, ears: &Ears, name: &str) -> Duration {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = Instant::now();
    loop {
        let wire = NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        let told = here.store(&wired(here, name, &wire), "value", None).await.is_ok();
        let heard = async { while ears.change().await.1 != Event::Changed(wire.to_vec()) {} };
        if told && tokio::time::timeout(TOLD, heard).await.is_ok() {
            return start.elapsed();
        }
        assert!(start.elapsed() < 4 * HEALED, "changes are not heard");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Has `store` watched, and waits until it hears.
pub(crate) async fn listen(store: &Store) -> Ears {
    let (events, heard) = mpsc::unbounded_channel();
    store.tier.watch(Arc::new(Recorder(events)));
    let ears = Ears(tokio::sync::Mutex::new(heard));
    store.healed(&store.key("first")).await;
    ears.in_step().await;
    ears
}

pub(crate) fn wired(store: &Store, name: &str, wire: &[u8]) -> RemoteKey {
    RemoteKey { wire: wire.into(), ..store.key(name) }
}

/// Waits until `ears` hear again what `here` changes.
async fn is_heard(here: &Store, ears: &Ears) {
    let mark = wired(here, "mark", b"mark");
    eventually(HEALED, "a change arrives", || async { here.store(&mark, "value", None).await.ok() }).await;
    while ears.change().await.1 != Event::Changed(b"mark".to_vec()) {}
}

#[tokio::test]
async fn every_kind_of_change_is_told_within_100_ms() {
    for open in LAYOUTS {
        let server = RedisServer::start();
        let (here, there) = (open(&server.url()), open(&server.url()));
        let ears = listen(&there).await;
        here.healed(&here.key("f")).await;
        let (mut told_after, mut in_all) = (Vec::new(), Vec::new());
        for round in 0..200_u32 {
            let key = wired(&here, &round.to_string(), &round.to_le_bytes());
            let group = match round % 5 {
                2 => Group::Namespace("a/b%:{}".into()),
                3 => Group::Tag(format!("t\r\n\0{round}\u{e9}").into()),
                _ => Group::All,
            };
            let start = Mutex::new(Instant::now());
            let (told, (at, event)) = timed(async {
                *start.lock().unwrap() = Instant::now();
                match round % 5 {
                    0 => here.run_and_store(&key, "value").await,
                    1 => drop(now(here.remove(&key).await)),
                    _ => drop(now(here.tier.clear(&group).await)),
                }
                ears.change().await
            })
            .await;
            let expected = if round % 5 < 2 { Event::Changed(key.wire.to_vec()) } else { Event::Invalidated(group) };
            assert_eq!(event, expected, "round {round}");
            told_after.push(told);
            in_all.push(at - *start.lock().unwrap());
        }
        told_after.sort();
        in_all.sort();
        println!("told after {:?} (median), {:?} (99 of 100)", in_all[100], in_all[197]);
        assert!(told_after[197] < TOLD, "99 of 100 are told within {:?}", told_after[197]);
    }
}

#[tokio::test]
async fn wires_arrive_as_they_went_whatever_their_bytes() {
    let server = RedisServer::start();
    let (here, there) = (Store::patient(&server.url()), Store::patient(&server.url()));
    let ears = listen(&there).await;
    let all: Vec<u8> = (0..=255).collect();
    for wire in [&b""[..], b"\0", b"\r\n*3\r\n", &all, &all.repeat(400)] {
        here.store(&wired(&here, "f", wire), "value", None).await.unwrap();
        assert_eq!(ears.change().await.1, Event::Changed(wire.to_vec()));
    }
}

#[tokio::test]
async fn what_is_refused_is_not_told_and_neither_is_what_one_does_oneself() {
    let server = RedisServer::start();
    let (here, there) = (Store::patient(&server.url()), Store::patient(&server.url()));
    let ears = listen(&there).await;
    let (own, theirs) = (wired(&there, "f", b"own"), wired(&here, "g", b"theirs"));
    there.run_and_store(&own, "value").await;
    there.store(&own, "by hand", None).await.unwrap();
    now(there.remove(&own).await);
    for group in [Group::All, Group::Namespace("n".into()), Group::Tag("t".into())] {
        now(there.tier.clear(&group).await);
    }
    let stamp = here.stamp(&theirs).await;
    now(there.remove(&theirs).await);
    here.is_overtaken(&theirs, stamp, &[]).await;
    here.store(&wired(&here, "mark", b"mark"), "value", None).await.unwrap();
    assert_eq!(ears.change().await.1, Event::Changed(b"mark".to_vec()));
}

#[tokio::test]
async fn other_prefixes_are_not_heard() {
    let server = RedisServer::start();
    let (here, there) = (Store::patient(&server.url()), Store::patient(&server.url()));
    let ears = listen(&there).await;
    for prefix in ["app2", "ap", "app%bus", "*"] {
        let other = Store::with(prefix, crate::patient(FmRedisBackend::connect(server.url()).unwrap()));
        other.store(&wired(&other, "f", b"other"), "value", None).await.unwrap();
        now(other.tier.clear(&Group::All).await);
    }
    here.store(&wired(&here, "mark", b"mark"), "value", None).await.unwrap();
    assert_eq!(ears.change().await.1, Event::Changed(b"mark".to_vec()));
}

#[tokio::test]
async fn nobody_listens_where_nobody_watches() {
    let server = RedisServer::start();
    let store = Store::patient(&server.url());
    store.run_and_store(&store.key("f"), "value").await;
    let channels: Vec<String> = server.run(&[b"PUBSUB", b"CHANNELS"]);
    assert!(channels.is_empty(), "{channels:?}");
}

#[tokio::test]
async fn a_message_that_makes_no_sense_is_a_reason_to_resync_and_no_more() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let (here, there) = (Store::patient(&server.url()), Store::patient(&proxy.url()));
    let ears = listen(&there).await;
    for junk in [&b""[..], b"junk", b"0123456789abcdefz", b"0123456789abcdefn\xff"] {
        let () = server.run(&[b"PUBLISH", b"app%bus", junk]);
        assert_eq!(ears.change().await.1, Event::Resync, "{junk:?}");
    }
    is_heard(&here, &ears).await;
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn a_connection_that_is_killed_is_made_anew_and_nothing_is_taken_for_granted() {
    let server = RedisServer::start();
    let (here, there) = (Store::patient(&server.url()), Store::patient(&server.url()));
    let ears = listen(&there).await;
    for _ in 0..3 {
        let () = server.run(&[b"CLIENT", b"KILL", b"TYPE", b"pubsub"]);
        ears.in_step().await;
        is_heard(&here, &ears).await;
    }
}

#[tokio::test]
async fn a_connection_that_goes_silent_is_noticed_and_made_anew() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let (here, there) = (Store::patient(&server.url()), Store::at(&proxy.url()));
    let ears = listen(&there).await;
    // The second connection is the one that listens.
    proxy.existing_from(1, Mode::Blackhole);
    let silent = Instant::now();
    here.store(&wired(&here, "missed", b"missed"), "value", None).await.unwrap();
    loop {
        match ears.next().await {
            (_, Event::InStep(up_to)) => assert!(up_to <= silent, "in step while nothing is heard"),
            (_, Event::Resync) => break,
            (_, event) => panic!("{event:?} through a dead connection"),
        }
    }
    assert!(there.fetch(&there.key("f")).await.is_ok(), "the other connection had nothing to do with it");
    assert_eq!(proxy.accepted(), 3);
    is_heard(&here, &ears).await;
}

#[tokio::test]
async fn nothing_is_in_step_while_all_connections_are_silent() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let (here, there) = (Store::patient(&server.url()), Store::at(&proxy.url()));
    let ears = listen(&there).await;
    proxy.all(Mode::Blackhole);
    let silent = Instant::now();
    there.fails_fast(&there.key("f")).await;
    here.store(&wired(&here, "missed", b"missed"), "value", None).await.unwrap();
    // The connections of before stay dead.
    proxy.fresh(Mode::Pass);
    loop {
        match ears.next().await {
            (_, Event::InStep(up_to)) => assert!(up_to <= silent, "in step while nothing is heard"),
            (_, Event::Resync) => break,
            (_, event) => panic!("{event:?} through a dead connection"),
        }
    }
    is_heard(&here, &ears).await;
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_is_heard_again() {
    let mut server = RedisServer::start();
    let (here, there) = (Store::patient(&server.url()), Store::patient(&server.url()));
    let ears = listen(&there).await;
    server.kill();
    crate::support::eventually(HEALED, "the outage is noticed", || async {
        there.fetch(&there.key("f")).await.is_err().then_some(())
    })
    .await;
    server.restart();
    // Calls alone do not make it heal; the stream comes back by itself.
    ears.in_step().await;
    is_heard(&here, &ears).await;
}

#[tokio::test]
async fn a_removal_that_is_replayed_is_told() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port());
    let (here, there) = (Store::patient(&proxy.url()), Store::patient(&server.url()));
    let ears = listen(&there).await;
    let key = wired(&here, "f", b"wire");
    here.run_and_store(&key, "value").await;
    assert_eq!(ears.change().await.1, Event::Changed(b"wire".to_vec()));
    proxy.refuse(true);
    proxy.existing(Mode::Blackhole);
    proxy.reset();
    assert!(is_queued(&here.remove(&key).await));
    assert!(is_queued(&here.tier.clear(&Group::Tag("t".into())).await));
    proxy.refuse(false);
    let told = [ears.change().await.1, ears.change().await.1];
    assert!(told.contains(&Event::Changed(b"wire".to_vec())), "{told:?}");
    assert!(told.contains(&Event::Invalidated(Group::Tag("t".into()))), "{told:?}");
}

#[tokio::test]
async fn without_the_right_to_the_channel_everything_works_and_nothing_is_heard() {
    let server = RedisServer::start();
    let () = server.run(&[b"ACL", b"SETUSER", b"user", b"on", b">word", b"~*", b"resetchannels", b"+@all"]);
    let url = format!("redis://user:word@127.0.0.1:{}", server.port());
    let store = Store::patient(&url);
    let (events, mut heard) = mpsc::unbounded_channel();
    store.tier.watch(Arc::new(Recorder(events)));
    let key = store.key("f");
    store.run_and_store_with(&key, "value", &["t"]).await;
    assert_eq!(now(store.remove(&key).await), 1);
    store.invalidate("t").await;
    now(store.tier.clear(&Group::All).await);
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn the_documented_rights_are_all_that_is_needed() {
    let server = RedisServer::start();
    let user: &[&[u8]] = &[b"ACL", b"SETUSER", b"user", b"on", b">word", b"resetchannels", b"&app%bus*", b"~app:*"];
    let more: &[&[u8]] = &[b"~app%*", b"~{app%gen}*", b"+eval", b"+evalsha", b"+script|load", b"+mget", b"+set"];
    let rest: &[&[u8]] = &[b"+unlink", b"+scan", b"+pexpire", b"+pttl", b"+ping", b"+time", b"+publish", b"+subscribe"];
    let () = server.run(&[user, more, rest].concat());
    let url = format!("redis://user:word@127.0.0.1:{}", server.port());
    for open in LAYOUTS {
        let (here, there) = (open(&url), open(&url));
        let ears = listen(&there).await;
        let key = here.key_in("n", "f");
        here.run_and_store_with(&key, "value", &["t"]).await;
        here.store_with(&key, "by hand", None, &["t"]).await.unwrap();
        here.tier.touch(&key, Duration::from_secs(60)).await.unwrap();
        assert!(here.tier.lease(&key, Duration::from_secs(60)).await.unwrap());
        assert_eq!(now(here.remove(&key).await), 1);
        here.invalidate("t").await;
        here.run_and_store_with(&key, "value", &["t"]).await;
        assert_eq!(now(here.tier.clear(&Group::Namespace("n".into())).await), 1);
        is_heard(&here, &ears).await;
    }
    let refused: Vec<redis::Value> = server.run(&[b"ACL", b"LOG"]);
    assert!(refused.is_empty(), "{refused:?}");
}

#[tokio::test]
async fn a_closed_or_dropped_store_leaves_no_connection() {
    let server = RedisServer::start();
    for close in [true, false] {
        let store = Store::patient(&server.url());
        let _ears = listen(&store).await;
        if close {
            store.tier.close().await;
        }
        drop(store);
        eventually(HEALED, "the connections end", || async {
            let clients: String = server.run(&[b"CLIENT", b"LIST"]);
            (clients.lines().count() == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn under_paused_time_changes_are_heard_and_the_heartbeat_does_not_spin() {
    let server = RedisServer::start();
    let (here, there) = (Store::patient(&server.url()), Store::patient(&server.url()));
    let (events, mut heard) = mpsc::unbounded_channel();
    there.tier.watch(Arc::new(Recorder(events)));
    there.stamp(&there.key("f")).await;
    here.stamp(&here.key("f")).await;
    let key = wired(&here, "f", b"wire");
    let told = async {
        loop {
            here.store(&key, "value", None).await.unwrap();
            while let Ok((_, event)) = heard.try_recv() {
                if event == Event::Changed(b"wire".to_vec()) {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), told).await.expect("it is told");
    let before = server.calls("publish");
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert!(server.calls("publish") - before < 10, "a day of paused time passes in no time");
}

#[test]
fn the_next_runtime_listens_on_when_one_has_ended() {
    let server = RedisServer::start();
    let (here, there) = (Store::patient(&server.url()), Store::patient(&server.url()));
    let (events, mut heard) = mpsc::unbounded_channel();
    there.tier.watch(Arc::new(Recorder(events)));
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            there.healed(&there.key("f")).await;
            let resync = async { while heard.recv().await.unwrap().1 != Event::Resync {} };
            tokio::time::timeout(HEALED, resync).await.expect("it listens");
            here.healed(&here.key("f")).await;
            here.store(&wired(&here, "f", b"wire"), "value", None).await.unwrap();
            let told = async { while heard.recv().await.unwrap().1 != Event::Changed(b"wire".to_vec()) {} };
            tokio::time::timeout(HEALED, told).await.expect("it is told");
        });
    }
}
