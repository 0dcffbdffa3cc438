//! Real `reqwest` errors: an upstream that misbehaves on purpose, on a runtime of its own, so that a test with paused
//! time may ask for an error without its clock moving.

use std::{net::SocketAddr, sync::LazyLock, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// How a request fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// Nobody listens.
    Refused,
    /// The connection breaks before the answer.
    Closed,
    /// The answer is not HTTP.
    Garbage,
    /// No answer ever comes.
    Hangs,
}

struct Upstream {
    runtime: Runtime,
    client: reqwest::Client,
    closed: SocketAddr,
    garbage: SocketAddr,
    hangs: SocketAddr,
    refused: SocketAddr,
}

static UPSTREAM: LazyLock<Upstream> =
    // A thread of its own, because the first to ask is inside a runtime already.
    LazyLock::new(|| std::thread::spawn(Upstream::start).join().expect("the upstream starts"));

/// An error of this kind, from a request that was really sent.
pub(crate) fn error(failure: Failure) -> reqwest::Error {
    let (sender, receiver) = std::sync::mpsc::channel();
    let address = UPSTREAM.address(failure);
    UPSTREAM.runtime.spawn(async move {
        let outcome = UPSTREAM.client.get(format!("http://{address}/")).send().await;
        let _ = sender.send(outcome);
    });
    receiver.recv().expect("the upstream's runtime is alive").expect_err("the upstream never answers properly")
}

/// The error of a response with this status; `None` where `reqwest` sees no error in it.
pub(crate) fn status_error(status: u16) -> Option<reqwest::Error> {
    let response = axum::http::Response::builder().status(status).body("").ok()?;
    reqwest::Response::from(response).error_for_status().err()
}

impl Upstream {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (closed, garbage, hangs, refused) = runtime.block_on(async {
            let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let refused = gone.local_addr().expect("an address");
            drop(gone);
            (listen(Failure::Closed).await, listen(Failure::Garbage).await, listen(Failure::Hangs).await, refused)
        });
        let client =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(50)).build().expect("a client");
        Self { runtime, client, closed, garbage, hangs, refused }
    }

    fn address(&self, failure: Failure) -> SocketAddr {
        match failure {
            Failure::Refused => self.refused,
            Failure::Closed => self.closed,
            Failure::Garbage => self.garbage,
            Failure::Hangs => self.hangs,
        }
    }
}

async fn listen(failure: Failure) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(misbehave(failure, stream));
        }
    });
    address
}

async fn misbehave(failure: Failure, mut stream: TcpStream) {
    let mut request = [0; 1024];
    let _ = stream.read(&mut request).await;
    match failure {
        Failure::Garbage => drop(stream.write_all(b"\x00\xff not http\r\n\r\n").await),
        Failure::Hangs => std::future::pending().await,
        Failure::Refused | Failure::Closed => {}
    }
}
