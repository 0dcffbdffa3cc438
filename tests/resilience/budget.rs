//! Retries within a budget, in layers, and the delays that errors ask for.

use std::{
    io,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use memory_core::{
    FmCacheManager, FmClientError, FmError, FmResilientClient, RetryBudget, default_retry, fixed, is_retryable_error,
    memorize, retry, retry_after_hint, stop_never,
};
use tokio::time::Instant;

use crate::upstream::{Upstream, answer};

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn is_transient(error: &FmClientError) -> bool {
    error.is_retryable()
}

#[tokio::test(start_paused = true)]
async fn two_layers_send_an_upstream_that_is_down_no_more_than_three_hundred_calls_extra() {
    // Whoever is called by two layers of attributes…
    static ARRIVED: AtomicU32 = AtomicU32::new(0);
    #[default_retry(wait_min = 0.1, wait_max = 1, multiplier = 0.1)]
    async fn inner() -> io::Result<()> {
        ARRIVED.fetch_add(1, Ordering::Relaxed);
        Err(reset())
    }
    #[default_retry(wait_min = 0.1, wait_max = 1, multiplier = 0.1)]
    async fn outer() -> io::Result<()> {
        inner().await
    }
    for _ in 0..1000 {
        assert!(outer().await.is_err());
    }
    let arrived = ARRIVED.load(Ordering::Relaxed);
    assert!((1100..=1300).contains(&arrived), "{arrived} for 1,000 calls one after the other");

    // … and by a thousand at once.
    ARRIVED.store(0, Ordering::Relaxed);
    #[default_retry]
    async fn all_at_once() -> io::Result<()> {
        innermost().await
    }
    #[default_retry]
    async fn innermost() -> io::Result<()> {
        ARRIVED.fetch_add(1, Ordering::Relaxed);
        Err(reset())
    }
    futures::future::join_all((0..1000).map(|_| all_at_once())).await;
    let arrived = ARRIVED.load(Ordering::Relaxed);
    assert!((1250..=1300).contains(&arrived), "{arrived} for 1,000 calls at once");
}

#[tokio::test]
async fn an_attribute_over_the_client_is_within_the_budget_of_the_client() {
    let upstream = Upstream::always(answer(503, &[], b"")).await;
    static CLIENT: LazyLock<std::sync::Mutex<Option<FmResilientClient>>> = LazyLock::new(Default::default);
    let client = FmResilientClient::builder()
        .base_url(upstream.url())
        .retry_wait_min(0)
        .retry_wait_max(0)
        .max_connections(4)
        .build()
        .unwrap();
    *CLIENT.lock().unwrap() = Some(client);
    #[default_retry(wait_min = 0, wait_max = 0, retry_on = is_transient)]
    async fn call() -> Result<(), FmClientError> {
        let client = CLIENT.lock().unwrap().clone().unwrap();
        client.get_raw("down").await.map(drop)
    }
    futures::future::join_all((0..1000).map(|_| call())).await;
    let arrived = upstream.seen().len();
    assert!((1250..=1300).contains(&arrived), "{arrived} requests for 1,000 calls");
}

#[tokio::test(start_paused = true)]
async fn the_third_layer_adds_nothing_either() {
    static ARRIVED: AtomicU32 = AtomicU32::new(0);
    #[default_retry]
    async fn one() -> io::Result<()> {
        ARRIVED.fetch_add(1, Ordering::Relaxed);
        Err(reset())
    }
    #[default_retry]
    async fn two() -> io::Result<()> {
        one().await
    }
    #[default_retry]
    async fn three() -> io::Result<()> {
        two().await
    }
    assert!(three().await.is_err());
    assert_eq!(ARRIVED.swap(0, Ordering::Relaxed), 3 + 2 + 2, "attempts add up");
    futures::future::join_all((1..1000).map(|_| three())).await;
    assert!(ARRIVED.load(Ordering::Relaxed) <= 1300);
}

#[tokio::test(start_paused = true)]
async fn an_inner_retry_that_has_not_given_up_keeps_its_attempts() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // Fails once, and the outer one fails for a reason of its own.
    #[default_retry]
    async fn inner() -> io::Result<u32> {
        match CALLS.fetch_add(1, Ordering::Relaxed) + 1 {
            odd if odd % 2 == 1 => Err(reset()),
            even => Ok(even),
        }
    }
    #[default_retry]
    async fn outer() -> io::Result<u32> {
        let calls = inner().await?;
        if calls < 6 { Err(reset()) } else { Ok(calls) }
    }
    assert_eq!(outer().await.unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_retry_knows_of_those_around_it_through_a_memorized_call() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    #[memorize(expire = 60)]
    #[default_retry]
    async fn inner() -> Result<(), Arc<io::Error>> {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Err(Arc::new(reset()))
    }
    #[default_retry]
    async fn outer() -> Result<(), Arc<io::Error>> {
        inner().await
    }
    assert!(outer().await.is_err());
    assert_eq!(CALLS.load(Ordering::Relaxed), 3 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_shared_or_left_out_on_request() {
    static BUDGET: LazyLock<RetryBudget> = LazyLock::new(|| RetryBudget::new().share(0.0).reserve(3));
    static CALLS: AtomicU32 = AtomicU32::new(0);
    #[default_retry(budget = &*BUDGET)]
    async fn one() -> io::Result<()> {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Err(reset())
    }
    #[default_retry(budget = BUDGET.clone())]
    async fn other() -> io::Result<()> {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Err(reset())
    }
    assert!(one().await.is_err() && other().await.is_err() && one().await.is_err());
    assert_eq!(CALLS.swap(0, Ordering::Relaxed), 3 + 3, "calls and the reserve");

    #[default_retry(attempts = 1000, wait_min = 0, wait_max = 0, budget = RetryBudget::unlimited())]
    async fn unbounded() -> io::Result<()> {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Err(reset())
    }
    assert!(unbounded().await.is_err());
    assert_eq!(CALLS.load(Ordering::Relaxed), 1000);

    let budget = RetryBudget::new().reserve(5);
    let policy = retry().stop(stop_never()).budget(&budget).name("by hand").when(is_retryable_error);
    let outcome: io::Result<()> = policy.run(|| async { Err(reset()) }).await;
    assert!(outcome.is_err());
    assert_eq!(budget.available(), Some(0));
    let counts = &FmCacheManager::stats().resilience["by hand"];
    assert_eq!((counts.attempts, counts.retries, counts.exhausted, counts.over_budget), (6, 5, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_retries_of_a_function_are_counted_under_its_path() {
    #[default_retry]
    async fn counted() -> io::Result<()> {
        Err(reset())
    }
    assert!(counted().await.is_err());
    let stats = FmCacheManager::stats();
    let counts = &stats.resilience[concat!(module_path!(), "::counted")];
    assert_eq!((counts.attempts, counts.retries, counts.exhausted, counts.over_budget), (3, 2, 1, 0));
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("busy for {0} s")]
    Busy(u64),
    #[error(transparent)]
    Client(#[from] FmClientError),
    #[error(transparent)]
    Ours(#[from] FmError),
}

impl AppError {
    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Busy(seconds) => Some(Duration::from_secs(*seconds)),
            Self::Client(error) => retry_after_hint(error),
            Self::Ours(_) => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_says_how_long_to_wait() {
    #[default_retry(retry_on = |_| true, delay = AppError::wait, max_delay = 100)]
    async fn call(seconds: u64) -> Result<(), AppError> {
        Err(AppError::Busy(seconds))
    }
    let began = Instant::now();
    assert!(call(7).await.is_err());
    assert_eq!(began.elapsed(), Duration::from_secs(14), "and not twice the 2 s of the backoff");
    let began = Instant::now();
    assert!(matches!(call(101).await, Err(AppError::Busy(101))));
    assert_eq!(began.elapsed(), Duration::ZERO, "past the cap the error comes at once");

    #[default_retry(retry_on = |_| true, delay = |error| error.wait(), deadline = 10)]
    async fn limited() -> Result<(), AppError> {
        Err(AppError::Busy(11))
    }
    let began = Instant::now();
    assert!(matches!(limited().await, Err(AppError::Busy(11))));
    assert_eq!(began.elapsed(), Duration::ZERO, "past the deadline as well");

    let policy = retry().wait(fixed(1)).when(|_: &AppError| true).delay(AppError::wait).max_delay(8);
    let began = Instant::now();
    let outcome: Result<(), AppError> = policy.run(|| async { Err(AppError::Busy(8)) }).await;
    assert!(outcome.is_err());
    assert_eq!(began.elapsed(), Duration::from_secs(16));
}

#[tokio::test(start_paused = true)]
async fn an_attribute_finds_a_retry_after_by_itself() {
    let upstream = Upstream::always(answer(503, &[("retry-after", "3")], b"")).await;
    #[default_retry(retry_on = |_| true)]
    async fn call(client: &FmResilientClient) -> anyhow::Result<()> {
        client.post_json::<()>("items", "pen").await.map_err(|error| error.client_error().cloned().unwrap())?;
        Ok(())
    }
    let client = FmResilientClient::new(upstream.url()).unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(retry_after_hint(&*error), Some(Duration::from_secs(3)));
    let waits: Vec<_> = upstream.waits().iter().map(Duration::as_secs).collect();
    assert_eq!(waits, [3, 3]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_an_outer_call_bounds_the_waits_of_an_inner_one() {
    #[default_retry(attempts = 100, wait_min = 4, wait_max = 4)]
    async fn inner() -> Result<(), FmError> {
        retry_forever().await
    }
    async fn retry_forever() -> Result<(), FmError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Err(FmClientError::Closed.into())
    }
    #[default_retry(retry_on = |_| true, deadline = 10)]
    async fn outer() -> Result<(), FmError> {
        inner_always().await
    }
    #[default_retry(attempts = 100, wait_min = 4, wait_max = 4, retry_on = |_| true)]
    async fn inner_always() -> Result<(), FmError> {
        inner().await
    }
    let began = Instant::now();
    assert!(outer().await.unwrap_err().is_closed(), "the last error, and no wait that a timeout would cut");
    assert!(began.elapsed() <= Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_the_spread_of_an_attribute() {
    #[default_retry(jitter = "full", seed = seed)]
    async fn call(seed: u64) -> io::Result<()> {
        Err(reset())
    }
    async fn took(seed: u64) -> Duration {
        let began = Instant::now();
        assert!(call(seed).await.is_err());
        began.elapsed()
    }
    assert_eq!(took(7).await, took(7).await);
    assert_ne!(took(7).await, took(8).await);
}
