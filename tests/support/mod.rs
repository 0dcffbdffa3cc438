//! Real servers and real faults for the whole-system tests: each test starts what it needs and takes it down again.

// Every test binary compiles this whole module and uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod cluster_set;
pub mod proxy;
pub mod redis_server;
pub mod sentinel_set;

use std::{
    future::Future,
    net::TcpListener,
    time::{Duration, Instant},
};

/// A port of this machine that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Asks again and again until `check` gives something; how long that took, and what it gave.
pub async fn eventually<T, F>(limit: Duration, what: &str, mut check: impl FnMut() -> F) -> (Duration, T)
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(found) = check().await {
            return (start.elapsed(), found);
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Awaits `work`, and tells how long it took, less what this machine was late by in the meantime.
pub async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    const TICK: Duration = Duration::from_millis(5);
    let start = Instant::now();
    let mut lateness = Duration::ZERO;
    tokio::pin!(work);
    loop {
        let tick = Instant::now();
        let done = tokio::select! {
            biased;
            done = &mut work => Some(done),
            () = tokio::time::sleep(TICK) => None,
        };
        lateness += tick.elapsed().saturating_sub(2 * TICK);
        if let Some(done) = done {
            return (start.elapsed().saturating_sub(lateness), done);
        }
    }
}
