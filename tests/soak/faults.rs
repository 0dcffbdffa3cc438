//! What happens to Redis meanwhile: to the process, to its connections, and to what lies in it.

use std::{thread::sleep, time::Duration};

use fastrand::Rng;
use redis::Connection;

use crate::{
    support::{
        proxy::{Mode, Proxy},
        redis_server::RedisServer,
    },
    world::PREFIX,
};

/// A server, and the way to it.
pub(crate) struct Rig {
    pub(crate) server: RedisServer,
    pub(crate) proxy: Proxy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Slow,
    Blackhole,
    Late,
    Reset,
    Refuse,
    Kill,
    Stop,
    Pause,
    ClientKill,
    Garbage,
    Surplus,
    Foreign,
    Flush,
    Full,
    Swap,
    Password,
}

impl Fault {
    pub(crate) const ALL: [Self; 16] = [
        Self::Slow,
        Self::Blackhole,
        Self::Late,
        Self::Reset,
        Self::Refuse,
        Self::Kill,
        Self::Stop,
        Self::Pause,
        Self::ClientKill,
        Self::Garbage,
        Self::Surplus,
        Self::Foreign,
        Self::Flush,
        Self::Full,
        Self::Swap,
        Self::Password,
    ];

    /// Those that can go on for a minute.
    pub(crate) const OUTAGES: [Self; 8] =
        [Self::Kill, Self::Stop, Self::Blackhole, Self::Slow, Self::Password, Self::Refuse, Self::Full, Self::Pause];
}

impl Rig {
    pub(crate) fn start() -> Self {
        let server = RedisServer::start();
        let proxy = Proxy::to(server.port());
        Self { server, proxy }
    }

    /// Begins a fault, lets it last, and ends it.
    pub(crate) fn suffer(&mut self, fault: Fault, length: Duration, rng: &mut Rng) {
        match fault {
            Fault::Slow => self.mode(Mode::Delay(slowness(length, rng)), length),
            Fault::Blackhole => self.mode(Mode::Blackhole, length),
            Fault::Late => self.late(length),
            Fault::Reset => repeat(length, 60, || self.proxy.reset()),
            Fault::Refuse => self.refuse(length),
            Fault::Kill => self.kill(length),
            Fault::Stop => self.stop(length),
            Fault::Pause => self.pause(length),
            Fault::ClientKill => self.kill_clients(length, rng),
            Fault::Garbage => repeat(length, 40, || self.proxy.inject(b"\x00no reply at all\r\n")),
            Fault::Surplus => self.surplus(length, rng),
            Fault::Foreign => self.foreign(length, rng),
            Fault::Flush => repeat(length, 60, || self.server.run(&[b"FLUSHALL"])),
            Fault::Full => self.full(length),
            Fault::Swap => self.swap(length, rng),
            Fault::Password => self.password(length),
        }
    }

    fn mode(&self, mode: Mode, length: Duration) {
        self.proxy.all(mode);
        sleep(length);
        self.proxy.all(Mode::Pass);
    }

    /// What is sent is kept, and delivered in the end, also that of clients that have gone.
    fn late(&self, length: Duration) {
        self.proxy.all(Mode::Hold);
        sleep(length);
        self.proxy.reset();
        self.proxy.all(Mode::Pass);
        self.proxy.release();
    }

    fn refuse(&self, length: Duration) {
        self.proxy.refuse(true);
        self.proxy.reset();
        sleep(length);
        self.proxy.refuse(false);
    }

    fn kill(&mut self, length: Duration) {
        self.server.kill();
        sleep(length);
        self.server.restart();
    }

    fn stop(&self, length: Duration) {
        self.server.hang();
        sleep(length);
        self.server.go_on();
    }

    fn pause(&self, length: Duration) {
        let () = self.server.run(&[b"CLIENT", b"PAUSE", length.as_millis().to_string().as_bytes(), b"ALL"]);
        sleep(length);
    }

    fn kill_clients(&self, length: Duration, rng: &mut Rng) {
        repeat(length, 60, || {
            let kind = ["normal", "pubsub"][rng.usize(..2)];
            let _: i64 = self.server.run(&[b"CLIENT", b"KILL", b"TYPE", kind.as_bytes()]);
        });
    }

