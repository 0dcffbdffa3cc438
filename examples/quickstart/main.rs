//! The whole of it in one service: an axum application over two upstreams that fail two times out of three.
//!
//! - `cargo run --example quickstart` serves, and prints what to try with curl;
//! - `cargo run --example quickstart -- --once` makes the calls itself, prints what they cost, and fails if a hit is not
//!   at least 100 times faster than the first call.
//!
//! Needs nothing beside it: the upstreams are started here, on free ports.

mod once;
mod upstream;

use std::{env, net::SocketAddr};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use memory_core::{
    FmCacheManager, FmError, FmHttpError, FmMemoryBackend, FmResilientClient, cached_singleton, default_retry, memorize,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

struct Settings {
    port: u16,
    cache_ttl: f64,
}

/// Read once, on first use; callers get `&'static Settings`.
#[cached_singleton]
fn get_settings() -> Settings {
    Settings { port: number_in_env("PORT").unwrap_or(0), cache_ttl: number_in_env("CACHE_TTL").unwrap_or(60.0) }
}

fn number_in_env<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

#[derive(Clone)]
struct App {
    users: FmResilientClient,
    rates: SocketAddr,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    currency: String,
}

/// A handler that is memorized stays one: the key is the id, never the state; only `Ok` is stored. The client repeats what
/// fails with 503, so that there is nothing to do here.
#[memorize(expire = get_settings().cache_ttl, namespace = "users")]
async fn get_user(State(app): State<App>, Path(id): Path<u64>) -> Result<Json<User>, FmHttpError> {
    app.users.get_json(format!("users/{id}")).await.map(Json)
}

/// No HTTP, so no client that repeats: the attribute does. A hit asks neither.
#[memorize(expire = 60, skip(rates))]
#[default_retry(wait_min = 0.05, wait_max = 0.1)]
async fn exchange_rate(rates: SocketAddr, currency: String) -> anyhow::Result<f64> {
    let mut connection = TcpStream::connect(rates).await?;
    connection.write_all(format!("{currency}\n").as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    if answer.is_empty() {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(answer.trim().parse()?)
}

async fn get_rate(State(app): State<App>, Path(currency): Path<String>) -> Result<Json<f64>, (StatusCode, String)> {
    let rate = exchange_rate(app.rates, currency).await;
    rate.map(Json).map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}

/// A memorized function's companions are typed like the function: this takes the id, and nothing else.
async fn forget_user(Path(id): Path<u64>) -> Response {
    match get_user::invalidate(id).await {
        Ok(true) => "forgotten\n".into_response(),
        Ok(false) => "was not cached\n".into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn stats() -> String {
    format!("{:#?}\n", FmCacheManager::stats())
}

fn router(app: App) -> Router {
    Router::new()
        .route("/users/{id}", get(get_user).delete(forget_user))
        .route("/rates/{currency}", get(get_rate))
        .route("/stats", get(stats))
        .with_state(app)
}

fn connect(users: SocketAddr) -> Result<FmResilientClient, FmError> {
    FmResilientClient::builder()
        .base_url(format!("http://{users}"))
        .timeout(2)
        .retry_attempts(3)
        .retry_wait_min(0.05)
        .retry_wait_max(0.1)
        .build()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    FmCacheManager::init(FmMemoryBackend::new(), "quickstart")?;
    let upstream = upstream::start().await?;
    let app = App { users: connect(upstream.users)?, rates: upstream.rates };
    if env::args().any(|argument| argument == "--once") {
        once::run(&app, &upstream).await?;
    } else {
        serve(app.clone()).await?;
    }
    FmCacheManager::close().await;
    app.users.aclose().await;
    Ok(())
}

async fn serve(app: App) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", get_settings().port)).await?;
    let address = listener.local_addr()?;
    println!("Both upstreams fail two times out of three. Try, each line twice:\n");
    println!("  curl -w '%{{time_total}} s\\n' http://{address}/users/7");
    println!("  curl -w '%{{time_total}} s\\n' http://{address}/rates/EUR");
    println!("  curl -w '%{{time_total}} s\\n' http://{address}/users/0     # 404: neither repeated nor stored");
    println!("  curl -X DELETE http://{address}/users/7");
    println!("  curl http://{address}/stats\n");
    println!("Ctrl-C ends it.");
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    Ok(axum::serve(listener, router(app)).with_graceful_shutdown(stop).await?)
}
