//! Stored responses in a Redis that processes share.

use std::{
    convert::Infallible,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use memory_core::{FmCache, FmResponseCacheLayer};
use memory_redis::FmRedisBackend;
use tower::{Layer, Service, ServiceExt};

use crate::support::redis_server::RedisServer;

/// A process of a service: a cache of its own over the Redis that it shares.
fn process(
    redis: &RedisServer,
    runs: &Arc<AtomicU32>,
) -> impl Service<Request, Response = Response, Error = Infallible> + Clone + use<> {
    let cache = FmCache::builder(FmRedisBackend::connect(redis.url()).unwrap()).prefix("shared").build().unwrap();
    let runs = Arc::clone(runs);
    FmResponseCacheLayer::new().cache(&cache).layer(tower::service_fn(move |request: Request| {
        let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
        let language = request.headers().get("accept-language").cloned().unwrap_or("none".parse().unwrap());
        let response = Response::builder()
            .header("cache-control", "max-age=60")
            .header("vary", "accept-language")
            .header("etag", "\"v1\"")
            .header("x-language", language)
            .body(Body::from(format!("run {run}")));
        ready(Ok::<_, Infallible>(response.unwrap()))
    }))
}

async fn ask<S>(service: &S, method: &str, language: &str) -> (String, String)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone,
{
    let request = Request::builder().method(method).uri("/").header("host", "shop.test");
    let request = request.header("accept-language", language).body(Body::empty()).unwrap();
    let (head, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    assert_eq!(head.headers["x-language"], language);
    let body = to_bytes(body, 100).await.unwrap();
    (head.headers["x-fm-cache"].to_str().unwrap().to_owned(), String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn what_one_process_stores_another_answers_and_either_invalidates() {
    let redis = RedisServer::start();
    let runs = Arc::default();
    let (one, other) = (process(&redis, &runs), process(&redis, &runs));
    let told = |what: &str, body: &str| (what.to_owned(), body.to_owned());
    assert_eq!(ask(&one, "GET", "de").await, told("MISS", "run 1"));
    assert_eq!(ask(&other, "GET", "de").await, told("HIT", "run 1"));
    assert_eq!(ask(&other, "GET", "en").await, told("MISS", "run 2"));
    assert_eq!(ask(&one, "GET", "en").await, told("HIT", "run 2"));
    assert_eq!(ask(&one, "GET", "de").await, told("HIT", "run 1"), "a variant was lost");
    assert_eq!(ask(&other, "DELETE", "de").await, told("BYPASS", "run 3"));
    assert_eq!(ask(&one, "GET", "de").await, told("MISS", "run 4"));
    assert_eq!(ask(&one, "GET", "en").await, told("MISS", "run 5"));
}
