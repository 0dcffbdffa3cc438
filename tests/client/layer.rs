//! The retries over a client that is not ours.

use std::time::Duration;

use memory_core::{FmRetryLayer, reqwest};
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
