//! What is sent, how often, and in which form the answer is taken.

use std::time::Duration;

use memory_core::{FmBody, FmClientError, reqwest::Body};
use serde_json::{Value, json};

use crate::{
    builder, client, status,
    upstream::{Step, Upstream, answer, json as ok},
};

/// Where nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn stream(pieces: [&'static str; 2]) -> Body {
    Body::wrap_stream(futures::stream::iter(pieces.map(Ok::<_, std::io::Error>)))
}

#[tokio::test(start_paused = true)]
async fn every_body_arrives_as_it_was_given() {
    let upstream = Upstream::always(ok("1")).await;
    let client = client(&upstream);
    client.request_raw("POST", "x").body("plain").header("content-type", "text/plain").await.unwrap();
    client.request_raw("PUT", "x").body(vec![0, 255]).await.unwrap();
    client.request_raw("POST", "x").form([("name", "a b"), ("sign", "&=é")]).await.unwrap();
    client.request_raw("PATCH", "x").json([1]).await.unwrap();
    client.request_raw("POST", "x").body(stream(["in ", "pieces"])).await.unwrap();
    client.request::<u32>("POST", "x").form([("n", 1)]).await.unwrap();
    let seen: Vec<_> = upstream
        .seen()
        .into_iter()
        .map(|seen| {
            let content_type = seen.header("content-type").map(str::to_owned);
            (seen.method().to_owned(), content_type, seen.body)
        })
        .collect();
    let form = || Some("application/x-www-form-urlencoded".to_owned());
    assert_eq!(
        seen,
        [
            ("POST".into(), Some("text/plain".into()), b"plain".to_vec()),
            ("PUT".into(), None, vec![0, 255]),
            ("POST".into(), form(), b"name=a+b&sign=%26%3D%C3%A9".to_vec()),
            ("PATCH".into(), Some("application/json".into()), b"[1]".to_vec()),
            ("POST".into(), None, b"in pieces".to_vec()),
            ("POST".into(), form(), b"n=1".to_vec()),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_taken_as_json_text_bytes_or_in_pieces() {
    let upstream = Upstream::always(answer(201, &[("x-kind", "note")], b"{\"a\":1}")).await;
    let client = client(&upstream);
    assert_eq!(client.get_raw("x").await.unwrap(), FmBody::Json(json!({"a": 1})));
    assert_eq!(client.get_raw("x").text().await.unwrap(), "{\"a\":1}");
    assert_eq!(client.get_raw("x").bytes().await.unwrap(), b"{\"a\":1}".as_slice());
    let mut streamed = client.request_raw("POST", "x").stream().await.unwrap();
    assert_eq!((streamed.status().as_u16(), streamed.content_length()), (201, Some(7)));
    assert_eq!(streamed.headers()["x-kind"], "note");
    let mut body = Vec::new();
    while let Some(piece) = streamed.chunk().await.unwrap() {
        body.extend(piece);
    }
    assert_eq!(body, b"{\"a\":1}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_before_the_body_ends_and_keeps_limit_timeout_and_turn() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let steps = vec![Step::Send(head), Step::Send(vec![b'x'; 600]), Step::Pause(Duration::from_secs(3))];
    let more = [steps.clone(), vec![Step::Send(vec![b'x'; 600]), Step::Close]].concat();
    let stuck = [steps, vec![Step::Hang]].concat();
    let upstream = Upstream::scripted(vec![more, stuck, ok("1")]).await;
    let client = builder(&upstream).max_body_bytes(1000).timeout(5).max_connections(1).build().unwrap();

    let mut streamed = client.get_raw("x").stream().await.unwrap();
    let mut length = streamed.chunk().await.unwrap().unwrap().len();
    assert!(length <= 600, "only the first piece was sent");
    let error = loop {
        match streamed.chunk().await {
            Ok(Some(piece)) => length += piece.len(),
            ended => break ended.unwrap_err(),
        }
    };
    assert!(matches!(error, FmClientError::TooLarge(_)) && length <= 1000, "{error:?} after {length}");
    drop(streamed);

    let stuck = client.get_raw("x").stream().await.unwrap();
    let waiting = client.get_raw("x").timeout(1).await.unwrap_err();
    assert!(waiting.is_timeout(), "the one connection is taken by the answer: {waiting:?}");
    assert!(stuck.bytes().await.unwrap_err().is_timeout());
    client.get_raw("x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_asked_for_again_only_until_its_headers_are_there() {
    let cut = vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec()), Step::Close];
    let upstream = Upstream::scripted(vec![status(503), cut]).await;
    let streamed = client(&upstream).get_raw("x").stream().await.unwrap();
    assert!(streamed.bytes().await.unwrap_err().is_network());
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_is_made_up_once_a_call() {
    let upstream = Upstream::always(status(503)).await;
    let client = client(&upstream);
    client.post_json::<Value>("items", 1).idempotent().await.unwrap_err();
    client.request_raw("PATCH", "items").body("x").idempotent().await.unwrap_err();
    client.request_raw("POST", "items").idempotency_key("mine").idempotent().await.unwrap_err();
    let keys: Vec<_> = upstream.seen().iter().map(|seen| seen.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 9);
    for call in keys.chunks(3) {
        assert!(call.iter().all(|key| *key == call[0]), "{keys:?}");
    }
    assert_ne!(keys[0], keys[3]);
    assert_eq!(keys[6], "mine");
    let dashes: Vec<_> = keys[0].match_indices('-').map(|(place, _)| place).collect();
    assert_eq!((keys[0].len(), dashes, &keys[0][14..15]), (36, vec![8, 13, 18, 23], "4"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_had_twice_is_sent_once_whatever_the_method() {
    for steps in [status(503), vec![Step::Close], vec![Step::Hang]] {
        let upstream = Upstream::always(steps).await;
        let client = client(&upstream);
        client.request_raw("PUT", "x").body(stream(["a", "b"])).await.unwrap_err();
        client.request_raw("POST", "x").body(stream(["a", "b"])).idempotent().await.unwrap_err();
        assert_eq!(upstream.seen().len(), 2);
        assert_eq!(client.stats().refused_retries, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_never_left_is_tried_again() {
    let client = memory_core::FmResilientClient::new(nobody().await).unwrap();
    let error = client.post_json::<Value>("items", 1).await.unwrap_err();
    assert!(error.is_network());
    assert_eq!((client.stats().attempts, client.stats().retries), (3, 2));
    let error = client.request_raw("POST", "items").body(stream(["a", "b"])).await.unwrap_err();
    assert!(error.is_network());
    assert_eq!(client.stats().attempts, 4, "a stream that was given away does not come back");
}

#[tokio::test(start_paused = true)]
async fn a_post_that_got_no_turn_never_left_either() {
    let slow = [vec![Step::Pause(Duration::from_secs(4))], ok("1")].concat();
    let upstream = Upstream::always(slow).await;
    let client = builder(&upstream).max_connections(1).timeout(5).build().unwrap();
    let (first, second) =
        tokio::join!(client.post_json::<u32>("a", 1), client.post_json::<u32>("b", 1).timeout(4.5).deadline(20));
    assert_eq!((first.unwrap(), second.unwrap_err().is_network()), (1, true));
    let sent = upstream.seen().iter().filter(|seen| seen.target() == "/b").count();
    assert_eq!(sent, 1, "it got its turn late, left, and was not sent again");
    let (first, second) = tokio::join!(client.post_json::<u32>("a", 1), client.post_json::<u32>("c", 1).timeout(3));
    assert!(first.is_ok() && second.is_err(), "each attempt has 3 s, and the answer takes 4 s");
    let sent = upstream.seen().iter().filter(|seen| seen.target() == "/c").count();
    assert_eq!(sent, 1, "the first attempt got no turn, the second was sent and is the last");
}

#[tokio::test(start_paused = true)]
async fn a_brotli_bomb_is_cut_at_the_limit() {
    let mut bomb = Vec::new();
    let zeros = vec![b' '; 64 << 20];
    std::io::Write::write_all(&mut brotli::CompressorWriter::new(&mut bomb, 4096, 1, 22), &zeros).unwrap();
    assert!(bomb.len() < 1 << 14, "{} bytes on the wire", bomb.len());
    let upstream = Upstream::always(answer(200, &[("content-encoding", "br")], &bomb)).await;
    let error = client(&upstream).get_raw("x").await.unwrap_err();
    assert!(matches!(error, FmClientError::TooLarge(_)), "{error:?}");
    let mut streamed = client(&upstream).get_raw("x").stream().await.unwrap();
    let mut length = 0;
    let error = loop {
        match streamed.chunk().await {
            Ok(piece) => length += piece.expect("the limit comes first").len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FmClientError::TooLarge(_)) && length <= 10 << 20, "{error:?} after {length}");
}
