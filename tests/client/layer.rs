//! The retries over a client that is not ours.

use std::time::Duration;

use memory_core::{CircuitBreaker, FmError, FmRetryLayer, reqwest};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

use crate::{
    seconds, status,
    upstream::{Step, Upstream, answer, json as ok},
};

fn plain() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn request(method: &str, upstream: &Upstream) -> reqwest::RequestBuilder {
    plain().request(method.parse().unwrap(), upstream.url())
}

#[tokio::test(start_paused = true)]
async fn the_rules_are_those_of_the_client() {
    let post = |upstream: &Upstream| request("POST", upstream).body("x");
    let stream = reqwest::Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>("x")]));
    let upstream = Upstream::always(status(503)).await;
    let layer = FmRetryLayer::new();
    let client = layer.layer(plain());
    for (request, sent) in [
        (request("GET", &upstream), 3),
        (post(&upstream), 1),
        (post(&upstream).header("idempotency-key", "k"), 3),
        (request("PUT", &upstream).body(stream), 1),
    ] {
        let before = upstream.seen().len();
        let answer = client.clone().oneshot(request.build().unwrap()).await.unwrap();
        assert_eq!((answer.status().as_u16(), upstream.seen().len() - before), (503, sent));
    }
    let stats = layer.stats();
    assert_eq!((stats.requests, stats.attempts, stats.retries, stats.refused_retries), (4, 8, 4, 4));
}

#[tokio::test(start_paused = true)]
async fn waits_are_the_upstreams_or_the_backoff_and_end_at_the_deadline() {
    let asks = answer(503, &[("retry-after", "7")], b"");
    let upstream = Upstream::scripted(vec![asks.clone(), vec![Step::Close], ok("1"), asks, vec![Step::Hang]]).await;
    let client = FmRetryLayer::new().waits(1, 1).deadline(9).layer(plain());
    let answer = client.clone().oneshot(request("GET", &upstream).build().unwrap()).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "1");
    assert_eq!(seconds(&upstream.waits()), [7.0, 1.0]);
    let began = Instant::now();
    let error = client.oneshot(request("GET", &upstream).build().unwrap()).await.unwrap_err();
    assert!(error.downcast_ref::<reqwest::Error>().unwrap().is_timeout(), "{error:?}");
    assert!(began.elapsed() < Duration::from_millis(9_100), "{:?}", began.elapsed());
    assert_eq!(upstream.seen().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_never_left_is_tried_again_and_other_layers_may_stand_below() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let layer = FmRetryLayer::new();
    let boxed = tower::ServiceBuilder::new()
        .layer(layer.clone())
        .map_err(|error: reqwest::Error| -> Box<dyn std::error::Error + Send + Sync> { error.into() })
        .service(plain());
    boxed.oneshot(plain().post(url).body("x").build().unwrap()).await.unwrap_err();
    assert_eq!((layer.stats().attempts, layer.stats().failures), (3, 1));
}

#[tokio::test]
async fn each_upstream_has_a_budget_of_its_own() {
    let (down, other) = (Upstream::always(status(503)).await, Upstream::always(status(503)).await);
    let layer = FmRetryLayer::new().waits(0, 0);
    let client = layer.layer(plain());
    let get = request("GET", &down).build().unwrap();
    for _ in 0..1000 {
        client.clone().oneshot(get.try_clone().unwrap()).await.unwrap();
    }
    let arrived = down.seen().len();
    assert!((1250..=1300).contains(&arrived), "{arrived} requests for 1,000 calls");
    client.oneshot(request("GET", &other).build().unwrap()).await.unwrap();
    assert_eq!(other.seen().len(), 3, "what the other one has spent is not missing here");
}

#[tokio::test(start_paused = true)]
async fn each_upstream_has_a_breaker_of_its_own() {
    let down = Upstream::scripted(vec![status(503), status(429), vec![Step::Close], ok("1")]).await;
    let other = Upstream::always(ok("2")).await;
    let settings = CircuitBreaker::builder().minimum_calls(3).open_for(30).probes(1).name("upstreams");
    let layer = FmRetryLayer::new().attempts(1).circuit_breakers(settings).unwrap();
    let client = layer.layer(plain());
    let get = |upstream: &Upstream| client.clone().oneshot(request("GET", upstream).build().unwrap());
    for _ in 0..3 {
        let _ = get(&down).await;
    }
    let refused = get(&down).await.unwrap_err();
    let refused = refused.downcast_ref::<FmError>().unwrap();
    assert!(refused.is_circuit_open() && refused.retry_after().is_some(), "{refused}");
    assert_eq!(down.seen().len(), 3);
    assert_eq!(get(&other).await.unwrap().text().await.unwrap(), "2");
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(get(&down).await.unwrap().text().await.unwrap(), "1");
    let stats = layer.stats();
    assert_eq!((stats.requests, stats.attempts, stats.failures), (6, 5, 2), "a refusal is no attempt");
    assert!(FmRetryLayer::new().circuit_breakers(CircuitBreaker::builder().probes(0)).unwrap_err().is_config());
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_ends_the_repetitions() {
    let down = Upstream::always(status(503)).await;
    let settings = CircuitBreaker::builder().minimum_calls(2);
    let client = FmRetryLayer::new().attempts(5).circuit_breakers(settings).unwrap().layer(plain());
    let refused = client.oneshot(request("GET", &down).build().unwrap()).await.unwrap_err();
    assert!(refused.downcast_ref::<FmError>().unwrap().is_circuit_open(), "{refused}");
    assert_eq!(down.seen().len(), 2);
}
