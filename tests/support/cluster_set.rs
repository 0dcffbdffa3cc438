//! A cluster of three masters with a replica each.

use std::time::{Duration, Instant};

use super::{free_port, redis_server::RedisServer};

/// So many slots, a third for each master.
const SLOTS: u32 = 16_384;
const MASTERS: usize = 3;

/// The servers of one test, gone when this is dropped.
pub struct ClusterSet {
    /// Masters first, each third of the slots; then a replica of each, in the same order.
    pub servers: Vec<RedisServer>,
}

impl ClusterSet {
    /// Starts all of it and waits until everybody agrees.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more settings for every server.
    pub fn start_with(more: &[&str]) -> Self {
        let start = || RedisServer::start_with(&[&settings(&free_port().to_string())[..], more].concat());
        let set = Self { servers: (0..2 * MASTERS).map(|_| start()).collect() };
        set.join();
        set
    }

    /// None of it started yet.
    pub fn absent() -> Self {
        let absent = || {
            let mut server = RedisServer::absent();
            server.set(&settings(&free_port().to_string()));
            server
        };
        Self { servers: (0..2 * MASTERS).map(|_| absent()).collect() }
    }

    /// Starts what is [`absent`](Self::absent).
    pub fn come(&mut self) {
        self.servers.iter_mut().for_each(RedisServer::restart);
        self.join();
    }

    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(RedisServer::url).collect()
    }

    pub fn masters(&self) -> &[RedisServer] {
        &self.servers[..MASTERS]
    }

    /// Whether this server is a master.
    pub fn leads(&self, at: usize) -> bool {
        let role: Vec<redis::Value> = self.servers[at].run(&[b"ROLE"]);
        role[0] == redis::Value::BulkString(b"master".to_vec())
    }

    /// The names of all keys on a server.
    pub fn names(&self, at: usize) -> Vec<Vec<u8>> {
        self.servers[at].run(&[b"KEYS", b"*"])
    }

    /// The place of the master whose third a key is in.
    pub fn owner(&self, key: &str) -> usize {
        let slot: u32 = self.servers[0].run(&[b"CLUSTER", b"KEYSLOT", key.as_bytes()]);
        (slot / third(1)).min(2) as usize
    }

    /// A key whose entry, under the prefix `app`, is in the third of this master.
    pub fn name_on(&self, at: usize, stem: &str) -> String {
        let names = (0..).map(|number| format!("{stem}-{number}"));
        names.into_iter().find(|name: &String| self.owner(&format!("app:{name}")) == at).expect("one of them")
    }

    /// The master that owns a slot now.
    pub fn owner_of(&self, slot: u16) -> usize {
        let ranges = self.slots();
        let (.., port) = ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).expect("an owner");
        self.servers.iter().position(|server| server.port() == *port).expect("one of ours")
    }

    /// From here on, keys of the slot that `from` has not are those of `to`.
    pub fn begin_to_move(&self, slot: u16, from: usize, to: usize) {
        self.set_slot(to, slot, b"IMPORTING", from);
        self.set_slot(from, slot, b"MIGRATING", to);
    }

    /// Moves the keys of a slot, one by one.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let (server, port) = (&self.servers[from], port(&self.servers[to]));
        loop {
            let keys: Vec<Vec<u8>> = server.run(&[b"CLUSTER", b"GETKEYSINSLOT", slot.to_string().as_bytes(), b"10"]);
            if keys.is_empty() {
                return;
            }
            for key in keys {
                let _: String = server.run(&[b"MIGRATE", b"127.0.0.1", port.as_bytes(), &key, b"0", b"1000"]);
            }
        }
    }

    /// From here on the slot belongs to `to`.
    pub fn end_to_move(&self, slot: u16, to: usize) {
        // The new owner first, so that somebody owns it all the time.
        let others = (0..MASTERS).filter(|at| *at != to);
        for at in std::iter::once(to).chain(others) {
            self.set_slot(at, slot, b"NODE", to);
        }
    }

    fn set_slot(&self, at: usize, slot: u16, state: &[u8], node: usize) {
        let (slot, node) = (slot.to_string(), self.id(node));
        let () = self.servers[at].run(&[b"CLUSTER", b"SETSLOT", slot.as_bytes(), state, node.as_bytes()]);
    }

    /// The ranges of slots, each with the port of its master.
    fn slots(&self) -> Vec<(u16, u16, u16)> {
        let ranges: Vec<Vec<redis::Value>> = self.servers[0].run(&[b"CLUSTER", b"SLOTS"]);
        let read = |range: &Vec<redis::Value>| {
            let node: Vec<redis::Value> = redis::from_redis_value(range[2].clone()).expect("a node");
            let number = |value: &redis::Value| redis::from_redis_value(value.clone()).expect("a number");
            (number(&range[0]), number(&range[1]), number(&node[1]))
        };
        ranges.iter().map(read).collect()
    }

    pub fn id(&self, at: usize) -> String {
        self.servers[at].run(&[b"CLUSTER", b"MYID"])
    }

    fn join(&self) {
        for (place, master) in self.masters().iter().enumerate() {
            let (first, end) = (third(place), third(place + 1));
            let slots: Vec<String> = (first..end).map(|slot| slot.to_string()).collect();
            let words: Vec<&[u8]> =
                [&b"CLUSTER"[..], b"ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_bytes)).collect();
            let () = master.run(&words);
            let () = master.run(&[b"CLUSTER", b"SET-CONFIG-EPOCH", (place + 1).to_string().as_bytes()]);
        }
        // Everybody meets everybody: gossip takes seconds.
        for (place, server) in self.servers.iter().enumerate() {
            for other in &self.servers[..place] {
                let (port, bus) = (port(other), bus(other));
                let () = server.run(&[b"CLUSTER", b"MEET", b"127.0.0.1", port.as_bytes(), bus.as_bytes()]);
            }
        }
        for place in 0..MASTERS {
            let master = self.id(place);
            let replica = &self.servers[MASTERS + place];
            until("the replica knows its master", || {
                let nodes: String = replica.run(&[b"CLUSTER", b"NODES"]);
                nodes.contains(&master)
            });
            let () = replica.run(&[b"CLUSTER", b"REPLICATE", master.as_bytes()]);
        }
        until("the cluster is whole", || self.servers.iter().all(|server| self.agrees(server)));
    }

    fn agrees(&self, server: &RedisServer) -> bool {
        let info: String = server.run(&[b"CLUSTER", b"INFO"]);
        let slots: Vec<Vec<redis::Value>> = server.run(&[b"CLUSTER", b"SLOTS"]);
        let linked: String = server.run(&[b"INFO", b"replication"]);
        info.contains("cluster_state:ok")
            && info.contains("cluster_known_nodes:6")
            && slots.len() == MASTERS
            && slots.iter().all(|range| range.len() == 4)
            && (linked.contains("master_link_status:up") || linked.contains("connected_slaves:1"))
    }
}

fn settings(bus: &str) -> Vec<&str> {
    let fixed = [
        ["--cluster-enabled", "yes"],
        ["--cluster-node-timeout", "1000"],
        ["--repl-diskless-sync-delay", "0"],
        // Nobody names a replica that has not received anything yet.
        ["--repl-ping-replica-period", "1"],
    ]
    .concat();
    [&fixed[..], &["--cluster-port", bus]].concat()
}

fn port(server: &RedisServer) -> String {
    server.port().to_string()
}

/// The port on which nodes talk to each other.
fn bus(server: &RedisServer) -> String {
    let (_, port): (String, String) = server.run(&[b"CONFIG", b"GET", b"cluster-port"]);
    port
}

fn third(place: usize) -> u32 {
    u32::try_from(place).expect("a small number") * SLOTS / 3
}

fn until(what: &str, mut check: impl FnMut() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(20), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
