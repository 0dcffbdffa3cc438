//! Memorized handlers that return responses.

use std::convert::Infallible;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{Html, IntoResponse, Response},
    routing,
};
use futures::stream;
use memory_core::{FmCacheHeadersLayer, FmJson, memorize};
use tokio::time::advance;

use crate::{Answer, Runs, cache, get, seconds};

#[memorize(expire = 60)]
async fn any(State(runs): State<Runs>, Path(what): Path<String>) -> Response {
    let run = runs.begin().to_string();
    let ok = |name: &'static str, value: &'static str| ([(name, value)], run.clone()).into_response();
    match what.as_str() {
        "created" => (StatusCode::CREATED, [("x-own", "a")], run).into_response(),
        "pieces" => {
            let pieces =
                ["one ", "two ", "three"].map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes())));
            Body::from_stream(stream::iter(pieces)).into_response()
        }
        "cookie" => ok("set-cookie", "a=b"),
        "private" => ok("cache-control", "max-age=60, private"),
        "no-store" => ok("cache-control", "no-store"),
        "events" => ok("content-type", "text/event-stream"),
        "missing" => (StatusCode::NOT_FOUND, run).into_response(),
        "broken" => (StatusCode::BAD_GATEWAY, run).into_response(),
        "moved" => (StatusCode::FOUND, [("location", "/")], run).into_response(),
        _ => run.into_response(),
    }
}

#[memorize(expire = 60)]
async fn with_status(State(runs): State<Runs>, Path(status): Path<u16>) -> (StatusCode, Json<u32>) {
    (StatusCode::from_u16(status).unwrap(), Json(runs.begin()))
}

#[memorize(expire = 60)]
async fn with_headers(State(runs): State<Runs>, Path(name): Path<String>) -> (StatusCode, HeaderMap, Html<String>) {
    let name = axum::http::HeaderName::try_from(name).unwrap();
    let headers = [(name, HeaderValue::from_static("v"))].into_iter().collect();
    (StatusCode::OK, headers, Html(runs.begin().to_string()))
}

#[memorize(expire = 60)]
async fn fallible(State(runs): State<Runs>, Path(ok): Path<bool>) -> Result<(HeaderMap, FmJson<u32>), StatusCode> {
    let run = runs.begin();
    if ok { Ok((HeaderMap::new(), FmJson(run))) } else { Err(StatusCode::CONFLICT) }
}

#[memorize(expire = 10, stale_if_error = 60)]
async fn flaky(State(runs): State<Runs>) -> Response {
    match runs.begin() {
        1 => "good".into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn app(runs: &Runs) -> Router {
    Router::new()
        .route("/any/{what}", routing::get(any))
        .route("/status/{status}", routing::get(with_status))
        .route("/headers/{name}", routing::get(with_headers))
        .route("/fallible/{ok}", routing::get(fallible))
        .route("/flaky", routing::get(flaky))
        .layer(FmCacheHeadersLayer::new())
        .layer(cache().layer())
        .with_state(runs.clone())
}

async fn twice(uri: &str) -> ([Answer; 2], u32) {
    let runs = Runs::default();
    let app = app(&runs);
    let answers = [get(&app, uri).await, get(&app, uri).await];
    (answers, runs.count())
}

#[tokio::test(start_paused = true)]
async fn a_whole_response_is_stored_with_its_status_and_headers() {
    let ([first, second], runs) = twice("/any/created").await;
    assert_eq!((second.status, second.header("x-own"), second.body.as_str()), (StatusCode::CREATED, "a", "1"));
    assert_eq!((first.caching(), second.caching()), (("max-age=60", "MISS"), ("max-age=60", "HIT")));
    assert_eq!((first.header("etag"), runs), (second.header("etag"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_in_pieces_is_stored_whole() {
    let ([first, second], runs) = twice("/any/pieces").await;
    assert_eq!((first.body.as_str(), second.body.as_str(), runs), ("one two three", "one two three", 1));
    assert_eq!((first.caching().1, second.caching().1, second.header("content-length")), ("MISS", "HIT", "13"));
}

#[tokio::test(start_paused = true)]
async fn what_is_for_one_client_or_no_success_is_not_stored() {
    for what in ["cookie", "private", "no-store", "events", "missing", "broken", "moved"] {
        let ([first, second], runs) = twice(&format!("/any/{what}")).await;
        assert_eq!((first.body.as_str(), second.body.as_str(), runs), ("1", "2", 2), "{what}");
        assert!(!second.headers.contains_key("etag") && !second.header("cache-control").contains("max-age=60, s"));
    }
    let ([_, cookie], _) = twice("/any/cookie").await;
    assert_eq!((cookie.caching(), cookie.header("set-cookie")), (("", "MISS"), "a=b"));
}

#[tokio::test(start_paused = true)]
async fn a_cookie_reaches_nobody_who_only_waited() {
    let runs = Runs::default();
    let app = app(&runs);
    let answers = tokio::join!(get(&app, "/any/cookie"), get(&app, "/any/cookie"), get(&app, "/any/cookie"));
    let mut bodies = [&answers.0, &answers.1, &answers.2].map(|answer| answer.body.clone());
    bodies.sort();
    assert_eq!((bodies, runs.count()), (["1", "2", "3"].map(str::to_owned), 3));
    let shared = tokio::join!(get(&app, "/any/missing"), get(&app, "/any/missing"));
    assert_eq!((shared.0.body, shared.1.body, runs.count()), ("4".to_owned(), "4".to_owned(), 4));
}

#[tokio::test(start_paused = true)]
async fn tuples_and_pages_are_stored_by_the_same_rules() {
    let ([_, second], runs) = twice("/status/201").await;
    assert_eq!((second.status, second.body.as_str(), second.caching().1, runs), (StatusCode::CREATED, "1", "HIT", 1));
    assert_eq!(twice("/status/404").await.1, 2);
    let ([_, second], runs) = twice("/headers/x-own").await;
    assert_eq!((second.header("x-own"), second.header("content-type"), runs), ("v", "text/html; charset=utf-8", 1));
    assert_eq!(twice("/headers/set-cookie").await.1, 2);
    assert_eq!(twice("/fallible/true").await.1, 1);
    assert_eq!(twice("/fallible/false").await.1, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_response_gives_way_to_a_stale_one() {
    let runs = Runs::default();
    let app = app(&runs);
    get(&app, "/flaky").await;
    advance(seconds(15)).await;
    let stale = get(&app, "/flaky").await;
    assert_eq!((stale.status, stale.body.as_str(), stale.caching().1), (StatusCode::OK, "good", "STALE"));
    assert_eq!((stale.header("age"), runs.count()), ("15", 2));
}

#[tokio::test(start_paused = true)]
async fn companions_speak_of_responses() {
    let (runs, cache) = (Runs::default(), cache());
    cache
        .scope(async {
            any::put("x".to_owned(), (StatusCode::ACCEPTED, "put").into_response()).await.unwrap();
            let found = any::peek("x".to_owned()).await.unwrap().unwrap();
            assert_eq!(found.status(), StatusCode::ACCEPTED);
            any::put("y".to_owned(), ([("set-cookie", "a=b")], "put").into_response()).await.unwrap();
            assert!(any::peek("y".to_owned()).await.unwrap().is_none());
            assert!(any::invalidate("x".to_owned()).await.unwrap());
        })
        .await;
    assert_eq!(runs.count(), 0);
}
