//! What clients may ask of the cache, where that is allowed.

use axum::{
    Router,
    extract::State,
    http::{Request, StatusCode},
    routing,
};
use memory_core::{FmCacheHeadersLayer, memorize};
use tokio::time::advance;

use crate::{Answer, Runs, ask, cache, get, seconds};

#[memorize(expire = 60, stale_if_error = 600)]
async fn count(State(runs): State<Runs>) -> String {
    runs.begin().to_string()
}

fn app(allowed: bool) -> Router {
    Router::new()
        .route("/", routing::get(count))
        .layer(FmCacheHeadersLayer::new().client_bypass(allowed))
        .layer(cache().layer())
        .with_state(Runs::default())
}

async fn with(app: &Router, control: &str) -> Answer {
    ask(app, Request::get("/").header("cache-control", control)).await
}

fn seen(answer: &Answer) -> (&str, &str) {
    (answer.header("x-fm-cache"), answer.body.as_str())
}

#[tokio::test(start_paused = true)]
async fn by_default_nobody_can_make_a_handler_run() {
    let app = app(false);
    get(&app, "/").await;
    for control in ["no-cache", "no-store", "max-age=0", "min-fresh=100"] {
        advance(seconds(1)).await;
        assert_eq!(seen(&with(&app, control).await), ("HIT", "1"), "{control}");
    }
    let fresh = self::app(false);
    assert_eq!(seen(&with(&fresh, "only-if-cached").await), ("MISS", "1"));
}

#[tokio::test(start_paused = true)]
async fn no_cache_refreshes_and_no_store_bypasses() {
    let app = app(true);
    get(&app, "/").await;
    let refreshed = with(&app, "no-cache").await;
    assert_eq!(
        (seen(&refreshed), refreshed.header("cache-control")),
        (("MISS", "2"), "max-age=60, stale-if-error=600")
    );
    assert_eq!(seen(&get(&app, "/").await), ("HIT", "2"), "stored");
    let bypassed = with(&app, "no-store").await;
    assert_eq!((seen(&bypassed), bypassed.header("cache-control")), (("BYPASS", "3"), ""));
    assert_eq!(seen(&get(&app, "/").await), ("HIT", "2"), "not stored");
    assert_eq!(seen(&ask(&app, Request::get("/").header("pragma", "no-cache")).await), ("MISS", "4"));
}

#[tokio::test(start_paused = true)]
async fn ages_can_be_chosen() {
    let app = app(true);
    get(&app, "/").await;
    advance(seconds(20)).await;
    assert_eq!(seen(&with(&app, "max-age=20").await), ("HIT", "1"));
    assert_eq!(seen(&with(&app, "min-fresh=40").await), ("HIT", "1"));
    assert_eq!(seen(&with(&app, "max-age=19").await), ("MISS", "2"));
    advance(seconds(20)).await;
    assert_eq!(seen(&with(&app, "min-fresh=41").await), ("MISS", "3"));
    advance(seconds(70)).await;
    let stale = with(&app, "max-stale=10").await;
    assert_eq!((seen(&stale), stale.header("cache-status")), (("STALE", "3"), "fm-cache; hit; ttl=-10"));
    assert_eq!(seen(&with(&app, "max-stale").await), ("STALE", "3"));
    assert_eq!(seen(&with(&app, "max-stale=9").await), ("MISS", "4"));
}

#[tokio::test(start_paused = true)]
async fn only_if_cached_never_runs() {
    let app = app(true);
    let refused = with(&app, "only-if-cached").await;
    assert_eq!((refused.status, refused.header("x-fm-cache")), (StatusCode::GATEWAY_TIMEOUT, "MISS"));
    assert_eq!(with(&app, "only-if-cached, no-store").await.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(seen(&get(&app, "/").await), ("MISS", "1"));
    assert_eq!(seen(&with(&app, "only-if-cached").await), ("HIT", "1"));
    assert_eq!(with(&app, "only-if-cached, no-cache").await.status, StatusCode::GATEWAY_TIMEOUT);
    advance(seconds(61)).await;
    assert_eq!(with(&app, "only-if-cached").await.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(seen(&with(&app, "only-if-cached, max-stale=5").await), ("STALE", "1"));
}

#[tokio::test(start_paused = true)]
async fn a_wish_is_about_the_handler_and_not_about_what_it_calls() {
    #[memorize(expire = 60)]
    async fn inner() -> String {
        static RUNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        RUNS.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_string()
    }
    #[memorize(expire = 60)]
    async fn outer() -> String {
        inner().await
    }
    let app = Router::new()
        .route("/", routing::get(outer))
        .layer(FmCacheHeadersLayer::new().client_bypass(true))
        .layer(cache().layer());
    for control in ["max-age=60", "no-cache", "no-store"] {
        assert_eq!(with(&app, control).await.body, "0", "{control}");
    }
}
