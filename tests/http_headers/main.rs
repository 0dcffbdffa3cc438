//! What memorized handlers say to HTTP clients, as a client sees it.

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod clients;
mod conditions;
mod headers;
mod json;
mod leaks;
mod sockets;
mod stores;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, request::Builder},
};
use memory_core::{FmCache, FmCacheManager, FmMemoryBackend};
use tower::ServiceExt;

/// A cache of the test's own.
fn cache() -> FmCache {
    FmCacheManager::builder(FmMemoryBackend::new()).prefix("test").build().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Counts the runs of a handler; its state, so that it is not in the key.
#[derive(Clone, Debug, Default)]
struct Runs(Arc<AtomicU32>);

impl Runs {
    /// One more; how many that makes.
    fn begin(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How many there were so far.
    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A response, as far as a test looks at it.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    /// A header; empty where it is absent.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `Cache-Control` and `X-Fm-Cache`.
    fn caching(&self) -> (&str, &str) {
        (self.header("cache-control"), self.header("x-fm-cache"))
    }
}

/// Sends a request to a router, without a socket.
async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn ask(app: &Router, request: Builder) -> Answer {
    send(app, request.body(Body::empty()).unwrap()).await
}

async fn get(app: &Router, uri: &str) -> Answer {
    ask(app, Request::get(uri)).await
}
