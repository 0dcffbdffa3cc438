//! Functions that call themselves, or each other: it always ends.

use std::time::Duration;

use memory_core::memorize;
use tokio::time::{sleep, timeout};

use crate::{Logs, Runs, alone, seconds};

#[memorize(skip(runs))]
async fn factorial(n: u64, runs: Runs) -> u64 {
    runs.begin();
    if n < 2 { 1 } else { n * Box::pin(factorial(n - 1, runs)).await }
}

#[memorize(in_place, skip(runs))]
async fn factorial_here(n: u64, runs: Runs) -> u64 {
    runs.begin();
    if n < 2 { 1 } else { n * Box::pin(factorial_here(n - 1, runs)).await }
}

#[memorize]
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

#[tokio::test(start_paused = true)]
async fn a_function_may_call_itself_with_other_arguments() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(factorial(10, runs.clone()).await, 3_628_800);
        assert_eq!(factorial(8, runs.clone()).await, 40_320);
        assert_eq!(runs.take(), 10, "each once");
        assert_eq!(factorial_here(10, runs.clone()).await, 3_628_800);
        assert_eq!(factorial_here(8, runs.clone()).await, 40_320);
        assert_eq!(runs.take(), 10);
        assert_eq!(fibonacci(80), 23_416_728_348_467_685, "exponential, were it not memorized");
    })
    .await;
}

#[memorize(skip(depth, runs))]
async fn itself(depth: u32, runs: Runs) -> u32 {
    runs.begin();
    if depth == 0 { 1 } else { 1 + Box::pin(itself(depth - 1, runs)).await }
}

#[memorize(skip(depth, runs))]
fn itself_in_sync(depth: u32, runs: Runs) -> u32 {
    runs.begin();
    if depth == 0 { 1 } else { 1 + itself_in_sync(depth - 1, runs) }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_itself_with_the_same_key_runs_uncached_with_one_warning() {
    let logs = Logs::capture();
    let runs = Runs::default();
    alone(async {
        assert_eq!(timeout(seconds(5), itself(3, runs.clone())).await.expect("no deadlock"), 4);
        assert_eq!(runs.take(), 4);
        assert_eq!(itself(3, runs.clone()).await, 4, "the outermost is stored");
        assert_eq!(runs.take(), 0);
        assert_eq!(itself_in_sync(3, runs.clone()), 4);
    })
    .await;
    assert_eq!(logs.lines("WARN", "waits for itself").len(), 2, "once for each function");
}

#[memorize(skip(depth))]
async fn ping(depth: u32) -> u32 {
    sleep(Duration::from_millis(10)).await;
    if depth == 0 { 0 } else { 1 + Box::pin(pong(depth - 1)).await }
}

#[memorize(skip(depth))]
async fn pong(depth: u32) -> u32 {
    sleep(Duration::from_millis(10)).await;
    if depth == 0 { 0 } else { 1 + Box::pin(ping(depth - 1)).await }
}

#[tokio::test(start_paused = true)]
async fn two_functions_that_call_each_other_end_from_both_sides_at_once() {
    alone(async {
        let both = async { tokio::join!(ping(9), pong(9)) };
        let (one, other) = timeout(seconds(60), both).await.expect("no deadlock");
        assert!(one > 0 && other > 0);
        let tasks = async { tokio::join!(ping::refresh(5), pong::refresh(5), ping(5), pong(5)) };
        timeout(seconds(60), tasks).await.expect("no deadlock with refreshes either");
    })
    .await;
}

#[memorize(skip(runs))]
async fn joined(id: u32, runs: Runs) -> u32 {
    runs.begin();
    if id > 3 {
        return id;
    }
    let (one, two, three) = tokio::join!(
        Box::pin(joined(id + 1, runs.clone())),
        Box::pin(joined(id + 1, runs.clone())),
        Box::pin(joined(id + 2, runs.clone()))
    );
    one + two + three
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_for_several_runs_at_once_is_one_run_per_key() {
    let runs = Runs::default();
    let answer = alone(async { timeout(seconds(60), joined(0, runs.clone())).await.expect("no deadlock") }).await;
    fn plain(id: u32) -> u32 {
        if id > 3 { id } else { 2 * plain(id + 1) + plain(id + 2) }
    }
    assert_eq!(answer, plain(0));
    assert_eq!(runs.take(), 6);
}
