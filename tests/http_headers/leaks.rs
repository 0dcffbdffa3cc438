//! What one client sees must not reach another.

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, Request, StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing,
};
use memory_core::{CacheKey, FmCacheHeadersLayer, memorize};

use crate::{Answer, Runs, ask, cache, get};

/// Who asks, by the token of the request.
#[derive(CacheKey)]
struct User {
    #[cache_key]
    name: String,
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let name = text("authorization").or(text("cookie")).or(text("x-api-key")).ok_or(StatusCode::UNAUTHORIZED)?;
        Ok(Self { name: name.to_owned() })
    }
}

#[memorize(expire = 60)]
async fn me(State(runs): State<Runs>, user: User) -> Json<String> {
    runs.begin();
    Json(format!("secrets of {}", user.name))
}

#[memorize(expire = 60)]
async fn me_below(State(runs): State<Runs>, Path(rest): Path<String>, user: User) -> Json<String> {
    runs.begin();
    Json(format!("secrets of {} at {rest}", user.name))
}

#[memorize(expire = 60)]
async fn login(State(runs): State<Runs>, Path(name): Path<String>) -> Response {
    runs.begin();
    ([("set-cookie", format!("session={name}"))], "welcome").into_response()
}

#[memorize(expire = 60)]
async fn fails_once(State(runs): State<Runs>) -> Result<String, StatusCode> {
    if runs.begin() == 1 { Err(StatusCode::INTERNAL_SERVER_ERROR) } else { Ok("good".to_owned()) }
}

#[memorize(expire = 60)]
async fn delete(State(runs): State<Runs>) -> String {
    runs.begin().to_string()
}

#[memorize(expire = 60)]
async fn public_part() -> String {
    "welcome".to_owned()
}

/// Not memorized: checks who asks, and adds it to something that is memorized.
async fn guarded(headers: HeaderMap) -> Result<String, StatusCode> {
    let key = headers.get("x-api-key").ok_or(StatusCode::FORBIDDEN)?;
    Ok(format!("{}, {}", public_part().await, key.to_str().unwrap()))
}

fn app(runs: &Runs) -> Router {
    Router::new()
        .route("/me", routing::get(me))
        .route("/me/{*rest}", routing::get(me_below))
        .route("/login/{name}", routing::get(login))
        .route("/fails", routing::get(fails_once))
        .route("/delete", routing::get(delete).delete(delete))
        .route("/guarded", routing::get(guarded))
        .layer(FmCacheHeadersLayer::new())
        .layer(cache().layer())
        .with_state(runs.clone())
}

async fn as_user(app: &Router, uri: &str, header: &str, user: &str) -> Answer {
    ask(app, Request::get(uri).header(header, user)).await
}

#[tokio::test(start_paused = true)]
async fn two_users_have_two_answers_and_both_are_private() {
    for header in ["authorization", "cookie", "x-api-key"] {
        let runs = Runs::default();
        let app = app(&runs);
        for user in ["ann", "bob", "ann", "bob"] {
            let answer = as_user(&app, "/me", header, user).await;
            assert_eq!(answer.body, format!("\"secrets of {user}\""));
            assert_eq!(answer.caching().0, "private, max-age=60");
        }
        assert_eq!(runs.count(), 2);
        let nobody = get(&app, "/me").await;
        assert_eq!((nobody.status, nobody.caching()), (StatusCode::UNAUTHORIZED, ("", "")));
    }
}

#[tokio::test(start_paused = true)]
async fn the_validator_of_one_user_is_not_known_to_another() {
    let app = app(&Runs::default());
    let anns = as_user(&app, "/me", "cookie", "ann").await;
    let request = Request::get("/me").header("cookie", "bob").header("if-none-match", anns.header("etag"));
    let bobs = ask(&app, request).await;
    assert_eq!((bobs.status, bobs.body.as_str()), (StatusCode::OK, "\"secrets of bob\""));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_looks_like_a_file_is_as_private_as_any() {
    let app = app(&Runs::default());
    for path in ["/me/x.css", "/me/x.js", "/me/a/b.png", "/me/x.css%3fy", "/me/%2e%2e/x.css"] {
        let anns = as_user(&app, path, "cookie", "ann").await;
        assert_eq!((anns.status, anns.caching().0), (StatusCode::OK, "private, max-age=60"), "{path}");
        assert!(as_user(&app, path, "cookie", "bob").await.body.contains("secrets of bob"), "{path}");
        assert_eq!(get(&app, path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_reaches_its_client_only() {
    let runs = Runs::default();
    let app = app(&runs);
    for run in 1..=3 {
        let answer = get(&app, "/login/ann").await;
        assert_eq!((answer.header("set-cookie"), answer.caching()), ("session=ann", ("", "MISS")));
        assert_eq!(runs.count(), run);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_nobody_else_s() {
    let app = app(&Runs::default());
    let failed = get(&app, "/fails").await;
    assert_eq!((failed.status, failed.caching()), (StatusCode::INTERNAL_SERVER_ERROR, ("", "MISS")));
    assert_eq!(get(&app, "/fails").await.body, "good");
}

#[tokio::test(start_paused = true)]
async fn a_header_does_not_change_the_method() {
    let runs = Runs::default();
    let app = app(&runs);
    assert_eq!(get(&app, "/delete").await.body, "1");
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let posing = ask(&app, Request::get("/delete").header(name, "DELETE")).await;
        assert_eq!((posing.caching().1, posing.body.as_str()), ("HIT", "1"), "{name}: still a GET");
        let real = ask(&app, Request::delete("/delete").header(name, "GET")).await;
        assert_eq!((real.caching(), real.header("etag")), (("", "BYPASS"), ""), "{name}: still a DELETE");
    }
    assert_eq!(runs.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_page_around_something_memorized_is_left_alone() {
    let app = app(&Runs::default());
    for key in ["ann", "bob"] {
        let answer = as_user(&app, "/guarded", "x-api-key", key).await;
        assert_eq!((answer.body, answer.headers.len()), (format!("welcome, {key}"), 2));
    }
}
