//! The policies as attributes, in paused time: each of them, and the order in which they run however they are stacked.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use memory_core::{
    CircuitBreaker, CircuitState, FmCacheManager, FmError, bulkhead, circuit_breaker, default_retry, fallback, hedge,
    memorize, rate_limit, resilient, retry, stop_after_retries, timeout,
};
use tokio::time::{Instant, advance, sleep};

/// An error type as services have one.
#[derive(Clone, Debug, thiserror::Error)]
enum Failure {
    #[error("down")]
    Down,
    #[error("no such thing")]
    Unknown,
    #[error(transparent)]
    Refused(#[from] FmError),
}

impl Failure {
    fn refused(&self) -> Option<&FmError> {
        match self {
            Self::Refused(error) => Some(error),
            _ => None,
        }
    }
}

/// Counts the runs of a body.
struct Runs(AtomicU32);

impl Runs {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn one_more(&self) -> u32 {
        self.0.fetch_add(1, Relaxed) + 1
    }

    fn so_far(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn the_breaker_of_a_function_sees_every_attempt_whichever_is_written_first() {
    static OUTSIDE: Runs = Runs::new();
    static INSIDE: Runs = Runs::new();

    #[circuit_breaker(minimum_calls = 2, open_for = 30)]
    #[retry(stop = stop_after_retries(5), retry = |error: &Failure| matches!(error, Failure::Down))]
    async fn written_outside() -> Result<(), Failure> {
        OUTSIDE.one_more();
        Err(Failure::Down)
    }

    #[retry(stop = stop_after_retries(5), retry = |error: &Failure| matches!(error, Failure::Down))]
    #[circuit_breaker(minimum_calls = 2, open_for = 30)]
    async fn written_inside() -> Result<(), Failure> {
        INSIDE.one_more();
        Err(Failure::Down)
    }

    for (ended, runs) in [(written_outside().await, &OUTSIDE), (written_inside().await, &INSIDE)] {
        assert!(ended.unwrap_err().refused().is_some_and(FmError::is_circuit_open));
        assert_eq!(runs.so_far(), 2);
    }
    assert!(FmCacheManager::stats().resilience.iter().any(|(name, stats)| {
        name.ends_with("attributes::written_outside") && stats.circuits_opened == 1 && stats.circuit_refusals == 1
    }));
}

#[tokio::test(start_paused = true)]
async fn failure_on_and_http_statuses_say_what_a_failure_is() {
    #[circuit_breaker(minimum_calls = 1, failure_on = |error| matches!(error, Failure::Down))]
    async fn looked_up(is_there: bool) -> Result<(), Failure> {
        Err(if is_there { Failure::Down } else { Failure::Unknown })
    }

    assert!(matches!(looked_up(false).await, Err(Failure::Unknown)));
    assert!(matches!(looked_up(true).await, Err(Failure::Down)));
    assert!(looked_up(true).await.unwrap_err().refused().is_some());
}

#[tokio::test(start_paused = true)]
async fn guards_stack_in_any_order_and_share_what_with_names() {
    static BREAKER: LazyLock<CircuitBreaker> =
        LazyLock::new(|| CircuitBreaker::builder().minimum_calls(1).build().unwrap());

    #[bulkhead(max_concurrent = 1)]
    #[timeout(attempt = 1)]
    #[circuit_breaker(with = &BREAKER)]
    #[rate_limit(rate = 2, per = 1)]
    async fn guarded(length: u64) -> Result<u64, Failure> {
        sleep(Duration::from_secs(length)).await;
        Ok(length)
    }

    assert_eq!(guarded(0).await.unwrap(), 0);
    let mut held = Box::pin(guarded(5));
    assert!(futures::poll!(&mut held).is_pending());
    // The third call of this second: the rate limit comes before the bulkhead, and neither is an outcome.
    assert!(guarded(0).await.unwrap_err().refused().is_some_and(FmError::is_rate_limited));
    advance(Duration::from_millis(500)).await;
    assert!(guarded(0).await.unwrap_err().refused().is_some_and(FmError::is_bulkhead_full));
    assert_eq!(BREAKER.state(), CircuitState::Closed);
    assert!(held.await.unwrap_err().refused().is_some_and(FmError::is_timeout));
    assert_eq!(BREAKER.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_around_all_attempts_or_around_each() {
    static RUNS: Runs = Runs::new();

    #[timeout(10, attempt = 2)]
    #[default_retry(attempts = 100, wait_min = 1, wait_max = 1, retry_on = |error| error.refused().is_some_and(FmError::is_timeout))]
    async fn hangs() -> Result<(), Failure> {
        RUNS.one_more();
        std::future::pending().await
    }

    let began = Instant::now();
    assert!(hangs().await.unwrap_err().refused().is_some_and(FmError::is_timeout));
    assert_eq!((began.elapsed().as_secs(), RUNS.so_far()), (10, 4));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_and_is_never_cached() {
    static RUNS: Runs = Runs::new();

    #[fallback(vec!["tea"], on = |error| matches!(error, Failure::Down))]
    #[memorize(expire = 60, memory_only)]
    async fn suggestions(is_known: bool) -> Result<Vec<&'static str>, Failure> {
        RUNS.one_more();
        Err(if is_known { Failure::Down } else { Failure::Unknown })
    }

    let cache = FmCacheManager::builder(memory_core::FmMemoryBackend::new()).prefix("fallback").build().unwrap();
    cache
        .scope(async {
            assert_eq!(suggestions(true).await.unwrap(), ["tea"]);
            assert_eq!(suggestions(true).await.unwrap(), ["tea"]);
            assert!(matches!(suggestions(false).await, Err(Failure::Unknown)));
        })
        .await;
    assert_eq!(RUNS.so_far(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_may_look_at_the_error_wait_and_fail() {
    #[fallback(|error| if matches!(error, Failure::Down) { Ok(7) } else { Err(error) })]
    async fn plain(failure: Failure) -> Result<u32, Failure> {
        Err(failure)
    }

    #[fallback(async |_| { sleep(Duration::from_secs(1)).await; Ok(9) })]
    async fn waits(failure: Failure) -> Result<u32, Failure> {
        Err(failure)
    }

    assert_eq!(plain(Failure::Down).await.unwrap(), 7);
    assert!(matches!(plain(Failure::Unknown).await, Err(Failure::Unknown)));
    assert_eq!(waits(Failure::Down).await.unwrap(), 9);
}

#[tokio::test(start_paused = true)]
async fn one_attribute_for_all_is_the_same_as_many() {
    static RUNS: Runs = Runs::new();

    #[resilient(
        bulkhead(max_concurrent = 4),
        fallback(0),
        circuit_breaker(minimum_calls = 3, open_for = 30),
        memorize(expire = 60),
        timeout(30, attempt = 2),
        default_retry(attempts = 5, wait_min = 0, wait_max = 0, retry_on = |error| matches!(error, Failure::Down)),
    )]
    async fn price(id: u64) -> Result<u64, Failure> {
        RUNS.one_more();
        if id == 1 { Ok(100) } else { Err(Failure::Down) }
    }

    let cache = FmCacheManager::builder(memory_core::FmMemoryBackend::new()).prefix("resilient").build().unwrap();
    cache
        .scope(async {
            assert_eq!((price(1).await.unwrap(), price(1).await.unwrap(), RUNS.so_far()), (100, 100, 1));
            // The call that was right counts as well: the breaker opens after two failures of three calls.
            assert_eq!((price(2).await.unwrap(), RUNS.so_far()), (0, 3));
            assert_eq!((price(3).await.unwrap(), RUNS.so_far()), (0, 3));
            assert!(price::peek(2).await.unwrap().is_none(), "what a fallback answers is not stored");
            assert_eq!(price(1).await.unwrap(), 100, "what is cached is answered while the breaker is open");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_old_value_is_served_while_the_breaker_is_open() {
    static RUNS: Runs = Runs::new();

    #[memorize(expire = 10, stale_if_error = 600)]
    #[circuit_breaker(minimum_calls = 2, open_for = 300)]
    async fn rate(_currency: u8) -> Result<u32, Failure> {
        if RUNS.one_more() == 1 { Ok(7) } else { Err(Failure::Down) }
    }

    let cache = FmCacheManager::builder(memory_core::FmMemoryBackend::new()).prefix("open").build().unwrap();
    cache
        .scope(async {
            assert_eq!(rate(1).await.unwrap(), 7);
            for _ in 0..4 {
                advance(Duration::from_secs(20)).await;
                assert_eq!(rate(1).await.unwrap(), 7);
            }
        })
        .await;
    assert_eq!(RUNS.so_far(), 2, "the breaker was open after the second run");
}

#[test]
fn functions_that_block_are_guarded_too() {
    #[fallback(0, on = |error| matches!(error, Failure::Down))]
    #[circuit_breaker(minimum_calls = 2)]
    #[bulkhead(max_concurrent = 1)]
    #[rate_limit(rate = 1000)]
    fn read(fails: bool) -> Result<u32, Failure> {
        if fails { Err(Failure::Down) } else { Ok(1) }
    }

    assert_eq!((read(false).unwrap(), read(true).unwrap()), (1, 0));
    assert!(read(false).unwrap_err().refused().is_some_and(FmError::is_circuit_open));
}

struct Prices {
    base: u32,
}

#[async_trait::async_trait]
trait Priced {
    async fn price(&self, id: u32) -> Result<u32, Failure>;
}

#[async_trait::async_trait]
impl Priced for Prices {
    #[circuit_breaker(minimum_calls = 1)]
    #[timeout(1)]
    async fn price(&self, id: u32) -> Result<u32, Failure> {
        if id == 0 {
            return Err(Failure::Down);
        }
        Ok(self.base + id)
    }
}

impl Prices {
    #[timeout(1, attempt = 0.5)]
    #[bulkhead(max_concurrent = 2)]
    async fn raise<T: Into<u32> + Send>(&mut self, by: T) -> Result<&u32, Failure> {
        self.base = self.base.checked_add(by.into()).ok_or(Failure::Down)?;
        Ok(&self.base)
    }

    #[fallback(1)]
    #[rate_limit(rate = 10)]
    #[allow(clippy::manual_async_fn)]
    fn later(&self, id: u32) -> impl Future<Output = Result<u32, Failure>> + Send {
        async move { if id == 0 { Err(Failure::Down) } else { Ok(self.base + id) } }
    }
}

#[tokio::test(start_paused = true)]
async fn methods_generics_and_boxed_futures_are_guarded() {
    let mut prices = Prices { base: 10 };
    assert_eq!(prices.price(1).await.unwrap(), 11);
    assert!(matches!(prices.price(0).await, Err(Failure::Down)));
    assert_eq!(*prices.raise(5u8).await.unwrap(), 15);
    assert_eq!((prices.later(1).await.unwrap(), prices.later(0).await.unwrap()), (16, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_hedged_with_arguments_of_its_own() {
    static RUNS: Runs = Runs::new();

    #[circuit_breaker]
    #[hedge(after = 0.1)]
    async fn found(word: String, suffix: &str) -> Result<String, Failure> {
        if RUNS.one_more() == 1 {
            sleep(Duration::from_secs(60)).await;
        }
        Ok(word + suffix)
    }

    let began = Instant::now();
    assert_eq!(found("a".to_owned(), "b").await.unwrap(), "ab");
    assert_eq!((began.elapsed().as_millis(), RUNS.so_far()), (100, 2));
}

struct Search {
    runs: AtomicU32,
}

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Search {
    /// Every other run takes too long.
    async fn look(&self, word: &str) -> Result<usize, Failure> {
        if self.runs.fetch_add(1, Relaxed).is_multiple_of(2) {
            sleep(Duration::from_secs(60)).await;
        }
        Ok(word.len())
    }

    #[hedge(after = 0.1)]
    async fn method(&self, word: &str) -> Result<usize, Failure> {
        self.look(word).await
    }

    #[hedge(after = 0.1)]
    fn boxed<'a>(&'a self, word: &'a str) -> BoxFuture<'a, Result<usize, Failure>> {
        Box::pin(self.look(word))
    }

    #[hedge(after = 0.1)]
    #[allow(clippy::manual_async_fn)]
    fn opaque(&self, word: String) -> impl Future<Output = Result<usize, Failure>> + Send {
        async move { self.look(&word).await }
    }
}

#[tokio::test(start_paused = true)]
async fn methods_and_functions_that_return_futures_are_hedged() {
    let search = Search { runs: AtomicU32::new(0) };
    let began = Instant::now();
    assert_eq!(search.method("a").await.unwrap(), 1);
    assert_eq!(search.boxed("ab").await.unwrap(), 2);
    assert_eq!(search.opaque("abc".to_owned()).await.unwrap(), 3);
    assert_eq!((began.elapsed().as_millis(), search.runs.load(Relaxed)), (300, 6));
}
