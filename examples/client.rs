//! The resilient client against a flaky upstream, which this example starts itself.
//!
//! Run it with `cargo run --example client`. It takes about three seconds, most of them waits between attempts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use memory_core::{FmBody, FmClientError, FmError, FmHttpError, FmResilientClient};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Report {
    total: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (address, requests) = start_flaky_upstream().await?;
    let upstream = FmResilientClient::builder()
        .base_url(format!("http://{address}/api"))
        .timeout(0.5)
        .retry_attempts(3)
        .retry_wait_min(0.1)
        .retry_wait_max(2)
        .build()?;

    println!("1. The report fails with 503 twice, saying `Retry-After: 1`, then comes:");
    let began = Instant::now();
    let report: Report = upstream.get_json("report").query([("year", 2026)]).await?;
    println!(
        "   a total of {} after {} requests and {:.1} s",
        report.total,
        requests.swap(0, Ordering::Relaxed),
        seconds(began)
    );

    println!("2. Whatever the content type says, JSON is JSON and the rest is text:");
    for path in ["json", "text"] {
        match upstream.get_raw(path).await? {
            FmBody::Json(value) => println!("   {path}: JSON {value}"),
            FmBody::Text(text) => println!("   {path}: text {text:?}"),
        }
    }

    println!("3. A POST fails: it was sent once, because the upstream may have acted on it:");
    requests.store(0, Ordering::Relaxed);
    let error: FmHttpError = upstream.post_json::<Value>("orders", &json!({"pens": 3})).await.unwrap_err();
    println!("   {error}, requests: {}", requests.swap(0, Ordering::Relaxed));
    upstream.post_json::<Value>("orders", &json!({"pens": 3})).idempotency_key("order-17").await.unwrap_err();
    println!("   with an idempotency key, requests: {}", requests.swap(0, Ordering::Relaxed));

    println!("4. An upstream that hangs is given up at the timeout:");
    let error = upstream.get_raw("hang").timeout(0.2).await.unwrap_err();
    println!("   {error}");

    println!("5. Nothing leaves the upstream, neither by a path nor by a redirect:");
    for path in ["../admin", "//evil.example/x", "http://evil.example/x", "away"] {
        let error = upstream.get_raw(path).await.unwrap_err();
        println!("   {path:<22} {error}");
    }

    println!("6. In an axum handler `?` is enough; the caller sees:");
    let response = upstream.get_json::<Value>("missing").await.unwrap_err().into_response();
    println!("   {}", response.status());

    upstream.aclose().await;
    let closed = upstream.get_raw("json").await;
    println!("7. After aclose(): {}", FmError::from(closed.unwrap_err()));
    assert!(matches!(upstream.get_raw("json").await, Err(FmClientError::Closed)));
    Ok(())
}

fn seconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}

/// Serves on a free port and counts its requests.
async fn start_flaky_upstream() -> std::io::Result<(std::net::SocketAddr, Arc<AtomicUsize>)> {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let count = move || counter.fetch_add(1, Ordering::Relaxed);
    let (count_reports, count_orders) = (count.clone(), count);
    let api = Router::new()
        .route("/report", get(move || async move { report(count_reports()) }))
        .route(
            "/orders",
            post(move || async move {
                count_orders();
                StatusCode::INTERNAL_SERVER_ERROR
            }),
        )
        .route("/json", get(|| async { r#"{"greeting":"hello"}"# }))
        .route("/text", get(|| async { "hello" }))
        .route("/hang", get(|| tokio::time::sleep(Duration::from_secs(60))))
        .route("/away", get(|| async { Redirect::temporary("http://evil.example/x") }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Router::new().nest("/api", api)).await });
    Ok((address, requests))
}

fn report(number: usize) -> Response {
    match number {
        0 | 1 => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")]).into_response(),
        _ => Json(json!({"total": 42})).into_response(),
    }
}
