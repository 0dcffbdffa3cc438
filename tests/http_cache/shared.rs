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
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
    routing::get,
};
use memory_core::{FmCache, FmHttpCache, FmResilientClient, FmResponseCacheLayer};
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

/// An upstream on a socket that counts its runs.
async fn upstream(runs: &Arc<AtomicU32>) -> String {
    async fn answer(State(runs): State<Arc<AtomicU32>>) -> ([(&'static str, &'static str); 1], String) {
        ([("cache-control", "private, max-age=60")], (runs.fetch_add(1, Ordering::SeqCst) + 1).to_string())
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/me", get(answer)).with_state(Arc::clone(runs));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn what_the_client_of_one_process_stores_another_has_and_no_secret_is_in_redis() {
    let redis = RedisServer::start();
    let runs = Arc::default();
    let url = upstream(&runs).await;
    let process = || {
        let backend = FmRedisBackend::connect(redis.url()).unwrap();
        let cache = FmCache::builder(backend).prefix("client").build().unwrap();
        FmResilientClient::builder().base_url(&*url).http_cache(FmHttpCache::new().cache(&cache)).build().unwrap()
    };
    let (one, other) = (process(), process());
    for (client, token, run) in
        [(&one, "token-a", 1), (&other, "token-a", 1), (&other, "token-b", 2), (&one, "token-b", 2)]
    {
        let request = client.get_json::<u32>("me").bearer_auth(token).header("x-api-key", format!("key-of-{token}"));
        assert_eq!(request.await.unwrap(), run, "{token}");
    }
    let keys: Vec<String> = redis.run(&[b"KEYS", b"client*"]);
    assert!(!keys.is_empty());
    for key in keys {
        let stored: Vec<u8> = redis.run(&[b"GET", key.as_bytes()]);
        let holds = |text: &str| stored.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!holds("token-") && !holds("key-of-"), "{key} holds a secret");
    }
}
