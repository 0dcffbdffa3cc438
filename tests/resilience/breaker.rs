//! A circuit breaker opens, probes and closes, and is not misled by calls that were cancelled or refused.

use std::{future::pending, io, time::Duration};

use memory_core::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitState, FmCacheManager, FmError, RateLimiter, is_retryable_error,
    resilient, retry_after_hint,
};
use tokio::time::{advance, sleep};

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Judges from the fourth call on.
fn quick() -> CircuitBreakerBuilder {
    CircuitBreaker::builder().window_calls(10).minimum_calls(4).open_for(30).probes(2)
}

async fn call(breaker: &CircuitBreaker, succeeds: bool) -> Result<(), FmError> {
    let outcome = move || async move { if succeeds { Ok(()) } else { Err(wrapped(broken())) } };
    breaker.run(outcome).await
}

fn wrapped(error: io::Error) -> FmError {
    FmError::with_source(memory_core::backend::Kind::Backend, "down", error)
}

async fn opened(builder: CircuitBreakerBuilder) -> CircuitBreaker {
    let breaker = builder.build().unwrap();
    for _ in 0..4 {
        assert!(call(&breaker, false).await.unwrap_err().is_backend());
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    breaker
}

#[tokio::test(start_paused = true)]
async fn it_opens_at_the_rate_and_not_below_the_minimum() {
    let breaker = quick().build().unwrap();
    for succeeds in [false, true, false] {
        let _ = call(&breaker, succeeds).await;
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
    let _ = call(&breaker, true).await;
    assert_eq!(breaker.state(), CircuitState::Open, "two of four");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_when_to_come_again_and_is_not_worth_a_retry() {
    let breaker = opened(quick()).await;
    advance(Duration::from_secs(10)).await;
    let refusal = call(&breaker, true).await.unwrap_err();
    assert!(refusal.is_circuit_open() && !is_retryable_error(&refusal));
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(20)));
    assert_eq!(retry_after_hint(&io::Error::other(refusal)), Some(Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn probes_that_succeed_close_it() {
    let breaker = opened(quick()).await;
    advance(Duration::from_secs(30)).await;
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    call(&breaker, true).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    call(&breaker, true).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
    let _ = call(&breaker, false).await;
    assert_eq!(breaker.state(), CircuitState::Closed, "the window began anew");
}

#[tokio::test(start_paused = true)]
async fn probes_that_fail_open_it_again_for_as_long() {
    let breaker = opened(quick()).await;
    advance(Duration::from_secs(30)).await;
    let _ = call(&breaker, false).await;
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(call(&breaker, true).await.unwrap_err().retry_after(), Some(Duration::from_secs(30)));
}

#[tokio::test(start_paused = true)]
async fn no_more_probes_than_asked_for_are_let_through_and_a_dropped_one_makes_room() {
    let breaker = opened(quick()).await;
    advance(Duration::from_secs(30)).await;
    let probe = || {
        let breaker = breaker.clone();
        tokio::spawn(async move { breaker.run(pending::<Result<(), FmError>>).await })
    };
    let (first, second) = (probe(), probe());
    tokio::task::yield_now().await;
    assert!(call(&breaker, true).await.unwrap_err().is_circuit_open());
    first.abort();
    second.abort();
    assert!(first.await.unwrap_err().is_cancelled() && second.await.unwrap_err().is_cancelled());
    assert_eq!(breaker.state(), CircuitState::HalfOpen, "without a verdict");
    call(&breaker, true).await.unwrap();
    call(&breaker, true).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_an_inner_policy_refuses_is_given_back() {
    let breaker = opened(quick().probes(1)).await;
    advance(Duration::from_secs(30)).await;
    let limiter = RateLimiter::builder().rate(1).per(3600).burst(1).build().unwrap();
    limiter.acquire().await.unwrap();
    let guarded = resilient().circuit_breaker(&breaker).rate_limit(&limiter);
    for _ in 0..3 {
        let refusal = guarded.clone().run(|| async { Ok::<_, FmError>(()) }).await.unwrap_err();
        assert!(refusal.is_rate_limited(), "{refusal}");
    }
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    call(&breaker, true).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn calls_from_before_it_opened_have_no_say_after() {
    let breaker = quick().build().unwrap();
    let old = {
        let breaker = breaker.clone();
        tokio::spawn(async move {
            let late = || async {
                sleep(Duration::from_secs(31)).await;
                Err::<(), _>(wrapped(broken()))
            };
            breaker.run(late).await
        })
    };
    tokio::task::yield_now().await;
    for _ in 0..4 {
        let _ = call(&breaker, false).await;
    }
    advance(Duration::from_secs(30)).await;
    call(&breaker, true).await.unwrap();
    assert!(old.await.unwrap().is_err());
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_it_though_they_succeed() {
    let breaker = quick().slow_call(2).slow_rate(0.75).build().unwrap();
    for seconds in [2, 1, 3, 2] {
        let slow = || async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok::<_, FmError>(())
        };
        breaker.run(slow).await.unwrap();
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_time_forgets() {
    let breaker = CircuitBreaker::builder().window_time(10).minimum_calls(4).build().unwrap();
    for _ in 0..3 {
        let _ = call(&breaker, false).await;
    }
    advance(Duration::from_secs(10)).await;
    let _ = call(&breaker, false).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    for _ in 0..3 {
        let _ = call(&breaker, false).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn by_hand_it_stays_as_it_is_held() {
    let breaker = quick().build().unwrap();
    breaker.force_open();
    advance(Duration::from_secs(3600)).await;
    assert!(call(&breaker, true).await.unwrap_err().is_circuit_open());
    breaker.force_closed();
    for _ in 0..50 {
        assert!(call(&breaker, false).await.unwrap_err().is_backend());
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    breaker.reset();
    for _ in 0..4 {
        let _ = call(&breaker, false).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn what_is_the_callers_mistake_does_not_open_it() {
    let breaker = quick().build().unwrap();
    for _ in 0..20 {
        let mistake = breaker.run(|| async { Err::<(), _>(RateLimiter::builder().build().unwrap_err()) }).await;
        assert!(mistake.unwrap_err().is_config());
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn what_it_did_is_in_the_stats() {
    let breaker = opened(quick().name("breaker::stats")).await;
    let _ = call(&breaker, true).await;
    let stats = FmCacheManager::stats();
    let counts = &stats.resilience["breaker::stats"];
    assert_eq!((counts.circuits_opened, counts.circuit_refusals), (1, 1));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let builder = CircuitBreaker::builder;
    for refused in [
        builder().failure_rate(1.5),
        builder().failure_rate(f64::NAN),
        builder().failure_rate(0.0),
        builder().window_calls(0),
        builder().window_time(0),
        builder().open_for(-1),
        builder().probes(0),
        builder().minimum_calls(0),
        builder().slow_rate(0.5),
    ] {
        assert!(refused.build().unwrap_err().is_config());
    }
}