    /// Replies that nobody has asked for: those that follow belong to other requests.
    fn surplus(&self, length: Duration, rng: &mut Rng) {
        const REPLIES: [&[u8]; 5] = [
            b"+PONG\r\n",
            b":1\r\n",
            b"$-1\r\n",
            b"*3\r\n$-1\r\n$-1\r\n$-1\r\n",
            b"*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n",
        ];
        repeat(length, 5, || self.proxy.inject(REPLIES[rng.usize(..REPLIES.len())]));
    }

    /// The same, and they look like answers with the value of another key.
    fn foreign(&self, length: Duration, rng: &mut Rng) {
        let mut connection = self.server.connection();
        repeat(length, 5, || {
            let keys = entries(&mut connection);
            if keys.is_empty() {
                return;
            }
            let value: Option<Vec<u8>> = ask(&mut connection, &[b"GET", &keys[rng.usize(..keys.len())]]);
            let clock: Option<Vec<u8>> = ask(&mut connection, &[b"GET", format!("{{{PREFIX}%gen}}").as_bytes()]);
            self.proxy.inject(&answer(&[clock, None, value.clone(), None]));
            self.proxy.inject(&answer(&[value.clone(), None, value, None]));
        });
    }

    fn full(&self, length: Duration) {
        let limit = |bytes: &[u8]| self.server.run::<()>(&[b"CONFIG", b"SET", b"maxmemory", bytes]);
        limit(b"1");
        sleep(length);
        limit(b"0");
    }

    /// The values of keys lie under other keys.
    fn swap(&self, length: Duration, rng: &mut Rng) {
        let mut connection = self.server.connection();
        repeat(length, 5, || {
            let mut keys = entries(&mut connection);
            rng.shuffle(&mut keys);
            for pair in keys.chunks_exact(2) {
                let _: i64 = ask(&mut connection, &[b"COPY", &pair[0], &pair[1], b"REPLACE"]);
            }
        });
    }

    fn password(&self, length: Duration) {
        // A connection that is there keeps its rights.
        let mut connection = self.server.connection();
        let () = ask(&mut connection, &[b"CONFIG", b"SET", b"requirepass", b"changed"]);
        let _: i64 = ask(&mut connection, &[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
        let _: i64 = ask(&mut connection, &[b"CLIENT", b"KILL", b"TYPE", b"pubsub"]);
        sleep(length);
        let () = ask(&mut connection, &[b"CONFIG", b"SET", b"requirepass", b""]);
    }
}

/// A delay that is too long for the client, or nearly.
fn slowness(length: Duration, rng: &mut Rng) -> Duration {
    let longest = if length > Duration::from_secs(3) { 300 } else { 150 };
    Duration::from_millis(rng.u64(20..=longest))
}

/// Does something every so many milliseconds.
fn repeat(length: Duration, every: u64, mut act: impl FnMut()) {
    let start = std::time::Instant::now();
    while start.elapsed() < length {
        act();
        sleep(Duration::from_millis(every));
    }
}

fn ask<T: redis::FromRedisValue>(connection: &mut Connection, command: &[&[u8]]) -> T {
    let mut request = redis::cmd(std::str::from_utf8(command[0]).expect("the name of a command"));
    request.arg(&command[1..]).query(connection).expect("an answer")
}

/// The keys of entries, without those of bookkeeping.
fn entries(connection: &mut Connection) -> Vec<Vec<u8>> {
    ask(connection, &[b"KEYS", format!("{PREFIX}:*").as_bytes()])
}

/// A reply to `MGET`.
fn answer(values: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut reply = format!("*{}\r\n", values.len()).into_bytes();
    for value in values {
        match value {
            Some(value) => {
                reply.extend_from_slice(format!("${}\r\n", value.len()).as_bytes());
                reply.extend_from_slice(value);
                reply.extend_from_slice(b"\r\n");
            }
            None => reply.extend_from_slice(b"$-1\r\n"),
        }
    }
    reply
}
