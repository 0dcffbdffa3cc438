//! A real `redis-server` of one test.

use std::{
    fs,
    io::{Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use super::free_port;

/// A server on a port of its own, with a folder of its own; gone when this is dropped.
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    folder: PathBuf,
    settings: Vec<String>,
    /// What it watches over, if it is a sentinel.
    sentinel: Option<String>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more settings, such as `["--maxmemory", "2mb"]`.
    pub fn start_with(settings: &[&str]) -> Self {
        // Somebody else may take the port between its choice and its use: then another one is tried.
        for _ in 0..10 {
            let mut server = Self::absent_with(settings);
            if server.try_restart() {
                return server;
            }
        }
        panic!("redis-server does not start: is it installed?");
    }

    /// A server that has not been started yet: nobody listens on its port.
    pub fn absent() -> Self {
        Self::absent_with(&[])
    }

    fn absent_with(settings: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("memory-redis-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the server");
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Self { child: None, port: free_port(), folder, settings, sentinel: None }
    }

    /// Starts a sentinel with these lines in its configuration.
    pub fn start_sentinel(lines: &str) -> Self {
        for _ in 0..10 {
            let mut server = Self::absent_sentinel(lines);
            if server.try_restart() {
                return server;
            }
        }
        panic!("no sentinel starts");
    }

    /// A sentinel that has not been started yet.
    pub fn absent_sentinel(lines: &str) -> Self {
        let mut server = Self::absent();
        server.sentinel = Some(lines.to_owned());
        server
    }

    /// Sets what it is started with from now on.
    pub fn set(&mut self, settings: &[&str]) {
        self.settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    }

    /// Starts the server (again) on its port and waits until it listens.
    pub fn restart(&mut self) {
        assert!(self.try_restart(), "redis-server does not start again");
    }

    /// Starts it with other settings from now on.
    pub fn restart_with(&mut self, settings: &[&str]) {
        self.set(settings);
        self.restart();
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    /// Hangs it (SIGSTOP): the kernel still accepts connections and bytes for it.
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`hang`](Self::hang).
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A blocking connection of the test's own.
    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url())
            .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(5)))
            .expect("a connection")
    }

    /// Runs one command on a connection of its own.
    pub fn run<T: redis::FromRedisValue>(&self, command: &[&[u8]]) -> T {
        let mut request = redis::cmd(std::str::from_utf8(command[0]).expect("the name of a command"));
        request.arg(&command[1..]).query(&mut self.connection()).expect("an answer")
    }

    /// How often a command has been executed.
    pub fn calls(&self, command: &str) -> u64 {
        let statistics: String = self.run(&[b"INFO", b"commandstats"]);
        let line = format!("cmdstat_{command}:calls=");
        let count = statistics.lines().find_map(|found| found.strip_prefix(&line)?.split(',').next());
        count.map_or(0, |count| count.parse().expect("a number"))
    }

    fn try_restart(&mut self) -> bool {
        self.kill();
        let child =
            self.command().stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("redis-server is installed");
        self.child = Some(child);
        self.listens()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("redis-server");
        match &self.sentinel {
            Some(lines) => {
                // A sentinel writes into its file; a new one forgets what it knew.
                let file = self.folder.join("sentinel.conf");
                let own = format!("bind 127.0.0.1\nport {}\ndir {}\n", self.port, self.folder.display());
                fs::write(&file, own + lines).expect("a configuration");
                command.arg(file).arg("--sentinel")
            }
            None => command
                .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
                .arg(self.port.to_string())
                .arg("--dir")
                .arg(&self.folder)
                .args(&self.settings),
        };
        command
    }

    fn listens(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            let ended = self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()));
            if ended {
                return false;
            }
            if answers(self.port) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("the server runs");
        let status = Command::new("kill").arg(signal).arg(child.id().to_string()).status().expect("kill is installed");
        assert!(status.success());
    }
}

/// Whether somebody answers there, and not only listens: a server that does not get all its ports ends after that.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    let asked = stream.set_read_timeout(Some(Duration::from_secs(1))).and_then(|()| stream.write_all(b"PING\r\n"));
    asked.and_then(|()| stream.read_exact(&mut [0])).is_ok()
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
