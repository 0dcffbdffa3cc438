//! A TCP proxy between a test and its server, which can do what networks do.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, mpsc, watch},
};

/// What happens to the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Each piece is passed on this much later.
    Delay(Duration),
    /// Swallowed, in both directions; the connection stays open.
    Blackhole,
    /// Each answer is replaced by what is none.
    Garbage,
    /// Half of each answer is passed on, and then the connection ends.
    Cut,
    /// Kept, and delivered when the mode changes, even if the client has gone by then.
    Hold,
}

/// A proxy in front of one port of this machine; it runs in a thread of its own.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    fresh: Mutex<Mode>,
    refuses: AtomicBool,
    accepted: Mutex<Vec<Instant>>,
    connections: Mutex<Vec<Arc<Connection>>>,
    gone: Mutex<Vec<Arc<Connection>>>,
    ended: Notify,
}

struct Connection {
    mode: watch::Sender<Mode>,
    reset: watch::Sender<bool>,
    to_client: mpsc::UnboundedSender<Vec<u8>>,
}

impl Proxy {
    pub fn to(target: u16) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            target,
            fresh: Mutex::new(Mode::Pass),
            refuses: AtomicBool::new(false),
            accepted: Mutex::default(),
            connections: Mutex::new(Vec::new()),
            gone: Mutex::new(Vec::new()),
            ended: Notify::new(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, &serving) => {}
                    () = serving.ended.notified() => {}
                }
            });
        });
        Self { port, shared }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// For the connections that are there now.
    pub fn existing(&self, mode: Mode) {
        for connection in self.shared.connections.lock().unwrap().iter() {
            connection.mode.send_replace(mode);
        }
    }

    /// For the connections that are there now, except the first ones.
    pub fn existing_from(&self, first: usize, mode: Mode) {
        for connection in self.shared.connections.lock().unwrap().iter().skip(first) {
            connection.mode.send_replace(mode);
        }
    }

    /// For the connections that are made from now on.
    pub fn fresh(&self, mode: Mode) {
        *self.shared.fresh.lock().unwrap() = mode;
    }

    /// For all.
    pub fn all(&self, mode: Mode) {
        self.fresh(mode);
        self.existing(mode);
    }

    /// Ends every connection, abruptly for the client. Bytes that are held are not lost by it.
    pub fn reset(&self) {
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            connection.reset.send_replace(true);
            self.shared.gone.lock().unwrap().push(connection);
        }
    }

    /// Delivers what was held of connections that have been reset.
    pub fn release(&self) {
        for connection in self.shared.gone.lock().unwrap().drain(..) {
            connection.mode.send_replace(Mode::Pass);
        }
    }

    /// Resets every new connection at once, or no longer.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Sends bytes to the clients that the server never sent.
    pub fn inject(&self, bytes: &[u8]) {
        for connection in self.shared.connections.lock().unwrap().iter() {
            let _ = connection.to_client.send(bytes.to_vec());
        }
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted_at().len()
    }

    /// When each connection was accepted, in order.
    pub fn accepted_at(&self) -> Vec<Instant> {
        self.shared.accepted.lock().expect("no test panicked here").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.notify_one();
    }
}

async fn serve(listener: std::net::TcpListener, shared: &Arc<Shared>) {
    listener.set_nonblocking(true).expect("not blocking");
    let listener = TcpListener::from_std(listener).expect("a listener");
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        shared.accepted.lock().expect("no test panicked here").push(Instant::now());
        if shared.refuses.load(Ordering::SeqCst) {
            cut(&client);
            continue;
        }
        tokio::spawn(relay(client, Arc::clone(shared)));
    }
}

async fn relay(client: TcpStream, shared: Arc<Shared>) {
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, shared.target));
    let Ok(server) = TcpStream::connect(target).await else { return cut(&client) };
    let (to_client, injected) = mpsc::unbounded_channel();
    let mode = *shared.fresh.lock().unwrap();
    let connection =
        Arc::new(Connection { mode: watch::Sender::new(mode), reset: watch::Sender::new(false), to_client });
    shared.connections.lock().unwrap().push(Arc::clone(&connection));
    client.set_nodelay(true).expect("a socket option");
    let (from_client, client_half) = client.into_split();
    let (from_server, server_half) = server.into_split();
    // Bytes on their way to the server survive the client, as they do in a network.
    tokio::spawn(pump(from_client, server_half, Arc::clone(&connection)));
    tokio::spawn(answer(from_server, client_half, injected, connection));
}

/// Client to server.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, connection: Arc<Connection>) {
    let mut mode = connection.mode.subscribe();
    let mut reset = connection.reset.subscribe();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = tokio::select! {
            // What has been sent before a reset is on its way.
            biased;
            read = from.read(&mut buffer) => read.unwrap_or(0),
            () = is_reset(&mut reset) => 0,
        };
        if length == 0 || !pass(&buffer[..length], &mut to, &mut mode).await {
            return;
        }
    }
}

/// Server to client.
async fn answer(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut injected: mpsc::UnboundedReceiver<Vec<u8>>,
    connection: Arc<Connection>,
) {
    let mut mode = connection.mode.subscribe();
    let mut reset = connection.reset.subscribe();
    let mut buffer = vec![0; 64 << 10];
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(length) if length > 0 => {
                    let spoilt = *mode.borrow();
                    if spoilt == Mode::Cut {
                        let _ = to.write_all(&buffer[..length / 2]).await;
                        return;
                    }
                    if spoilt == Mode::Garbage {
                        buffer[..length].fill(b'?');
                    }
                    if !pass(&buffer[..length], &mut to, &mut mode).await {
                        return;
                    }
                }
                _ => return,
            },
            Some(bytes) = injected.recv() => {
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            () = is_reset(&mut reset) => return cut(to.as_ref()),
        }
    }
}

async fn pass(bytes: &[u8], to: &mut OwnedWriteHalf, mode: &mut watch::Receiver<Mode>) -> bool {
    let now = *mode.borrow();
    match now {
        Mode::Pass | Mode::Garbage | Mode::Cut => {}
        Mode::Delay(length) => tokio::time::sleep(length).await,
        Mode::Blackhole => return true,
        Mode::Hold => {
            if mode.wait_for(|mode| *mode != Mode::Hold).await.is_err() {
                return false;
            }
        }
    }
    to.write_all(bytes).await.is_ok()
}

async fn is_reset(reset: &mut watch::Receiver<bool>) {
    let _ = reset.wait_for(|reset| *reset).await;
}

/// Makes the end of a connection a reset.
fn cut(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
