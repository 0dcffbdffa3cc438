//! A master, its replica and three sentinels over them.

use std::time::{Duration, Instant};

use super::redis_server::RedisServer;

/// What the master is called.
pub const NAME: &str = "mymaster";

const COMMON: &[&str] = &["--repl-diskless-sync-delay", "0"];

/// Servers and sentinels of one test, gone when this is dropped.
pub struct SentinelSet {
    /// Two of them: one is the master.
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<RedisServer>,
}

impl SentinelSet {
    /// Starts all of it and waits until the sentinels know of each other and of the replica.
    pub fn start() -> Self {
        let set = Self::start_with(&[], "");
        set.settle();
        set
    }

    /// With more settings for the servers and more lines for the sentinels.
    pub fn start_with(settings: &[&str], lines: &str) -> Self {
        let common = [COMMON, settings].concat();
        let master = RedisServer::start_with(&common);
        let replica = RedisServer::start_with(&[&common[..], &["--replicaof", "127.0.0.1", &port(&master)]].concat());
        let watched = watched(&master, lines);
        let sentinels = (0..3).map(|_| RedisServer::start_sentinel(&watched)).collect();
        Self { servers: vec![master, replica], sentinels }
    }

    /// All of it, none of it started yet.
    pub fn absent() -> Self {
        let (master, mut replica) = (RedisServer::absent(), RedisServer::absent());
        replica.set(&[COMMON, &["--replicaof", "127.0.0.1", &port(&master)]].concat());
        let watched = watched(&master, "");
        let sentinels = (0..3).map(|_| RedisServer::absent_sentinel(&watched)).collect();
        Self { servers: vec![master, replica], sentinels }
    }

    /// Starts what is [`absent`](Self::absent).
    pub fn come(&mut self) {
        self.servers.iter_mut().chain(&mut self.sentinels).for_each(RedisServer::restart);
    }

    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::url).collect()
    }

    /// The server that most sentinels call the master.
    pub fn master(&self) -> usize {
        let named: Vec<u16> = self.sentinels.iter().map(named).collect();
        let votes = |server: &RedisServer| named.iter().filter(|port| **port == server.port()).count();
        self.servers.iter().position(|server| votes(server) >= 2).expect("a master")
    }

    /// Waits until all sentinels agree, and know of everybody.
    pub fn settle(&self) {
        let start = Instant::now();
        for sentinel in &self.sentinels {
            // They look around every ten seconds otherwise, and look on for thirty after a pause of this machine.
            let periods = "info-period 200 publish-period 200 ping-period 100 tilt-trigger 60000";
            let words: Vec<&[u8]> =
                ["SENTINEL", "DEBUG"].into_iter().chain(periods.split(' ')).map(str::as_bytes).collect();
            let _: redis::Value = sentinel.run(&words);
        }
        while !self.sentinels.iter().all(knows_everybody) {
            assert!(start.elapsed() < Duration::from_secs(20), "the sentinels do not find each other");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn port(server: &RedisServer) -> String {
    server.port().to_string()
}

fn watched(master: &RedisServer, lines: &str) -> String {
    format!(
        "sentinel monitor {NAME} 127.0.0.1 {} 2\nsentinel down-after-milliseconds {NAME} 500\n\
         sentinel failover-timeout {NAME} 3000\n{lines}\n",
        master.port()
    )
}

/// The port of the master, by one sentinel.
fn named(sentinel: &RedisServer) -> u16 {
    let (_, port): (String, u16) = sentinel.run(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", NAME.as_bytes()]);
    port
}

fn knows_everybody(sentinel: &RedisServer) -> bool {
    let master: std::collections::HashMap<String, String> = sentinel.run(&[b"SENTINEL", b"MASTER", NAME.as_bytes()]);
    let replicas: Vec<std::collections::HashMap<String, String>> =
        sentinel.run(&[b"SENTINEL", b"REPLICAS", NAME.as_bytes()]);
    master["num-other-sentinels"] == "2"
        && master["flags"] == "master"
        && replicas.iter().any(|replica| replica["master-link-status"] == "ok" && replica["flags"] == "slave")
}
