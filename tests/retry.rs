//! What the retry attributes and `retry()` promise.

use std::{
    error::Error,
    fmt::Display,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use memory_core::{
    FmError, RetryError, Retryable, chain, decorrelated_jitter, default_retry, exponential_backoff, fixed, full_jitter,
    incrementing, is_retryable_error, no_wait, random_between, retry, retry_on_error, retry_on_result,
    stop_after_delay, stop_after_retries, stop_before_delay, stop_never,
};
use tokio::time::Instant;

/// Counts the calls of a function.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicU32>);

impl Calls {
    fn count(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn made(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// The error of an application, as people write it.
#[derive(Debug, thiserror::Error, Retryable)]
enum AppError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("refused with {0}")]
    Refused(u16),
    #[error("busy")]
    #[retryable]
    Busy,
    #[error("gave up")]
    GaveUp(#[from] RetryError),
    #[error("too slow")]
    Slow(#[source] FmError),
}

impl From<FmError> for AppError {
    fn from(error: FmError) -> Self {
        Self::Slow(error)
    }
}

#[tokio::test(start_paused = true)]
async fn the_guides_defaults_are_three_calls_two_seconds_apart() {
    #[default_retry]
    async fn call_upstream(calls: &Calls) -> Result<u32, io::Error> {
        calls.count();
        Err(reset())
    }
    let (calls, began) = (Calls::default(), Instant::now());
    assert!(call_upstream(&calls).await.is_err());
    assert_eq!((calls.made(), began.elapsed()), (3, Duration::from_secs(4)));
}

#[tokio::test(start_paused = true)]
async fn the_guides_flaky_call_takes_all_arguments() {
    fn my_predicate(error: &anyhow::Error) -> bool {
        error.to_string() == "again"
    }
    #[default_retry(attempts = 5, wait_min = 1, wait_max = 30, multiplier = 1, retry_on = my_predicate)]
    async fn flaky_call(calls: &Calls) -> anyhow::Result<()> {
        anyhow::ensure!(calls.count() > 4, "again");
        Ok(())
    }
    let (calls, began) = (Calls::default(), Instant::now());
    flaky_call(&calls).await.unwrap();
    assert_eq!((calls.made(), began.elapsed()), (5, Duration::from_secs(1 + 2 + 4 + 8)));
}

#[tokio::test(start_paused = true)]
async fn the_guides_policy_takes_blocks() {
    fn my_predicate(error: &AppError) -> bool {
        matches!(error, AppError::Refused(_))
    }
    #[retry(
        stop = stop_after_retries(5),
        wait = exponential_backoff(multiplier = 2, min = 2, max = 30),
        retry = retry_on_error(my_predicate),
        reraise = true,
    )]
    async fn call(calls: &Calls) -> Result<u8, AppError> {
        calls.count();
        Err(AppError::Refused(409))
    }
    let (calls, began) = (Calls::default(), Instant::now());
    assert!(matches!(call(&calls).await, Err(AppError::Refused(409))));
    assert_eq!((calls.made(), began.elapsed()), (5, Duration::from_secs(2 + 4 + 8 + 16)));
}

#[tokio::test(start_paused = true)]
async fn absent_arguments_mean_three_calls_without_waits() {
    #[retry]
    async fn call(calls: &Calls) -> Result<(), AppError> {
        calls.count();
        Err(reset().into())
    }
    let (calls, began) = (Calls::default(), Instant::now());
    assert!(call(&calls).await.is_err());
    assert_eq!((calls.made(), began.elapsed()), (3, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn exhausted_retries_are_a_retry_error_where_asked() {
    #[retry(stop = stop_after_retries(4), wait = fixed(1.5), reraise = false)]
    async fn call(error: fn() -> AppError) -> Result<(), AppError> {
        Err(error())
    }
    let AppError::GaveUp(error) = call(|| AppError::Busy).await.unwrap_err() else { panic!("not exhausted") };
    assert_eq!((error.attempts(), error.elapsed()), (4, Duration::from_millis(4500)));
    assert_eq!(error.source().unwrap().to_string(), "busy");
    assert_eq!(error.to_string(), "gave up after 4 attempts in 4.5s");
    assert!(FmError::from(error).source().unwrap().is::<RetryError>());
    assert!(matches!(call(|| AppError::Refused(403)).await, Err(AppError::Refused(403))), "a refused predicate");
}

#[tokio::test(start_paused = true)]
async fn exhausted_results_end_with_the_last_ok() {
    #[retry(retry = retry_on_result(|value| *value < 10), reraise = false)]
    async fn call(calls: &Calls) -> Result<u32, AppError> {
        Ok(calls.count())
    }
    let calls = Calls::default();
    assert_eq!(call(&calls).await.unwrap(), 3);

    let pending = |value: &Option<u8>| value.is_none();
    let outcome: Result<_, AppError> = retry().when(retry_on_result(pending)).run(|| async { Ok(None) }).await;
    assert_eq!(outcome.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn predicates_are_joined() {
    #[retry(retry = retry_on_result(|value| *value == 1) | retry_on_error(|error| matches!(error, AppError::Busy)))]
    async fn either(calls: &Calls) -> Result<u32, AppError> {
        match calls.count() {
            1 => Ok(1),
            2 => Err(AppError::Busy),
            n => Ok(n),
        }
    }
    assert_eq!(either(&Calls::default()).await.unwrap(), 3);

    #[retry(retry = retry_on_error(is_retryable_error) & retry_on_error(|error| error.kind() != io::ErrorKind::NotFound))]
    async fn both(calls: &Calls, kind: io::ErrorKind) -> io::Result<()> {
        calls.count();
        Err(kind.into())
    }
    let (refused, taken) = (Calls::default(), Calls::default());
    assert!(both(&refused, io::ErrorKind::NotFound).await.is_err());
    assert!(both(&taken, io::ErrorKind::TimedOut).await.is_err());
    assert_eq!((refused.made(), taken.made()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_caller_makes_no_further_attempt() {
    #[default_retry(wait_min = 60, wait_max = 60)]
    async fn call(calls: Calls) -> io::Result<()> {
        calls.count();
        Err(reset())
    }
    let calls = Calls::default();
    let by_attribute = tokio::spawn(call(calls.clone()));
    let by_hand = tokio::spawn({
        let calls = calls.clone();
        retry().wait(fixed(60)).when(is_retryable_error).run(move || {
            calls.count();
            async { Err::<(), _>(reset()) }
        })
    });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(calls.made(), 2, "both failed once and wait");
    by_attribute.abort();
    by_hand.abort();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(calls.made(), 2);
}

#[tokio::test(start_paused = true)]
async fn attempts_of_nested_retries_add_up_and_do_not_multiply() {
    #[retry(stop = stop_after_retries(4), wait = fixed(10))]
    async fn outer(calls: &Calls) -> io::Result<()> {
        inner(calls).await
    }
    #[retry(stop = stop_after_retries(3), wait = fixed(1))]
    async fn inner(calls: &Calls) -> io::Result<()> {
        calls.count();
        Err(reset())
    }
    let (calls, began) = (Calls::default(), Instant::now());
    assert!(outer(&calls).await.is_err());
    assert_eq!((calls.made(), began.elapsed()), (3 + 3, Duration::from_secs(2 + 30)));
}

#[tokio::test(start_paused = true)]
async fn the_hook_sees_attempt_error_and_wait() {
    static SEEN: Mutex<Vec<(u32, String, Duration)>> = Mutex::new(Vec::new());
    fn hook(attempt: u32, error: &AppError, wait: Duration) {
        SEEN.lock().unwrap().push((attempt, error.to_string(), wait));
    }
    #[default_retry(before_sleep = hook)]
    async fn call() -> Result<(), AppError> {
        Err(AppError::Busy)
    }
    assert!(call().await.is_err());
    let expected = [(1, "busy".to_owned(), Duration::from_secs(2)), (2, "busy".to_owned(), Duration::from_secs(2))];
    assert_eq!(*SEEN.lock().unwrap(), expected);

    let seen = Mutex::new(Vec::new());
    let outcome: io::Result<()> = retry()
        .wait(incrementing(1, 2, 60))
        .when(is_retryable_error)
        .before_sleep(|attempt, error: &io::Error, wait| seen.lock().unwrap().push((attempt, error.kind(), wait)))
        .run(|| async { Err(reset()) })
        .await;
    assert!(outcome.is_err());
    let kind = io::ErrorKind::ConnectionReset;
    assert_eq!(*seen.lock().unwrap(), [(1, kind, Duration::from_secs(1)), (2, kind, Duration::from_secs(3))]);
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_a_hook_and_may_use_the_arguments() {
    #[retry(stop = stop_after_retries(n), before_sleep = |attempt, _, _| log.lock().unwrap().push(attempt))]
    async fn call(n: usize, log: &Mutex<Vec<u32>>) -> Result<(), AppError> {
        Err(AppError::Busy)
    }
    let log = Mutex::new(Vec::new());
    assert!(call(4, &log).await.is_err());
    assert_eq!(*log.lock().unwrap(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_too_slow_is_ended_and_repeated() {
    #[retry(attempt_timeout = 2, retry = |_| false)]
    async fn call(calls: &Calls) -> Result<u32, AppError> {
        let n = calls.count();
        if n < 3 {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        Ok(n)
    }
    let began = Instant::now();
    assert_eq!(call(&Calls::default()).await.unwrap(), 3);
    assert_eq!(began.elapsed(), Duration::from_secs(4));

    #[retry(attempt_timeout = Duration::from_millis(250), wait = fixed(1))]
    async fn never() -> Result<(), AppError> {
        std::future::pending().await
    }
    let began = Instant::now();
    let AppError::Slow(error) = never().await.unwrap_err() else { panic!("not a timeout") };
    assert!(error.is_timeout());
    assert_eq!(began.elapsed(), Duration::from_millis(250 * 3 + 2000));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_call_under_way() {
    #[default_retry(attempts = 100, deadline = 30)]
    async fn call(calls: &Calls) -> Result<(), AppError> {
        calls.count();
        tokio::time::sleep(Duration::from_secs(12)).await;
        Err(AppError::Busy)
    }
    let (calls, began) = (Calls::default(), Instant::now());
    let AppError::Slow(error) = call(&calls).await.unwrap_err() else { panic!("not cut") };
    assert!(error.is_timeout());
    assert_eq!((calls.made(), began.elapsed()), (3, Duration::from_secs(30)));
}

#[tokio::test(start_paused = true)]
async fn no_wait_reaches_beyond_a_deadline() {
    #[default_retry(attempts = 100, wait_min = 4, wait_max = 4, deadline = 10)]
    async fn call(calls: &Calls) -> io::Result<()> {
        calls.count();
        Err(reset())
    }
    let (calls, began) = (Calls::default(), Instant::now());
    assert_eq!(call(&calls).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!((calls.made(), began.elapsed()), (3, Duration::from_secs(8)));
}

#[tokio::test(start_paused = true)]
async fn every_stop_stops() {
    async fn elapsed(stop: memory_core::Stop) -> u64 {
        let began = Instant::now();
        let outcome: io::Result<()> =
            retry().stop(stop).wait(fixed(3)).when(is_retryable_error).run(|| async { Err(reset()) }).await;
        assert!(outcome.is_err());
        began.elapsed().as_secs()
    }
    assert_eq!(elapsed(stop_after_retries(5)).await, 12);
    assert_eq!(elapsed(stop_after_retries(0)).await, 0);
    assert_eq!(elapsed(stop_after_delay(10)).await, 12);
    assert_eq!(elapsed(stop_before_delay(10)).await, 9);
    assert_eq!(elapsed(stop_before_delay(12)).await, 9);
    assert_eq!(elapsed(stop_after_retries(5) | stop_after_delay(4)).await, 6);
    assert_eq!(elapsed(stop_after_retries(5) & stop_after_delay(20)).await, 21);
    assert_eq!(elapsed(stop_never() | stop_after_retries(2)).await, 3);
}

#[tokio::test(start_paused = true)]
async fn stop_never_goes_on() {
    let calls = Calls::default();
    let outcome: io::Result<u32> = retry()
        .stop(stop_never())
        .wait(no_wait())
        .when(is_retryable_error)
        .run(|| {
            let n = calls.count();
            async move { if n < 100_000 { Err(reset()) } else { Ok(n) } }
        })
        .await;
    assert_eq!(outcome.unwrap(), 100_000);
}

#[test]
fn every_wait_waits() {
    let seconds = |wait: memory_core::Wait| wait.iter().take(5).map(|wait| wait.as_secs_f64()).collect::<Vec<_>>();
    assert_eq!(seconds(no_wait()), [0.0; 5]);
    assert_eq!(seconds(fixed(0.25)), [0.25; 5]);
    assert_eq!(seconds(fixed(-1)), [0.0; 5]);
    assert_eq!(seconds(exponential_backoff().exp_base(3)), [1.0, 3.0, 9.0, 27.0, 81.0]);
    assert_eq!(seconds(exponential_backoff().multiplier(f64::NAN).min(1)), [1.0; 5]);
    assert_eq!(seconds(incrementing(5, -2, 60)), [5.0, 3.0, 1.0, 0.0, 0.0]);
    assert_eq!(seconds(chain([fixed(1), fixed(2), exponential_backoff()])), [1.0, 2.0, 4.0, 8.0, 16.0]);
    assert_eq!(seconds(exponential_backoff().max(4) + fixed(0.5)), [1.5, 2.5, 4.5, 4.5, 4.5]);
    for _ in 0..100 {
        assert!(seconds(random_between(1, 2)).iter().all(|wait| (1.0..=2.0).contains(wait)));
        assert!(
            seconds(full_jitter().multiplier(2).max(8)).iter().zip([2.0, 4.0, 8.0]).all(|(wait, max)| *wait <= max)
        );
        assert!(seconds(decorrelated_jitter().max(8)).iter().all(|wait| (1.0..=8.0).contains(wait)));
    }
}

#[tokio::test(start_paused = true)]
async fn blocks_take_keyword_arguments() {
    #[retry(
        stop = (memory_core::stop_after_retries(4) & stop_never()) | stop_after_retries(n = 3),
        wait = chain([memory_core::exponential_backoff(multiplier = 2, min = 3), incrementing(1, max = 5, increment = 9)])
            + random_between(a = 1, b = 1),
    )]
    async fn call(waits: &Mutex<Vec<u64>>) -> io::Result<()> {
        waits.lock().unwrap().push(Instant::now().elapsed().as_secs());
        Err(reset())
    }
    let began = Instant::now();
    assert!(call(&Mutex::default()).await.is_err());
    assert_eq!(began.elapsed(), Duration::from_secs((3 + 1) + (5 + 1)));
}

#[tokio::test(start_paused = true)]
async fn jitter_stays_below_the_wait_and_spreads() {
    async fn call(attempt: impl AsyncFn() -> io::Result<()>) -> Duration {
        let began = Instant::now();
        assert!(attempt().await.is_err());
        began.elapsed()
    }
    #[default_retry(jitter = "full")]
    async fn full() -> io::Result<()> {
        Err(reset())
    }
    #[default_retry(jitter = "decorrelated")]
    async fn decorrelated() -> io::Result<()> {
        Err(reset())
    }
    #[default_retry(jitter = "none")]
    async fn none() -> io::Result<()> {
        Err(reset())
    }
    let mut all = Vec::new();
    for _ in 0..50 {
        all.push(call(full).await);
        assert!((4..=16).contains(&call(decorrelated).await.as_secs()));
        assert_eq!(call(none).await.as_secs(), 4);
    }
    assert!(all.iter().all(|elapsed| *elapsed <= Duration::from_millis(4002)), "{all:?}");
    assert!(all.iter().max() > all.iter().min(), "spread");
}

#[tokio::test(start_paused = true)]
async fn by_value_arguments_are_cloned_and_mutable_ones_borrowed_again() {
    struct Pair(String, Vec<u32>);
    impl Clone for Pair {
        fn clone(&self) -> Self {
            Self(self.0.clone(), self.1.clone())
        }
    }
    #[retry]
    async fn call(
        mut name: String,
        Pair(text, mut list): Pair,
        _unused: u8,
        _: u16,
        log: &mut Vec<String>,
        suffix: &str,
        into: impl Into<u64> + Clone,
    ) -> Result<usize, AppError> {
        name.push_str(suffix);
        list.push(1);
        log.push(format!("{name}{text}{}{}", list.len(), into.into()));
        if log.len() < 3 { Err(AppError::Busy) } else { Ok(log.len()) }
    }
    let mut log = Vec::new();
    let outcome = call("a".into(), Pair("b".into(), vec![]), 0, 0, &mut log, "!", 7u32).await;
    assert_eq!(outcome.unwrap(), 3);
    assert_eq!(log, ["a!b17"; 3]);
}

#[derive(Clone, Default)]
struct Service {
    calls: Calls,
    log: Vec<u32>,
}

impl Service {
    #[retry]
    async fn shared(&self, at: u32) -> Result<u32, AppError> {
        if self.calls.count() < at { Err(AppError::Busy) } else { Ok(at) }
    }

    #[retry]
    async fn exclusive(&mut self) -> Result<usize, AppError> {
        self.log.push(self.calls.count());
        if self.log.len() < 3 { Err(AppError::Busy) } else { Ok(self.log.len()) }
    }

    #[retry]
    async fn owned(mut self) -> Result<usize, AppError> {
        self.log.push(self.calls.count());
        let text = format!("{} {:?}", self.log.len(), self.log);
        if self.calls.made() < 3 { Err(AppError::Busy) } else { Ok(text.len()) }
    }

    #[retry]
    async fn behind_arc(self: Arc<Self>) -> Result<u32, AppError> {
        if self.calls.count() < 2 { Err(AppError::Busy) } else { Ok(self.calls.made()) }
    }

    #[retry(wait = fixed(60))]
    fn blocking(&mut self, name: String) -> Result<String, AppError> {
        self.log.push(1);
        if self.log.len() < 3 { Err(AppError::Busy) } else { Ok(name) }
    }
}

#[tokio::test(start_paused = true)]
async fn methods_of_every_receiver_are_retried() {
    assert_eq!(Service::default().shared(3).await.unwrap(), 3);
    assert_eq!(Service::default().exclusive().await.unwrap(), 3);
    assert_eq!(Service::default().owned().await.unwrap(), "1 [3]".len());
    assert_eq!(Arc::new(Service::default()).behind_arc().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_function_is_retried() {
    let began = Instant::now();
    assert_eq!(Service::default().blocking("x".into()).unwrap(), "x");
    assert_eq!(began.elapsed(), Duration::from_secs(120), "paused time moves with blocking waits");
}

#[async_trait]
trait Upstream: Send {
    async fn fetch(&self, name: &str, (a, b): (String, u8)) -> Result<String, AppError>;
    async fn push(&mut self, log: &mut Vec<u32>, item: String) -> Result<usize, AppError>;
}

#[async_trait]
impl Upstream for Service {
    #[retry]
    async fn fetch(&self, name: &str, (mut a, b): (String, u8)) -> Result<String, AppError> {
        a.push_str(name);
        if self.calls.count() < 3 {
            return Err(AppError::Busy);
        }
        Ok(format!("{a}{b}"))
    }

    #[default_retry(deadline = 60)]
    async fn push(&mut self, log: &mut Vec<u32>, item: String) -> Result<usize, AppError> {
        self.log.push(1);
        log.push(self.calls.count());
        if log.len() < 3 { Err(reset())? } else { Ok(item.len() + self.log.len()) }
    }
}

trait Native {
    async fn fetch(&self) -> Result<u32, AppError>;
}

impl Native for Service {
    #[retry]
    async fn fetch(&self) -> Result<u32, AppError> {
        if self.calls.count() < 3 { Err(AppError::Busy) } else { Ok(3) }
    }
}

#[tokio::test(start_paused = true)]
async fn trait_methods_are_retried() {
    let service: Box<dyn Upstream> = Box::<Service>::default();
    assert_eq!(service.fetch("n", ("a".into(), 1)).await.unwrap(), "an1");
    let mut service: Box<dyn Upstream> = Box::<Service>::default();
    let mut log = vec![];
    let outcome = tokio::spawn(async move { service.push(&mut log, "four".into()).await });
    assert_eq!(outcome.await.unwrap().unwrap(), 7);
    assert_eq!(Native::fetch(&Service::default()).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn generic_functions_and_opaque_values_are_retried() {
    #[retry(stop = stop_after_retries(N))]
    async fn call<'a, T, E, const N: u32>(
        calls: &'a Calls,
        value: &'a T,
        make: fn() -> E,
    ) -> Result<impl Display + 'a, E>
    where
        T: Display + Sync + ?Sized,
        E: Error + 'static,
    {
        if calls.count() < 4 { Err(make()) } else { Ok(value) }
    }
    assert!(call::<_, _, 3>(&Calls::default(), "v", reset).await.is_err());
    assert_eq!(call::<_, _, 4>(&Calls::default(), "v", reset).await.unwrap().to_string(), "v");
}

#[tokio::test(start_paused = true)]
async fn a_function_that_makes_its_own_future_is_retried() {
    #[retry]
    fn call(calls: Calls) -> impl Future<Output = Result<u32, AppError>> + Send {
        async move {
            let n = calls.count();
            if n < 3 { Err(AppError::Busy) } else { Ok(n) }
        }
    }
    assert_eq!(tokio::spawn(call(Calls::default())).await.unwrap().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_future_of_a_retried_function_is_send_even_with_an_error_that_is_not() {
    #[default_retry(retry_on = |_| true)]
    async fn call(calls: Calls) -> Result<u32, Box<dyn Error>> {
        let n = calls.count();
        tokio::task::yield_now().await;
        if n < 3 { Err("again".into()) } else { Ok(n) }
    }
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    assert_eq!(send(call(Calls::default())).await.unwrap(), 3);
}
