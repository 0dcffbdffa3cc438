//! One run for many callers, whatever becomes of the caller that started it.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::{FutureExt, future::join_all};
use memory_core::{FmCacheManager, memorize};
use tokio::time::{Instant, sleep};

use crate::{Runs, alone, cache, seconds};

#[memorize(skip(runs))]
async fn slow(id: u32, runs: Runs) -> u32 {
    let run = runs.begin();
    sleep(seconds(1)).await;
    id + run
}

#[memorize(in_place, skip(runs))]
async fn slow_here(id: u32, runs: Runs) -> u32 {
    let run = runs.begin();
    sleep(seconds(1)).await;
    id + run
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_are_one_run() {
    let runs = Runs::default();
    let cache = cache();
    cache
        .scope(async {
            let start = Instant::now();
            let answers = join_all((0..1000).map(|_| slow(10, runs.clone()))).await;
            assert!(answers.iter().all(|answer| *answer == 11));
            let answers = join_all((0..1000).map(|_| slow_here(10, runs.clone()))).await;
            assert!(answers.iter().all(|answer| *answer == 12));
            assert_eq!(start.elapsed(), seconds(2));
        })
        .await;
    assert_eq!(runs.take(), 2);
    let stats = cache.stats();
    assert_eq!((stats.runs, stats.misses, stats.coalesced, stats.stores), (2, 2000, 1998, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_in_tasks_on_four_threads_are_one_run() {
    let runs = Runs::default();
    let cache = cache();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));

    #[memorize(skip(runs, gate))]
    async fn gated(id: u32, runs: Runs, gate: std::sync::Arc<tokio::sync::Semaphore>) -> u32 {
        runs.begin();
        let _ = gate.acquire().await;
        id
    }

    let tasks: Vec<_> = (0..1000).map(|_| tokio::spawn(cache.scope(gated(1, runs.clone(), gate.clone())))).collect();
    while cache.stats().misses < 900 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
    assert_eq!(runs.take(), 1);
}

/// Polls once and gives it up for good.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    future.poll_unpin(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn the_run_goes_on_when_the_caller_that_started_it_goes_away() {
    let runs = Runs::default();
    alone(async {
        let mut leader = Box::pin(slow(1, runs.clone()));
        assert!(poll_once(&mut leader).is_pending());
        let waiter = slow(1, runs.clone());
        drop(leader);
        assert_eq!(waiter.await, 2);
        assert_eq!(slow::peek(1).await.unwrap(), Some(2), "it is stored");

        let mut only = Box::pin(slow(2, runs.clone()));
        assert!(poll_once(&mut only).is_pending());
        drop(only);
        sleep(seconds(2)).await;
        assert_eq!(slow::peek(2).await.unwrap(), Some(4), "also where nobody waits");
    })
    .await;
    assert_eq!(runs.take(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_never_polled_again_holds_nobody_up() {
    let runs = Runs::default();
    alone(async {
        let mut frozen = Box::pin(slow(1, runs.clone()));
        assert!(poll_once(&mut frozen).is_pending());
        let start = Instant::now();
        assert_eq!(slow(1, runs.clone()).await, 2);
        assert_eq!(start.elapsed(), seconds(1));
        assert_eq!(slow(1, runs.clone()).await, 2);
        drop(frozen);
    })
    .await;
    assert_eq!(runs.take(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_never_polled_again_holds_nobody_up() {
    let runs = Runs::default();
    alone(async {
        let mut leader = Box::pin(slow_here(1, runs.clone()));
        assert!(poll_once(&mut leader).is_pending());
        let mut frozen = Box::pin(slow_here(1, runs.clone()));
        assert!(poll_once(&mut frozen).is_pending());
        let mut waiter = Box::pin(slow_here(1, runs.clone()));
        assert!(poll_once(&mut waiter).is_pending());
        drop(leader);
        let answer = tokio::time::timeout(seconds(10), waiter).await;
        assert_eq!(answer.unwrap(), 3, "the frozen one was next, and does not take over");
        drop(frozen);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn in_place_the_next_waiter_takes_over_when_the_leader_is_dropped() {
    let runs = Runs::default();
    alone(async {
        let mut leader = Box::pin(slow_here(1, runs.clone()));
        assert!(poll_once(&mut leader).is_pending());
        let mut waiters: Vec<_> = (0..10).map(|_| Box::pin(slow_here(1, runs.clone()))).collect();
        for waiter in &mut waiters {
            assert!(poll_once(waiter).is_pending());
        }
        sleep(Duration::from_millis(500)).await;
        drop(leader);
        let start = Instant::now();
        assert_eq!(join_all(waiters).await, [3; 10]);
        assert_eq!(start.elapsed(), seconds(1));
    })
    .await;
    assert_eq!(runs.take(), 2);
}

#[memorize(skip(runs))]
async fn panics_first(id: u32, runs: Runs) -> u32 {
    let run = runs.begin();
    sleep(seconds(1)).await;
    assert!(run > 1, "the first run");
    id
}

#[memorize(in_place, skip(runs))]
async fn panics_first_here(id: u32, runs: Runs) -> u32 {
    let run = runs.begin();
    sleep(seconds(1)).await;
    assert!(run > 1, "the first run");
    id
}

#[tokio::test(start_paused = true)]
async fn a_panic_reaches_the_caller_that_ran_it_and_one_of_the_waiters_runs_again() {
    let runs = Runs::default();
    alone(async {
        let calls = (0..50).map(|_| AssertUnwindSafe(panics_first(1, runs.clone())).catch_unwind());
        let answers = join_all(calls).await;
        let message = answers[0].as_ref().unwrap_err().downcast_ref::<&str>().copied();
        assert_eq!(message, Some("the first run"), "the panic itself");
        assert!(answers[1..].iter().all(|answer| matches!(answer, Ok(1))));
        assert_eq!(runs.take(), 2);
        assert_eq!(panics_first(1, runs.clone()).await, 1);
        assert_eq!(runs.take(), 0, "and it is stored");

        let calls = (0..50).map(|_| AssertUnwindSafe(panics_first_here(1, runs.clone())).catch_unwind());
        let answers = join_all(calls).await;
        assert!(answers[0].is_err() && answers[1..].iter().all(|answer| matches!(answer, Ok(1))));
        assert_eq!(runs.take(), 2);
    })
    .await;
}

#[memorize]
fn panics_in_sync(id: u32) -> u32 {
    assert!(id > 0, "zero");
    id
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_sync_function_poisons_nothing() {
    alone(async {
        for _ in 0..3 {
            assert!(std::panic::catch_unwind(|| panics_in_sync(0)).is_err());
        }
        assert_eq!(panics_in_sync(1), 1);
        let stats = FmCacheManager::stats();
        assert_eq!((stats.runs, stats.failures), (4, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn settle_waits_for_a_run_whose_caller_has_gone() {
    let runs = Runs::default();
    let cache = cache();
    cache
        .scope(async {
            let mut gone = Box::pin(slow(1, runs.clone()));
            assert!(poll_once(&mut gone).is_pending());
        })
        .await;
    assert!(pin!(cache.settle()).now_or_never().is_none());
    cache.settle().await;
    assert_eq!(cache.scope(slow::peek(1)).await.unwrap(), Some(2));
}

#[test]
fn a_runtime_that_shuts_down_with_runs_in_flight_neither_hangs_nor_panics() {
    let runs = Runs::default();
    let cache = cache();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let call = cache.scope(slow(1, runs.clone()));
        let started = runs.clone();
        runtime.block_on(async move {
            drop(tokio::spawn(call));
            while started.take() == 0 {
                tokio::task::yield_now().await;
            }
        });
        drop(runtime);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    assert_eq!(runtime.block_on(cache.scope(slow(1, runs.clone()))), 2, "the key is free");
}

#[test]
fn a_call_outside_of_any_runtime_runs_in_place() {
    #[memorize(skip(runs))]
    async fn anywhere(id: u32, runs: Runs) -> u32 {
        runs.begin();
        id
    }
    let runs = Runs::default();
    let cache = cache();
    let call = || futures::executor::block_on(cache.scope(anywhere(1, runs.clone())));
    assert_eq!((call(), call()), (1, 1));
    assert_eq!(runs.take(), 1);
    assert_eq!(futures::executor::block_on(cache.scope(anywhere::refresh(1, runs.clone()))), 1);
    assert!(futures::executor::block_on(cache.scope(async { anywhere::invalidate(1).await })).unwrap());
}
