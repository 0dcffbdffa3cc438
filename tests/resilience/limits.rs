//! Rate limits and bulkheads: who waits, who is refused, and what a caller that goes away leaves behind.

use std::{future::pending, time::Duration};

use memory_core::{Bulkhead, FmError, RateLimiter, is_retryable_error, resilient};
use tokio::time::{Instant, advance, sleep, timeout};

#[tokio::test(start_paused = true)]
async fn a_burst_goes_through_at_once_and_then_the_rate_holds() {
    let limiter = RateLimiter::builder().rate(10).burst(5).build().unwrap();
    let mut through = 0;
    for _ in 0..1_000 {
        through += u32::from(limiter.acquire().await.is_ok());
        advance(Duration::from_millis(10)).await;
    }
    assert_eq!(through, 5 + 99, "in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_when_the_token_comes() {
    let limiter = RateLimiter::builder().rate(2).per(1).burst(1).build().unwrap();
    limiter.acquire().await.unwrap();
    advance(Duration::from_millis(100)).await;
    let refusal = limiter.acquire().await.unwrap_err();
    assert!(refusal.is_rate_limited() && !is_retryable_error(&refusal));
    assert_eq!(refusal.retry_after(), Some(Duration::from_millis(400)));
}

#[tokio::test(start_paused = true)]
async fn waiters_are_let_through_evenly_up_to_the_longest_wait() {
    let limiter = RateLimiter::builder().rate(2).burst(1).max_wait(1).build().unwrap();
    let began = Instant::now();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.acquire().await.map(|()| began.elapsed().as_millis().div_euclid(10)) })
        })
        .collect();
    let mut waits = Vec::new();
    for call in calls {
        waits.push(call.await.unwrap().ok());
    }
    assert_eq!(waits, [Some(0), Some(50), Some(100), None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_goes_away_gives_its_token_back() {
    let limiter = RateLimiter::builder().rate(1).burst(1).max_wait(1).build().unwrap();
    limiter.acquire().await.unwrap();
    assert!(timeout(Duration::from_millis(1), limiter.acquire()).await.is_err());
    assert!(timeout(Duration::from_secs(1), limiter.acquire()).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_than_there_is_room_for_and_places_in_the_queue() {
    let bulkhead = Bulkhead::builder().max_concurrent(2).max_queued(1).build().unwrap();
    let call = || {
        let guarded = resilient().bulkhead(&bulkhead);
        tokio::spawn(guarded.run(|| async {
            sleep(Duration::from_secs(1)).await;
            Ok::<_, FmError>(())
        }))
    };
    let began = Instant::now();
    let calls: Vec<_> = (0..4).map(|_| call()).collect();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(call.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    let refusal = outcomes.pop().unwrap().unwrap_err();
    assert!(refusal.is_bulkhead_full() && !is_retryable_error(&refusal));
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_leaves_the_queue_and_a_dropped_call_its_room() {
    let bulkhead = Bulkhead::builder().max_concurrent(1).max_queued(1).build().unwrap();
    let held = {
        let guarded = resilient().bulkhead(&bulkhead);
        tokio::spawn(guarded.run(pending::<Result<(), FmError>>))
    };
    tokio::task::yield_now().await;
    for _ in 0..3 {
        assert!(timeout(Duration::from_secs(1), bulkhead.acquire()).await.is_err(), "it queues, and goes away");
    }
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    assert!(bulkhead.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_ends_after_the_longest_wait() {
    let bulkhead = Bulkhead::builder().max_concurrent(1).max_queued(1).max_wait(0.5).build().unwrap();
    let _room = bulkhead.acquire().await.unwrap();
    let began = Instant::now();
    assert!(bulkhead.acquire().await.unwrap_err().is_bulkhead_full());
    assert_eq!(began.elapsed().as_millis(), 500);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for refused in [
        RateLimiter::builder(),
        RateLimiter::builder().rate(0),
        RateLimiter::builder().rate(1).per(0),
        RateLimiter::builder().rate(1).burst(0),
        RateLimiter::builder().rate(1).max_wait(f64::NAN),
    ] {
        assert!(refused.build().unwrap_err().is_config());
    }
    for refused in [Bulkhead::builder(), Bulkhead::builder().max_concurrent(0)] {
        assert!(refused.build().unwrap_err().is_config());
    }
}
