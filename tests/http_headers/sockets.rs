//! Over real sockets, byte for byte.

use axum::{Json, Router, extract::State, routing};
use memory_core::{FmCacheHeadersLayer, FmJson, memorize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{Runs, cache};

#[memorize(expire = 60)]
async fn plain(State(runs): State<Runs>) -> Json<u32> {
    Json(runs.begin())
}

#[memorize(expire = 60)]
async fn written(State(runs): State<Runs>) -> FmJson<u32> {
    FmJson(runs.begin())
}

struct Server(std::net::SocketAddr, tokio::task::JoinHandle<()>);

impl Server {
    async fn start() -> Self {
        let app = Router::new()
            .route("/plain", routing::get(plain))
            .route("/written", routing::get(written))
            .layer(FmCacheHeadersLayer::new())
            .layer(cache().layer())
            .with_state(Runs::default());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self(address, tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }))
    }

    /// Everything that comes back for these requests on one connection.
    async fn talk(&self, requests: &str) -> String {
        let mut socket = TcpStream::connect(self.0).await.unwrap();
        socket.write_all(requests.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.1.abort();
    }
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

#[tokio::test]
async fn get_head_and_304_keep_a_connection_in_step() {
    for path in ["/plain", "/written"] {
        let server = Server::start().await;
        let first = server.talk(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        assert!(first.starts_with("HTTP/1.1 200 OK\r\n") && first.ends_with("\r\n\r\n1"), "{first}");
        let etag = header(&first, "etag");
        assert!(!etag.is_empty() && header(&first, "x-fm-cache") == "MISS" && header(&first, "content-length") == "1");

        // A response without a body that claimed one, or the reverse, would put the next one out of place.
        let known = format!("GET {path} HTTP/1.1\r\nhost: a\r\nif-none-match: {etag}\r\n\r\n");
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        let last = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let all = server.talk(&format!("{known}{head}{last}")).await;
        let answers: Vec<&str> = all.split("HTTP/1.1 ").skip(1).collect();
        assert_eq!(answers.len(), 3, "{all}");
        assert!(answers[0].starts_with("304 Not Modified\r\n") && answers[0].ends_with("\r\n\r\n"), "{all}");
        assert_eq!((header(answers[0], "etag"), header(answers[0], "content-length")), (etag, ""));
        assert!(answers[1].starts_with("200 OK\r\n") && answers[1].ends_with("\r\n\r\n"), "{all}");
        assert_eq!((header(answers[1], "etag"), header(answers[1], "content-length")), (etag, "1"));
        assert!(answers[2].ends_with("\r\n\r\n1") && header(answers[2], "x-fm-cache") == "HIT", "{all}");
    }
}

#[tokio::test]
async fn the_layer_may_be_around_the_whole_router() {
    use tower::{Layer, ServiceExt};
    let router = Router::new().route("/", routing::get(plain)).layer(cache().layer()).with_state(Runs::default());
    let app = FmCacheHeadersLayer::new().layer(router);
    let ask = |method: &str| {
        let request = axum::http::Request::builder().method(method).uri("/").body(axum::body::Body::empty()).unwrap();
        app.clone().oneshot(request)
    };
    let head = ask("HEAD").await.unwrap();
    assert_eq!(
        (head.headers()["x-fm-cache"].as_bytes(), head.headers()["content-length"].as_bytes()),
        (&b"MISS"[..], &b"1"[..])
    );
    let got = ask("GET").await.unwrap();
    assert_eq!(
        (&got.headers()["x-fm-cache"], &got.headers()["etag"]),
        (&"HIT".parse().unwrap(), &head.headers()["etag"])
    );
}
