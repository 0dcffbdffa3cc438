//! Which headers there are, and what they say.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Request, StatusCode},
    response::{Html, IntoResponse, Response},
    routing::{self, post},
};
use memory_core::{FOREVER, FmCacheHeadersLayer, memorize};
use tokio::time::advance;

use crate::{Answer, Runs, ask, cache, get, seconds};

#[memorize(expire = 60)]
async fn number(State(runs): State<Runs>, Path(id): Path<u32>) -> Json<(u32, u32)> {
    Json((id, runs.begin()))
}

#[memorize(expire = 60, stale_while_revalidate = 30, stale_if_error = 3600)]
async fn patient(State(runs): State<Runs>) -> String {
    runs.begin().to_string()
}

#[memorize(expire = FOREVER)]
async fn constant() -> Html<String> {
    Html("<p>".to_owned())
}

#[memorize(expire = 60)]
async fn fallible(State(runs): State<Runs>, Path(id): Path<u32>) -> Result<Json<u32>, StatusCode> {
    runs.begin();
    if id == 0 { Err(StatusCode::NOT_FOUND) } else { Ok(Json(id)) }
}

#[memorize(expire = 60)]
async fn helper(id: u32) -> Json<u32> {
    Json(id)
}

#[memorize(expire = 60)]
async fn data() -> u32 {
    7
}

#[memorize(expire = 60)]
async fn greeting() -> String {
    "hello".to_owned()
}

/// Serves what a memorized function returns, but is not memorized.
async fn plain_over_helper() -> Json<u32> {
    helper(1).await
}

async fn plain_over_data() -> Json<u32> {
    Json(data().await)
}

/// The memorized greeting is a part of a page for one user.
async fn plain_page(headers: HeaderMap) -> String {
    let user = headers.get("user").map_or("nobody", |user| user.to_str().unwrap());
    format!("{}, {user}", greeting().await)
}

#[memorize(expire = 60)]
async fn page_of_parts(State(runs): State<Runs>) -> String {
    runs.begin();
    format!("{} and {}", greeting().await, data().await)
}

#[memorize(expire = 60)]
async fn marked(State(runs): State<Runs>) -> Response {
    runs.begin();
    ([("cache-control", "max-age=5")], "own").into_response()
}

#[memorize(expire = 60, cache_if = |_| false)]
async fn never_stored(State(runs): State<Runs>) -> String {
    runs.begin().to_string()
}

async fn session(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("set-cookie", HeaderValue::from_static("session=1"));
    response
}

fn app(runs: &Runs, layer: FmCacheHeadersLayer) -> Router {
    Router::new()
        .route("/number/{id}", routing::get(number).post(number))
        .route("/patient", routing::get(patient))
        .route("/constant", routing::get(constant))
        .route("/fallible/{id}", routing::get(fallible))
        .route("/plain/helper", routing::get(plain_over_helper))
        .route("/plain/data", routing::get(plain_over_data))
        .route("/plain/page", routing::get(plain_page))
        .route("/parts", routing::get(page_of_parts))
        .route("/marked", routing::get(marked))
        .route("/never", routing::get(never_stored))
        .route("/session", routing::get(number_one).layer(axum::middleware::from_fn(session)))
        .route("/submit", post(submit))
        .layer(layer)
        .layer(cache().layer())
        .with_state(runs.clone())
}

#[memorize(expire = 60)]
async fn number_one(State(runs): State<Runs>) -> Json<u32> {
    Json(runs.begin())
}

#[memorize(expire = 60)]
async fn submit(State(runs): State<Runs>, body: String) -> String {
    runs.begin();
    body
}

fn usual() -> (Runs, Router) {
    let runs = Runs::default();
    let app = app(&runs, FmCacheHeadersLayer::new());
    (runs, app)
}

fn has_nothing(answer: &Answer) -> bool {
    ["cache-control", "etag", "age", "last-modified", "x-fm-cache", "cache-status"]
        .iter()
        .all(|name| !answer.headers.contains_key(*name))
}

