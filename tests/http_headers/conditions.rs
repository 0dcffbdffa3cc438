//! Conditional requests.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, Request, StatusCode},
    response::{IntoResponse, Response},
    routing,
};
use memory_core::{FmCacheHeadersLayer, memorize};
use tokio::time::advance;

use crate::{Answer, Runs, ask, cache, get, seconds};

#[memorize(expire = 60)]
async fn even(State(runs): State<Runs>) -> Json<String> {
    runs.begin();
    Json("always the same".to_owned())
}

#[memorize(expire = 60)]
async fn tagged(State(runs): State<Runs>) -> Response {
    runs.begin();
    ([("etag", "W/\"own\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("x-more", "kept")], "text")
        .into_response()
}

#[memorize(expire = 60)]
async fn absent(State(runs): State<Runs>) -> Result<String, StatusCode> {
    runs.begin();
    Err(StatusCode::NOT_FOUND)
}

fn app(runs: &Runs) -> Router {
    Router::new()
        .route("/even", routing::get(even))
        .route("/tagged", routing::get(tagged))
        .route("/absent", routing::get(absent))
        .layer(FmCacheHeadersLayer::new())
        .layer(cache().layer())
        .with_state(runs.clone())
}

async fn if_none_match(app: &Router, uri: &str, tags: &str) -> Answer {
    ask(app, Request::get(uri).header("if-none-match", tags)).await
}

#[tokio::test(start_paused = true)]
async fn who_has_the_body_gets_news_only() {
    let runs = Runs::default();
    let app = app(&runs);
    let etag = get(&app, "/even").await.header("etag").to_owned();
    advance(seconds(20)).await;
    for tags in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let answer = if_none_match(&app, "/even", &tags).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{tags}");
        assert_eq!((answer.caching(), answer.header("age")), (("max-age=40", "HIT"), "20"));
        assert_eq!(answer.header("etag"), etag);
        for gone in ["content-type", "content-length", "last-modified"] {
            assert!(!answer.headers.contains_key(gone), "{gone}");
        }
    }
    let other = if_none_match(&app, "/even", "\"x\", W/\"y\"").await;
    assert_eq!((other.status, other.body.as_str()), (StatusCode::OK, "\"always the same\""));
    let head = ask(&app, Request::head("/even").header("if-none-match", etag)).await;
    assert_eq!(head.status, StatusCode::NOT_MODIFIED);
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_value_with_the_same_body_is_known_too() {
    let runs = Runs::default();
    let app = app(&runs);
    let etag = get(&app, "/even").await.header("etag").to_owned();
    advance(seconds(60)).await;
    let answer = if_none_match(&app, "/even", &etag).await;
    assert_eq!((answer.status, answer.caching()), (StatusCode::NOT_MODIFIED, ("max-age=60", "MISS")));
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn dates_count_where_there_are_no_tags() {
    let runs = Runs::default();
    let app = app(&runs);
    let since = |date: &str| Request::get("/tagged").header("if-modified-since", date.to_owned());
    for (date, status) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 304),
        ("Mon, 07 Nov 1994 08:49:37 GMT", 304),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 304),
        ("Sat, 05 Nov 1994 08:49:37 GMT", 200),
        ("yesterday", 200),
    ] {
        assert_eq!(ask(&app, since(date)).await.status.as_u16(), status, "{date}");
    }
    let both = since("Mon, 07 Nov 1994 08:49:37 GMT").header("if-none-match", "\"x\"");
    assert_eq!(ask(&app, both).await.status, StatusCode::OK, "a tag wins");
    let made = get(&app, "/even").await.header("last-modified").to_owned();
    let answer = ask(&app, Request::get("/even").header("if-modified-since", made)).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test(start_paused = true)]
async fn a_handler_s_own_validators_count() {
    let runs = Runs::default();
    let app = app(&runs);
    let answer = get(&app, "/tagged").await;
    assert_eq!((answer.header("etag"), answer.caching()), ("W/\"own\"", ("max-age=60", "MISS")));
    let known = if_none_match(&app, "/tagged", "\"own\"").await;
    assert_eq!((known.status, known.header("x-more")), (StatusCode::NOT_MODIFIED, "kept"));
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_a_success_is_answered_by_news() {
    let runs = Runs::default();
    assert_eq!(if_none_match(&app(&runs), "/absent", "*").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_cannot_be_compared_byte_for_byte_is_let_through() {
    #[memorize(expire = 60)]
    async fn zipped() -> String {
        "text".to_owned()
    }
    async fn zip(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
        let mut response = next.run(request).await;
        *response.body_mut() = "zip!".into();
        response.headers_mut().insert("content-encoding", HeaderValue::from_static("x"));
        response
    }
    let app = Router::new()
        .route("/", routing::get(zipped))
        .layer(axum::middleware::from_fn(zip))
        .layer(FmCacheHeadersLayer::new())
        .layer(cache().layer());
    for _ in 0..2 {
        let answer = if_none_match(&app, "/", "*").await;
        assert_eq!((answer.status, answer.body.as_str(), answer.caching()), (StatusCode::OK, "zip!", ("", "")));
    }
}
