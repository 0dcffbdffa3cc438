//! An upstream that dies for a minute sees no storm, and is well again at once when it is back.

use std::{io, time::Duration};

use memory_core::{circuit_breaker, default_retry};

use crate::simulation::{OFFERED, Report, SECONDS, Upstream, storm};

/// What the budget lets through besides its share.
const RESERVE: u32 = 100;

#[default_retry(wait_min = 0.5, wait_max = 5, multiplier = 0.5)]
async fn service(upstream: Upstream) -> io::Result<()> {
    upstream.call().await
}

#[default_retry(wait_min = 0.5, wait_max = 5, multiplier = 0.5)]
async fn gateway(upstream: Upstream) -> io::Result<()> {
    service(upstream).await
}

#[tokio::test(start_paused = true)]
async fn two_layers_of_retries_make_no_storm() {
    let report = storm(|upstream| async { gateway(upstream).await.is_ok() }).await;
    let amplification = report.amplification(RESERVE);
    assert!((1.1..=1.25).contains(&amplification), "{amplification} requests a call");
    assert!(report.recovery().is_some_and(|seconds| seconds <= 5), "{:?}", report.recovery());
    assert_all_begun(&report);
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[default_retry(wait_min = 0.5, wait_max = 5, multiplier = 0.5)]
#[circuit_breaker(open_for = 2)]
async fn guarded_service(upstream: Upstream) -> Result<(), BoxError> {
    Ok(upstream.call().await?)
}

#[default_retry(wait_min = 0.5, wait_max = 5, multiplier = 0.5)]
async fn guarded_gateway(upstream: Upstream) -> Result<(), BoxError> {
    guarded_service(upstream).await
}

#[tokio::test(start_paused = true)]
async fn behind_a_breaker_the_dead_upstream_is_left_alone() {
    let report = storm(|upstream| async { guarded_gateway(upstream).await.is_ok() }).await;
    assert!(report.amplification(0) < 0.05, "{} requests a call", report.amplification(0));
    assert!(report.recovery().is_some_and(|seconds| seconds <= 5), "{:?}", report.recovery());
    assert_all_begun(&report);
}

#[tokio::test(start_paused = true)]
async fn retries_without_a_budget_would_make_one() {
    let report = storm(|upstream| async move { by_hand(|| by_hand(|| upstream.call())).await.is_ok() }).await;
    assert!(report.amplification(0) > 6.0, "{}", report.amplification(0));
    assert_eq!(report.recovery(), None, "and they keep the upstream down when it is back");
    assert_all_begun(&report);
}

fn assert_all_begun(report: &Report) {
    assert_eq!(report.begun, [OFFERED; SECONDS], "the clients begin their calls whatever happens");
}

/// Three attempts, as everybody writes them once.
async fn by_hand<F: Future<Output = io::Result<()>>>(call: impl Fn() -> F) -> io::Result<()> {
    for attempt in 0..2 {
        if call().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500) * 2u32.pow(attempt)).await;
    }
    call().await
}
