//! Handlers may return whatever is a response and can be stored.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{Html, Response},
    routing::get,
};
use memory_core::{FmCacheHeadersLayer, FmError, FmJson, memorize};

#[derive(Clone)]
struct Db;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct User {
    id: u64,
}

/// Only shared, never cloned.
#[derive(serde::Serialize, serde::Deserialize)]
struct Report(Vec<u8>);

type Answer<T> = Result<T, StatusCode>;

#[memorize(expire = 60)]
async fn whole(State(_): State<Db>) -> Response {
    Response::default()
}

#[memorize(expire = 60)]
async fn fallible(Path(id): Path<u64>) -> Answer<Response> {
    if id == 0 { Err(StatusCode::NOT_FOUND) } else { Ok(Response::default()) }
}

#[memorize(expire = 60)]
async fn page() -> Html<String> {
    Html(String::new())
}

#[memorize(expire = 60)]
async fn created() -> (StatusCode, Json<User>) {
    (StatusCode::CREATED, Json(User { id: 1 }))
}

#[memorize(expire = 60)]
async fn with_headers() -> Answer<(StatusCode, HeaderMap, Html<String>)> {
    Ok((StatusCode::OK, HeaderMap::new(), Html(String::new())))
}

#[memorize(expire = 60)]
async fn written(State(_): State<Db>, Path(id): Path<u64>) -> FmJson<User> {
    FmJson(User { id })
}

#[memorize(expire = 60, cache_if = |report| !report.0.is_empty())]
async fn report() -> FmJson<Report> {
    FmJson::new(Report(vec![1]))
}

#[memorize(expire = 60, cache_none)]
async fn perhaps() -> Result<Option<FmJson<User>>, FmError> {
    Ok(Some(User { id: 1 }.into()))
}

#[memorize(expire = 60, memory_only)]
async fn here() -> (HeaderMap, FmJson<Report>) {
    (HeaderMap::new(), Report(vec![2]).into())
}

#[memorize(expire = 60, in_place)]
async fn in_place() -> Response {
    Response::default()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let _: Router = Router::new()
        .route("/whole", get(whole))
        .route("/fallible/{id}", get(fallible))
        .route("/page", get(page))
        .route("/created", get(created))
        .route("/headers", get(with_headers))
        .route("/written/{id}", get(written))
        .route("/report", get(report))
        .route("/here", get(here))
        .route("/in_place", get(in_place))
        .layer(FmCacheHeadersLayer::new().public().client_bypass(true))
        .with_state(Db);
    assert_eq!(written(State(Db), Path(7)).await.id, 7);
    assert_eq!(written::peek(7).await.unwrap().unwrap().id, 7);
    assert_eq!(created().await.0, StatusCode::CREATED);
    assert_eq!(fallible(Path(0)).await.unwrap_err(), StatusCode::NOT_FOUND);
    assert!(perhaps().await.unwrap().is_some());
    assert_eq!(in_place().await.status(), StatusCode::OK);
    assert_eq!(here().await.1.0, [2]);
}
