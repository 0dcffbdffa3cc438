//! The policies apply in the documented order, whatever the order of the steps.

use std::{cell::Cell, io, time::Duration};

use memory_core::{
    Bulkhead, Chaos, CircuitBreaker, CircuitState, FmCacheManager, FmError, RateLimiter, RetryBudget, fixed,
    is_retryable_error, resilient, retry, stop_after_retries, stop_never,
};
use tokio::time::{Instant, sleep};

fn broken() -> FmError {
    FmError::with_source(memory_core::backend::Kind::Backend, "down", io::Error::from(io::ErrorKind::ConnectionReset))
}

#[tokio::test(start_paused = true)]
async fn the_fallback_is_outside_of_everything() {
    let breaker = CircuitBreaker::builder().build().unwrap();
    breaker.force_open();
    let refused = resilient().circuit_breaker(&breaker).fallback(|error: FmError| Ok(error.is_circuit_open()));
    assert!(refused.run(|| async { Ok::<_, FmError>(false) }).await.unwrap());
    let late = resilient().fallback(|error: FmError| Ok(error.is_timeout())).timeout(1).name("order::late");
    assert!(late.run(std::future::pending::<Result<bool, FmError>>).await.unwrap());
    let counts = FmCacheManager::stats().resilience["order::late"].clone();
    assert_eq!((counts.timeouts, counts.fallbacks), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_total_timeout_is_outside_of_the_retries_and_the_other_one_inside() {
    let (attempts, began) = (Cell::new(0), Instant::now());
    let outcome = resilient()
        .attempt_timeout(2)
        .retry(retry().stop(stop_never()).budget(RetryBudget::unlimited()).wait(fixed(1)).when(is_retryable_error))
        .timeout(10)
        .run(|| {
            attempts.set(attempts.get() + 1);
            std::future::pending::<Result<(), FmError>>()
        })
        .await;
    assert!(outcome.unwrap_err().is_timeout());
    assert_eq!((began.elapsed().as_secs(), attempts.get()), (10, 4), "at 0, 3, 6 and 9 s");
}

#[tokio::test(start_paused = true)]
async fn the_breaker_sees_each_attempt_and_ends_the_retries_when_it_opens() {
    let breaker = CircuitBreaker::builder().minimum_calls(3).build().unwrap();
    let attempts = Cell::new(0);
    let outcome: Result<(), FmError> = resilient()
        .circuit_breaker(&breaker)
        .retry(retry().stop(stop_after_retries(10)).when(is_retryable_error))
        .run(|| {
            attempts.set(attempts.get() + 1);
            async { Err(broken()) }
        })
        .await;
    assert!(outcome.unwrap_err().is_circuit_open());
    assert_eq!(attempts.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_cut_is_a_failure_and_waiting_for_a_turn_is_none() {
    let breaker = CircuitBreaker::builder().minimum_calls(2).slow_call(2).build().unwrap();
    let limiter = RateLimiter::builder().rate(1).per(10).burst(1).max_wait(60).build().unwrap();
    let guarded = resilient().attempt_timeout(1).rate_limit(&limiter).circuit_breaker(&breaker);
    for _ in 0..4 {
        guarded.clone().run(|| async { Ok::<_, FmError>(()) }).await.unwrap();
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    for _ in 0..4 {
        let cut = guarded.clone().run(std::future::pending::<Result<(), FmError>>).await;
        assert!(cut.unwrap_err().is_timeout());
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_takes_neither_token_nor_room() {
    let breaker = CircuitBreaker::builder().build().unwrap();
    let limiter = RateLimiter::builder().rate(1).per(3600).burst(1).build().unwrap();
    let bulkhead = Bulkhead::builder().max_concurrent(1).build().unwrap();
    let guarded = resilient().bulkhead(&bulkhead).rate_limit(&limiter).circuit_breaker(&breaker);
    breaker.force_open();
    let calls = Cell::new(0);
    let call = || {
        calls.set(calls.get() + 1);
        async { Ok::<_, FmError>(()) }
    };
    assert!(guarded.clone().run(call).await.unwrap_err().is_circuit_open());
    breaker.force_closed();
    guarded.clone().run(call).await.unwrap();
    let room = bulkhead.try_acquire().unwrap();
    assert!(guarded.clone().run(call).await.unwrap_err().is_rate_limited(), "asked before there is room");
    drop(room);
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn which_errors_are_failures_can_be_said() {
    let breaker = CircuitBreaker::builder().minimum_calls(1).build().unwrap();
    let guarded = resilient().circuit_breaker(&breaker).failure_on(|error: &FmError| error.is_closed());
    assert!(guarded.run(|| async { Err::<(), _>(broken()) }).await.is_err());
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_within_its_policies_can_be_spawned() {
    let guarded = resilient().retry(retry().when(is_retryable_error)).timeout(5).attempt_timeout(1);
    let call = tokio::spawn(guarded.run(|| async {
        sleep(Duration::from_millis(1)).await;
        Ok::<_, FmError>(7)
    }));
    assert_eq!(call.await.unwrap().unwrap(), 7);
}

/// Which of so many calls fail, and how long all of them take.
async fn disturbed(chaos: &Chaos) -> (Vec<bool>, Duration) {
    let began = Instant::now();
    let mut failed = Vec::new();
    for _ in 0..200 {
        let outcome = chaos.scope(resilient().name("order::chaos").run(|| async { Ok::<_, FmError>(()) })).await;
        assert!(outcome.as_ref().err().is_none_or(|error| is_retryable_error(error)));
        failed.push(outcome.is_err());
    }
    (failed, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn chaos_is_innermost_and_repeats_with_its_seed() {
    let chaos = |seed| Chaos::builder().fault_rate(0.3).latency(1).latency_rate(0.5).seed(seed).build().unwrap();
    let (failed, took) = disturbed(&chaos(7)).await;
    assert_eq!((failed.clone(), took), disturbed(&chaos(7)).await);
    assert_ne!(failed, disturbed(&chaos(8)).await.0);
    let faults = failed.iter().filter(|failed| **failed).count();
    assert!((40..=80).contains(&faults) && (70..=130).contains(&took.as_secs()), "{faults} in {took:?}");

    let always = Chaos::builder().fault_rate(1.0).build().unwrap();
    let breaker = CircuitBreaker::builder().minimum_calls(2).build().unwrap();
    let call = || async { Ok::<_, FmError>(()) };
    let outcome = always.scope(resilient().circuit_breaker(&breaker).retry(retry().when(is_retryable_error)).run(call));
    assert!(outcome.await.unwrap_err().is_circuit_open(), "the breaker and the retries see the faults");
    assert!(resilient().run(call).await.is_ok(), "outside there is none");
}

/// Here it is on. `tests/nightly.sh` builds this for release, without the feature, and says so.
#[tokio::test]
async fn chaos_is_off_in_release_builds_unless_asked_for() {
    let is_off = std::env::var_os("FM_CHAOS_IS_OFF").is_some();
    let chaos = Chaos::builder().fault_rate(1.0).build().unwrap();
    let outcome = chaos.scope(resilient().run(|| async { Ok::<_, FmError>(()) })).await;
    assert_eq!(outcome.is_ok(), is_off);
}
