//! The same answer, 1 KiB of JSON, made in every way that is compared.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{
        HeaderName,
        header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, LAST_MODIFIED},
    },
    response::IntoResponse,
    routing::get,
};
use axum_response_cache::CacheLayer;
use memory_core::{FmCacheHeadersLayer, FmCacheManager, FmJson, FmMemoryBackend, FmResponseCacheLayer, memorize};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    roles: Vec<String>,
    notes: Vec<Note>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Note {
    at: u64,
    text: String,
    done: bool,
}

/// About 1 KiB as JSON.
fn user() -> User {
    let note = |at| Note { at, text: format!("the note of {at} says a little more than nothing"), done: at % 2 == 0 };
    User {
        id: 7,
        name: "Ann Example".to_owned(),
        roles: ["admin", "editor", "reader"].map(str::to_owned).to_vec(),
        notes: (1_700_000_000..1_700_000_010).map(note).collect(),
    }
}

#[memorize(expire = 3600)]
async fn written() -> FmJson<User> {
    FmJson(user())
}

#[memorize(expire = 3600)]
async fn plain() -> Json<User> {
    Json(user())
}

async fn bytes(State(bytes): State<Bytes>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], bytes)
}

/// With what the layer would say, written by hand.
async fn bytes_and_headers(State(bytes): State<Bytes>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (ETAG, "\"af1349b9f5f9a1a6a0404dea36dcc949\""),
        (CACHE_CONTROL, "max-age=3599"),
        (AGE, "1"),
        (LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (HeaderName::from_static("x-fm-cache"), "HIT"),
        (HeaderName::from_static("cache-status"), "fm-cache; hit; ttl=3599"),
    ];
    (headers, bytes)
}

async fn by_hand(State(cache): State<moka::future::Cache<u64, Arc<User>>>) -> Json<Arc<User>> {
    Json(cache.get_with(7, async { Arc::new(user()) }).await)
}

async fn uncached() -> Json<User> {
    Json(user())
}

async fn uncached_marked() -> impl IntoResponse {
    ([(CACHE_CONTROL, "max-age=3600")], Json(user()))
}

pub(crate) async fn serve(kind: &str, port: u16) -> Result<(), Box<dyn Error>> {
    FmCacheManager::init(FmMemoryBackend::new(), "bench")?;
    let app: Router = match kind {
        "ready-bytes" => Router::new().route("/user", get(bytes)).with_state(Bytes::from(serde_json::to_vec(&user())?)),
        "ready-bytes-headers" => {
            Router::new().route("/user", get(bytes_and_headers)).with_state(Bytes::from(serde_json::to_vec(&user())?))
        }
        "response-layer" => Router::new().route("/user", get(uncached_marked)).layer(FmResponseCacheLayer::new()),
        "fmjson-layer" => Router::new().route("/user", get(written)).layer(FmCacheHeadersLayer::new()),
        "fmjson" => Router::new().route("/user", get(written)),
        "json-layer" => Router::new().route("/user", get(plain)).layer(FmCacheHeadersLayer::new()),
        "json" => Router::new().route("/user", get(plain)),
        "moka-by-hand" => Router::new().route("/user", get(by_hand)).with_state(moka::future::Cache::new(1000)),
        "axum-response-cache" => {
            Router::new().route("/user", get(uncached)).layer(CacheLayer::with_lifespan(Duration::from_secs(3600)))
        }
        "uncached" => Router::new().route("/user", get(uncached)),
        other => return Err(format!("there is no kind {other}").into()),
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, app).await?)
}