#[tokio::test(start_paused = true)]
async fn a_miss_and_then_a_hit_say_how_long_the_value_still_lives() {
    let (runs, app) = usual();
    let first = get(&app, "/number/7").await;
    assert_eq!(first.caching(), ("max-age=60", "MISS"));
    assert_eq!(first.header("cache-status"), "fm-cache; fwd=miss; stored");
    assert!(!first.headers.contains_key("age"), "it was not stored before");
    let etag = first.header("etag");
    assert!(etag.len() == 34 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");

    advance(seconds(10)).await;
    let second = get(&app, "/number/7").await;
    assert_eq!(second.caching(), ("max-age=50", "HIT"));
    assert_eq!((second.header("age"), second.header("cache-status")), ("10", "fm-cache; hit; ttl=50"));
    assert_eq!((second.header("etag"), second.header("last-modified")), (etag, first.header("last-modified")));
    assert!(httpdate::parse_http_date(first.header("last-modified")).is_ok());
    assert_eq!((second.body.as_str(), second.header("content-type")), ("[7,1]", "application/json"));

    advance(seconds(50)).await;
    let third = get(&app, "/number/7").await;
    assert_eq!(third.caching(), ("max-age=60", "MISS"));
    assert_ne!(third.header("etag"), etag, "another body");
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn stale_windows_are_told_and_shrink() {
    let (_, app) = usual();
    let windows = "max-age=60, stale-while-revalidate=30, stale-if-error=3600";
    assert_eq!(get(&app, "/patient").await.caching(), (windows, "MISS"));
    advance(seconds(70)).await;
    let stale = get(&app, "/patient").await;
    assert_eq!(stale.caching(), ("max-age=0, stale-while-revalidate=20, stale-if-error=3590", "STALE"));
    assert_eq!((stale.header("age"), stale.header("cache-status")), ("70", "fm-cache; hit; ttl=-10"));
    assert_eq!(stale.body, "1");
    tokio::task::yield_now().await;
    advance(seconds(1)).await;
    let fresh = get(&app, "/patient").await;
    assert_eq!((fresh.caching().1, fresh.body.as_str(), fresh.header("age")), ("HIT", "2", "1"));
}

#[tokio::test(start_paused = true)]
async fn what_never_expires_is_fresh_for_a_year() {
    let (_, app) = usual();
    for verdict in ["MISS", "HIT"] {
        assert_eq!(get(&app, "/constant").await.caching(), ("max-age=31536000", verdict));
    }
}

#[tokio::test(start_paused = true)]
async fn callers_who_wait_for_one_run_get_the_same_headers() {
    let (runs, app) = usual();
    let answers = tokio::join!(get(&app, "/number/1"), get(&app, "/number/1"), get(&app, "/number/1"));
    let statuses = [&answers.0, &answers.1, &answers.2].map(|answer| answer.header("cache-status"));
    assert_eq!(statuses.iter().filter(|status| **status == "fm-cache; fwd=miss; stored").count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == "fm-cache; fwd=miss; collapsed").count(), 2);
    for answer in [&answers.0, &answers.1, &answers.2] {
        assert_eq!((answer.caching(), answer.header("etag")), (("max-age=60", "MISS"), answers.0.header("etag")));
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_and_what_is_not_stored_are_not_given_to_keep() {
    let (runs, app) = usual();
    for _ in 0..2 {
        let failed = get(&app, "/fallible/0").await;
        assert_eq!((failed.status, failed.caching()), (StatusCode::NOT_FOUND, ("", "MISS")));
        assert!(!failed.headers.contains_key("etag"));
        assert_eq!(get(&app, "/never").await.caching(), ("", "MISS"));
    }
    assert_eq!(runs.count(), 4);
    assert_eq!(get(&app, "/fallible/1").await.caching(), ("max-age=60", "MISS"));
}

#[tokio::test(start_paused = true)]
async fn only_the_answer_of_a_memorized_handler_is_touched() {
    let (_, app) = usual();
    for uri in ["/plain/helper", "/plain/data", "/plain/page", "/absent"] {
        for _ in 0..2 {
            let answer = get(&app, uri).await;
            assert!(has_nothing(&answer), "{uri}: {answer:?}");
        }
    }
    let rejected = get(&app, "/number/seven").await;
    assert!(rejected.status == StatusCode::BAD_REQUEST && has_nothing(&rejected));
}

#[tokio::test(start_paused = true)]
async fn calls_inside_the_handler_s_body_do_not_speak_for_it() {
    let (_, app) = usual();
    get(&app, "/plain/page").await;
    advance(seconds(30)).await;
    assert_eq!(get(&app, "/parts").await.caching(), ("max-age=60", "MISS"));
    assert_eq!(get(&app, "/parts").await.caching(), ("max-age=60", "HIT"));
}

#[tokio::test(start_paused = true)]
async fn a_handler_s_own_words_win() {
    let (runs, app) = usual();
    for _ in 0..2 {
        let answer = get(&app, "/marked").await;
        assert_eq!((answer.caching(), answer.body.as_str()), (("max-age=5", ""), "own"));
        assert!(!answer.headers.contains_key("etag"));
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_methods_run_every_time() {
    let (runs, app) = usual();
    for run in 1..=2 {
        let answer = ask(&app, Request::post("/number/7").header("if-none-match", "*")).await;
        assert_eq!((answer.status, answer.caching()), (StatusCode::OK, ("", "BYPASS")));
        assert_eq!(answer.body, format!("[7,{run}]"));
        assert_eq!(answer.header("cache-status"), "fm-cache; fwd=bypass");
    }
    for _ in 0..2 {
        assert_eq!(ask(&app, Request::post("/submit")).await.caching().1, "BYPASS");
    }
    assert_eq!(runs.count(), 4);
    assert_eq!(get(&app, "/number/7").await.caching(), ("max-age=60", "MISS"), "nothing was stored");
}

#[tokio::test(start_paused = true)]
async fn credentials_make_an_answer_private_unless_it_is_public() {
    let (runs, usual) = usual();
    let public = app(&runs, FmCacheHeadersLayer::new().public());
    for name in ["authorization", "cookie", "x-api-key", "x-forwarded-user"] {
        let request = || Request::get("/number/3").header(name, "secret");
        assert_eq!(ask(&usual, request()).await.caching().0, "private, max-age=60");
        assert_eq!(ask(&public, request()).await.caching().0, "public, max-age=60");
    }
    assert_eq!(get(&usual, "/number/3").await.caching(), ("max-age=60", "HIT"));
}

#[tokio::test(start_paused = true)]
async fn a_response_with_a_cookie_is_not_given_to_keep() {
    let (_, app) = usual();
    for verdict in ["MISS", "HIT"] {
        let answer = get(&app, "/session").await;
        assert_eq!((answer.caching(), answer.header("set-cookie")), (("", verdict), "session=1"));
        assert!(!answer.headers.contains_key("etag"));
    }
}

#[tokio::test(start_paused = true)]
async fn head_says_what_get_says() {
    let (runs, app) = usual();
    let head = ask(&app, Request::head("/number/7")).await;
    assert_eq!((head.caching(), head.body.as_str(), head.header("content-length")), (("max-age=60", "MISS"), "", "5"));
    let got = get(&app, "/number/7").await;
    assert_eq!((got.caching().1, got.header("etag")), ("HIT", head.header("etag")));
    assert_eq!(runs.count(), 1);
}
