//! HTTP/2, with and without manners.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use memory_core::{FmResilientClient, FmResilientClientBuilder};
use serde_json::Value;

/// What the server does with the n-th request, counted from 0 over all connections.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    /// Answers `1`.
    Answer,
    /// Resets the stream, saying that it was not looked at (RFC 9113 §8.7).
    Refuse,
    /// Resets the stream, saying nothing.
    Reset,
    /// Answers, and says that this connection takes no more (GOAWAY).
    AnswerAndGo,
    /// Says GOAWAY with an error and closes, in the middle of the request.
    Abort,
}

struct Server {
    url: String,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

async fn server(act: impl Fn(usize) -> Act + Send + Sync + 'static) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (requests, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (act, seen, opened) = (Arc::new(act), Arc::clone(&requests), Arc::clone(&connections));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            opened.fetch_add(1, Ordering::SeqCst);
            let (act, seen) = (Arc::clone(&act), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    assert_eq!(request.version(), http::Version::HTTP_2);
                    match act(seen.fetch_add(1, Ordering::SeqCst)) {
                        Act::Refuse => respond.send_reset(h2::Reason::REFUSED_STREAM),
                        Act::Reset => respond.send_reset(h2::Reason::INTERNAL_ERROR),
                        Act::Abort => connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM),
                        act => {
                            let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                            body.send_data(Bytes::from_static(b"1"), true).unwrap();
                            if act == Act::AnswerAndGo {
                                connection.graceful_shutdown();
                            }
                        }
                    }
                }
            });
        }
    });
    Server { url, requests, connections }
}

impl Server {
    fn client(&self) -> FmResilientClientBuilder {
        FmResilientClient::builder().base_url(&self.url).http2_prior_knowledge().retry_wait_min(0).retry_wait_max(0)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn requests_share_one_connection() {
    let server = server(|_| Act::Answer).await;
    let client = server.client().build().unwrap();
    client.get_raw("x").await.unwrap();
    let calls = (0..50).map(|_| client.post_json::<u32>("x", [1]).into_future());
    assert!(futures::future::join_all(calls).await.into_iter().all(|answer| answer.is_ok_and(|answer| answer == 1)));
    assert_eq!((server.requests(), server.connections()), (51, 1));
}

#[tokio::test]
async fn an_upstream_that_goes_away_loses_no_request() {
    let server = server(|number| if number % 3 == 2 { Act::AnswerAndGo } else { Act::Answer }).await;
    let client = server.client().build().unwrap();
    for _ in 0..12 {
        assert_eq!(client.post_json::<u32>("x", [1]).await.unwrap(), 1);
    }
    assert_eq!(server.requests(), 12);
    assert!(server.connections() >= 4, "{}", server.connections());
}

#[tokio::test]
async fn a_stream_that_was_refused_was_not_looked_at_and_goes_again_whatever_the_method() {
    let server = server(|number| if number == 0 { Act::Refuse } else { Act::Answer }).await;
    assert_eq!(server.client().build().unwrap().post_json::<u32>("x", [1]).await.unwrap(), 1);
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_stream_or_connection_that_broke_is_repeated_where_that_is_harmless() {
    for act in [Act::Reset, Act::Abort] {
        let server = server(move |number| if number % 2 == 0 { act } else { Act::Answer }).await;
        let client = server.client().build().unwrap();
        assert_eq!(client.get_json::<u32>("x").await.unwrap(), 1);
        assert_eq!(server.requests(), 2);
        assert!(client.post_json::<Value>("x", [1]).await.unwrap_err().is_network());
        assert_eq!(server.requests(), 3);
    }
}
