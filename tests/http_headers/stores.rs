//! The same over every kind of store.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing,
};
use memory_core::{FmCache, FmCacheHeadersLayer, FmCacheManager, FmJson, FmMemoryBackend, memorize};
use memory_redis::FmRedisBackend;
use serde::{Deserialize, Serialize};

use crate::{
    Answer, Runs, ask, get,
    support::{eventually, redis_server::RedisServer},
};

#[derive(Debug, Serialize, Deserialize)]
struct User {
    id: u32,
    name: String,
}

#[memorize(expire = 60)]
async fn user(State(runs): State<Runs>, Path(id): Path<u32>) -> FmJson<User> {
    FmJson(User { id, name: format!("number {}", runs.begin()) })
}

#[memorize(expire = 60)]
async fn page(State(runs): State<Runs>) -> Response {
    (StatusCode::CREATED, [("x-own", "a"), ("content-type", "text/x-own")], runs.begin().to_string()).into_response()
}

#[memorize(expire = 60)]
async fn pair(State(runs): State<Runs>) -> (StatusCode, FmJson<u32>) {
    (StatusCode::ACCEPTED, FmJson(runs.begin()))
}

/// A process of its own: a cache in Redis.
pub(crate) async fn shared(server: &RedisServer) -> FmCache {
    let backend = FmRedisBackend::connect(server.url()).unwrap();
    ready(FmCacheManager::builder(backend).prefix("app").build().unwrap()).await
}

/// A process of its own: a cache in memory over Redis.
pub(crate) async fn tiered(server: &RedisServer) -> FmCache {
    let backend = FmRedisBackend::connect(server.url()).unwrap();
    ready(FmCacheManager::builder(FmMemoryBackend::new()).l2(backend).prefix("app").build().unwrap()).await
}

async fn ready(cache: FmCache) -> FmCache {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    eventually(Duration::from_secs(5), "values are cached", || async {
        let key = format!("probe-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        cache.set(key.as_str(), 1_u32).strict().await.ok()
    })
    .await;
    cache
}

fn app(runs: &Runs, cache: &FmCache) -> Router {
    Router::new()
        .route("/user/{id}", routing::get(user))
        .route("/page", routing::get(page))
        .route("/pair", routing::get(pair))
        .layer(FmCacheHeadersLayer::new().client_bypass(true))
        .layer(cache.layer())
        .with_state(runs.clone())
}

/// `max-age`, which is a little less than the whole life by now.
fn max_age(answer: &Answer) -> u32 {
    let control = answer.header("cache-control");
    control.strip_prefix("max-age=").and_then(|seconds| seconds.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test]
async fn another_process_gives_the_same_validator_and_knows_the_age() {
    let server = RedisServer::start();
    let caches = [(shared(&server).await, shared(&server).await), (tiered(&server).await, tiered(&server).await)];
    for (at, (here, there)) in caches.iter().enumerate() {
        let runs = Runs::default();
        let (one, two) = (app(&runs, here), app(&runs, there));
        for (uri, status) in [(format!("/user/{at}"), 200), ("/page".to_owned(), 201), ("/pair".to_owned(), 202)] {
            let runs_before = runs.count();
            let made = get(&one, &uri).await;
            assert_eq!((made.header("x-fm-cache"), made.status.as_u16()), ("MISS", status), "{uri}");
            here.settle().await;
            for _ in 0..2 {
                let found = get(&two, &uri).await;
                assert_eq!((found.header("x-fm-cache"), found.status, &found.body), ("HIT", made.status, &made.body));
                assert_eq!(found.header("etag"), made.header("etag"), "{uri}");
                assert_eq!(
                    (found.header("x-own"), found.header("content-type")),
                    (made.header("x-own"), made.header("content-type"))
                );
                assert!((50..=60).contains(&max_age(&found)) && found.headers.contains_key("age"), "{found:?}");
            }
            let known = ask(&two, Request::get(&uri).header("if-none-match", made.header("etag"))).await;
            assert_eq!((known.status, known.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
            assert_eq!(runs.count(), runs_before + 1, "{uri}");
        }
        here.clear().await.unwrap();
    }
}

#[tokio::test]
async fn wishes_reach_the_shared_store() {
    let server = RedisServer::start();
    let (here, there) = (shared(&server).await, shared(&server).await);
    let runs = Runs::default();
    let (one, two) = (app(&runs, &here), app(&runs, &there));
    let with = |control: &'static str| Request::get("/user/1").header("cache-control", control);
    assert_eq!(ask(&two, with("only-if-cached")).await.status, StatusCode::GATEWAY_TIMEOUT);
    get(&one, "/user/1").await;
    here.settle().await;
    assert_eq!(ask(&two, with("only-if-cached")).await.header("x-fm-cache"), "HIT");
    assert_eq!(ask(&two, with("min-fresh=100")).await.header("x-fm-cache"), "MISS");
    there.settle().await;
    assert_eq!(ask(&one, with("no-cache")).await.header("x-fm-cache"), "MISS");
    here.settle().await;
    assert_eq!(ask(&two, with("max-stale")).await.body, r#"{"id":1,"name":"number 3"}"#);
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn while_the_store_is_down_answers_are_misses() {
    let mut server = RedisServer::start();
    let cache = shared(&server).await;
    let app = app(&Runs::default(), &cache);
    server.kill();
    for run in 1..=2 {
        let answer = get(&app, "/user/1").await;
        assert_eq!((answer.status, answer.header("x-fm-cache")), (StatusCode::OK, "MISS"));
        assert_eq!(answer.body, format!(r#"{{"id":1,"name":"number {run}"}}"#));
    }
}
