//! Values past their expiry, and values that are refreshed before it.

use std::time::Duration;

use memory_core::{FmCacheManager, FmError, FmMemoryBackend, is_retryable_error, memorize};
use tokio::{join, task::yield_now, time};

use crate::{Runs, alone, seconds};

/// An upstream that can be down, and takes its time.
#[derive(Clone, Debug, Default)]
struct Upstream {
    runs: Runs,
    down: std::sync::Arc<std::sync::Mutex<Option<std::io::ErrorKind>>>,
    takes: std::sync::Arc<std::sync::Mutex<Duration>>,
}

impl Upstream {
    async fn ask(&self) -> std::io::Result<u32> {
        let run = self.runs.begin();
        let (takes, down) = (*self.takes.lock().unwrap(), *self.down.lock().unwrap());
        time::sleep(takes).await;
        match down {
            Some(kind) => Err(kind.into()),
            None => Ok(run),
        }
    }

    fn fail(&self, kind: std::io::ErrorKind) {
        *self.down.lock().unwrap() = Some(kind);
    }

    fn recover(&self) {
        *self.down.lock().unwrap() = None;
    }

    fn take(&self, length: Duration) {
        *self.takes.lock().unwrap() = length;
    }

    fn runs(&self) -> u32 {
        self.runs.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

const TIMED_OUT: std::io::ErrorKind = std::io::ErrorKind::TimedOut;

async fn pass(length: u64) {
    time::advance(seconds(length)).await;
}

#[memorize(expire = 60, stale_while_revalidate = 30, skip(upstream))]
async fn revalidated(id: u32, upstream: Upstream) -> std::io::Result<u32> {
    upstream.ask().await.map(|run| id + run)
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_is_answered_at_once_and_refreshed_behind_the_answer() {
    let upstream = Upstream::default();
    alone(async {
        let call = || revalidated(10, upstream.clone());
        assert_eq!(call().await.unwrap(), 11);
        pass(70).await;
        upstream.take(seconds(3));
        let start = time::Instant::now();
        for _ in 0..100 {
            assert_eq!(call().await.unwrap(), 11, "stale");
        }
        assert!(start.elapsed().is_zero(), "nobody waits");
        FmCacheManager::settle().await;
        assert_eq!(upstream.runs(), 2, "one refresh for a hundred calls");
        assert_eq!(call().await.unwrap(), 12, "refreshed");
        pass(200).await;
        assert_eq!(call().await.unwrap(), 13, "past the window a call runs the body itself");
        let stats = FmCacheManager::stats();
        assert_eq!((stats.stale_hits, stats.hits, stats.refreshes, stats.runs), (100, 1, 1, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_behind_an_answer_is_not_tried_on_every_call() {
    let upstream = Upstream::default();
    alone(async {
        let call = || revalidated(10, upstream.clone());
        assert_eq!(call().await.unwrap(), 11);
        pass(61).await;
        upstream.fail(TIMED_OUT);
        for _ in 0..10 {
            assert_eq!(call().await.unwrap(), 11);
            FmCacheManager::settle().await;
        }
        assert_eq!(upstream.runs(), 2, "asked once");
        pass(6).await;
        assert_eq!(call().await.unwrap(), 11);
        FmCacheManager::settle().await;
        assert_eq!(upstream.runs(), 3, "and once more after the throttle");
        pass(30).await;
        assert!(call().await.is_err(), "past the window the error is the caller's");
    })
    .await;
}

#[memorize(expire = 60, stale_if_error = 3600, skip(upstream))]
async fn excused(id: u32, upstream: Upstream) -> std::io::Result<u32> {
    upstream.ask().await.map(|run| id + run)
}

#[tokio::test(start_paused = true)]
async fn a_failing_body_is_answered_with_the_old_value_and_asked_once_a_throttle() {
    let upstream = Upstream::default();
    alone(async {
        let call = || excused(10, upstream.clone());
        assert_eq!(call().await.unwrap(), 11);
        upstream.fail(TIMED_OUT);
        pass(61).await;
        for _ in 0..50 {
            assert_eq!(call().await.unwrap(), 11);
        }
        assert_eq!(upstream.runs(), 2, "an upstream that is down is asked once");
        pass(6).await;
        assert_eq!(call().await.unwrap(), 11);
        assert_eq!(upstream.runs(), 3, "and again after the throttle");
        upstream.recover();
        assert_eq!(call().await.unwrap(), 11, "not before the throttle is over");
        pass(6).await;
        assert_eq!(call().await.unwrap(), 14, "the call that asks gets the new value");
        let stats = FmCacheManager::stats();
        assert_eq!((stats.failures, stats.stale_hits), (2, 52));
        pass(61 + 3600).await;
        upstream.fail(TIMED_OUT);
        assert!(call().await.is_err(), "past the window there is nothing to answer");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn all_waiters_of_a_failing_run_get_the_old_value() {
    let upstream = Upstream::default();
    alone(async {
        let call = || excused(10, upstream.clone());
        call().await.unwrap();
        pass(61).await;
        upstream.fail(TIMED_OUT);
        upstream.take(seconds(1));
        let (one, other, third) = join!(call(), call(), call());
        assert_eq!([one.unwrap(), other.unwrap(), third.unwrap()], [11, 11, 11]);
        assert_eq!(upstream.runs(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_value_excuses_nothing() {
    let upstream = Upstream::default();
    alone(async {
        let call = || excused(10, upstream.clone());
        for how in ["before", "during"] {
            upstream.recover();
            excused::invalidate(10).await.unwrap();
            call().await.unwrap();
            pass(61).await;
            upstream.fail(TIMED_OUT);
            upstream.take(seconds(1));
            if how == "before" {
                excused::invalidate(10).await.unwrap();
                assert!(call().await.is_err());
            } else {
                let invalidate = async {
                    time::sleep(Duration::from_millis(500)).await;
                    excused::invalidate(10).await.unwrap();
                };
                assert!(join!(call(), invalidate).0.is_err());
            }
            upstream.take(Duration::ZERO);
        }
    })
    .await;
}

#[memorize(expire = 60, stale_if_error = 3600, stale_on = is_retryable_error, skip(upstream))]
async fn judged(upstream: Upstream) -> std::io::Result<u32> {
    upstream.ask().await
}

#[memorize(expire = 60, stale_if_error = 3600, stale_on = |error| error.kind() == TIMED_OUT, skip(upstream))]
async fn judged_here(upstream: Upstream) -> std::io::Result<u32> {
    upstream.ask().await
}

#[tokio::test(start_paused = true)]
async fn stale_on_says_which_errors_are_excused() {
    let upstream = Upstream::default();
    alone(async {
        judged(upstream.clone()).await.unwrap();
        judged_here(upstream.clone()).await.unwrap();
        pass(61).await;
        upstream.fail(std::io::ErrorKind::InvalidInput);
        assert!(judged_here(upstream.clone()).await.is_err());
        upstream.fail(TIMED_OUT);
        assert_eq!(judged(upstream.clone()).await.unwrap(), 1);
        assert_eq!(judged_here(upstream.clone()).await.unwrap(), 2);
    })
    .await;
}

#[memorize(expire = 60, stale_if_error = 3600, stale_on_none, skip(found))]
async fn found(id: u32, found: Option<u32>) -> Option<u32> {
    found.map(|found| id + found)
}

#[tokio::test(start_paused = true)]
async fn stale_on_none_widens_it() {
    alone(async {
        assert_eq!(found(1, Some(1)).await, Some(2));
        pass(61).await;
        assert_eq!(found(1, None).await, Some(2));
        assert_eq!(found(2, None).await, None);
    })
    .await;
}

#[memorize(expire = 60, refresh_ahead = 0.8, skip(upstream))]
async fn ahead(upstream: Upstream) -> std::io::Result<u32> {
    upstream.ask().await
}

#[tokio::test(start_paused = true)]
async fn the_first_call_past_a_part_of_the_life_refreshes_behind_its_answer() {
    let upstream = Upstream::default();
    alone(async {
        let call = || ahead(upstream.clone());
        assert_eq!(call().await.unwrap(), 1);
        pass(47).await;
        assert_eq!(call().await.unwrap(), 1);
        FmCacheManager::settle().await;
        assert_eq!(upstream.runs(), 1, "not yet due");
        pass(2).await;
        for _ in 0..10 {
            assert_eq!(call().await.unwrap(), 1, "fresh");
        }
        FmCacheManager::settle().await;
        assert_eq!(upstream.runs(), 2);
        pass(40).await;
        assert_eq!(call().await.unwrap(), 2, "its life began anew");
        let stats = FmCacheManager::stats();
        assert_eq!((stats.stale_hits, stats.misses, stats.refreshes), (0, 1, 1));
    })
    .await;
}

#[memorize(expire = 60, stale_if_error = 3600, soft_timeout = 0.2, skip(upstream))]
async fn bridged(upstream: Upstream) -> std::io::Result<u32> {
    upstream.ask().await
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_bridged_with_the_old_value_and_goes_on() {
    let upstream = Upstream::default();
    alone(async {
        let call = || bridged(upstream.clone());
        call().await.unwrap();
        pass(61).await;
        upstream.take(seconds(5));
        let start = time::Instant::now();
        let late = async {
            time::sleep(Duration::from_millis(100)).await;
            (call().await.unwrap(), start.elapsed())
        };
        let (leader, waiter) = join!(async { (call().await.unwrap(), start.elapsed()) }, late);
        assert_eq!(leader, (1, Duration::from_millis(200)));
        assert_eq!(waiter, (1, Duration::from_millis(300)), "waiters obey it too");
        assert_eq!(upstream.runs(), 2);
        FmCacheManager::settle().await;
        assert_eq!(start.elapsed(), seconds(5), "the run went on");
        assert_eq!(call().await.unwrap(), 2);
        assert_eq!(upstream.runs(), 2);
    })
    .await;
}

#[memorize(expire = 60, soft_timeout = 0.2, skip(upstream))]
async fn bridged_alone(upstream: Upstream) -> std::io::Result<u32> {
    upstream.ask().await
}

#[tokio::test(start_paused = true)]
async fn a_soft_timeout_alone_keeps_the_old_value_for_another_life_and_excuses_no_failure() {
    let upstream = Upstream::default();
    alone(async {
        let call = || bridged_alone(upstream.clone());
        call().await.unwrap();
        pass(70).await;
        upstream.take(seconds(1));
        assert_eq!(call().await.unwrap(), 1);
        FmCacheManager::settle().await;
        pass(70).await;
        upstream.fail(TIMED_OUT);
        upstream.take(Duration::ZERO);
        assert!(call().await.is_err());
        upstream.recover();
        assert_eq!(call().await.unwrap(), 4);
        upstream.take(seconds(1));
        pass(121).await;
        assert_eq!(call().await.unwrap(), 5, "nothing is at hand: the call waits");
    })
    .await;
}

#[memorize(expire = 60, stale_while_revalidate = 30, skip(upstream))]
async fn in_its_place(keys: &[&str], upstream: &Upstream) -> std::io::Result<u32> {
    let _ = keys;
    upstream.ask().await
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_task_one_call_refreshes_and_the_others_have_the_old_value() {
    let upstream = Upstream::default();
    alone(async {
        let call = || in_its_place(&["a"], &upstream);
        call().await.unwrap();
        pass(61).await;
        upstream.take(seconds(1));
        let (one, other) = join!(call(), call());
        assert_eq!((one.unwrap(), other.unwrap()), (2, 1));
        pass(61).await;
        upstream.fail(TIMED_OUT);
        assert_eq!(call().await.unwrap(), 2, "and if the refresh fails, so has that call");
    })
    .await;
}

#[memorize(expire = 60, stale_while_revalidate = 30, skip(runs))]
fn in_sync(runs: &Runs) -> u32 {
    runs.begin()
}

#[tokio::test(start_paused = true)]
async fn a_sync_function_refreshes_in_the_call_that_is_due() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(in_sync(&runs), 1);
        pass(61).await;
        assert_eq!(in_sync(&runs), 2);
        assert_eq!(in_sync(&runs), 2);
    })
    .await;
}

#[memorize(skip(upstream))]
async fn by_default(upstream: Upstream) -> Result<u32, FmError> {
    upstream.ask().await.map_err(|error| FmError::with_source(memory_core::backend::Kind::Backend, "down", error))
}

#[tokio::test(start_paused = true)]
async fn the_manager_has_defaults_for_all_of_it() {
    let upstream = Upstream::default();
    let builder = FmCacheManager::builder(FmMemoryBackend::new()).prefix("test").expire(10);
    let cache = builder
        .stale_while_revalidate(10)
        .stale_if_error(100)
        .stale_throttle(1)
        .refresh_ahead(0.5)
        .soft_timeout(0.2)
        .timeout(2)
        .build()
        .unwrap();
    let test = async {
        let call = || by_default(upstream.clone());
        assert_eq!(call().await.unwrap(), 1);
        pass(6).await;
        assert_eq!(call().await.unwrap(), 1);
        FmCacheManager::settle().await;
        assert_eq!(call().await.unwrap(), 2, "refreshed ahead");
        pass(15).await;
        assert_eq!(call().await.unwrap(), 2, "stale");
        FmCacheManager::settle().await;
        assert_eq!(call().await.unwrap(), 3);
        pass(50).await;
        upstream.fail(TIMED_OUT);
        assert_eq!(call().await.unwrap(), 3, "excused");
        upstream.recover();
        upstream.take(seconds(1));
        pass(2).await;
        assert_eq!(call().await.unwrap(), 3, "bridged");
        FmCacheManager::settle().await;
        upstream.take(seconds(60));
        pass(1000).await;
        assert!(call().await.unwrap_err().is_timeout());
    };
    cache.scope(test).await;
}

#[tokio::test(start_paused = true)]
async fn get_or_compute_has_all_of_it() {
    let upstream = Upstream::default();
    alone(async {
        let call = || {
            let upstream = upstream.clone();
            FmCacheManager::get_or_compute(
                "k",
                move || async move { upstream.ask().await.map_err(anyhow::Error::from) },
            )
            .expire(10)
            .stale_while_revalidate(10)
            .stale_if_error(100)
            .soft_timeout(0.2)
            .timeout(2)
            .stale_on(|error| error.downcast_ref::<std::io::Error>().is_none_or(|error| error.kind() == TIMED_OUT))
        };
        assert_eq!(call().await.unwrap(), 1);
        pass(15).await;
        assert_eq!(call().await.unwrap(), 1);
        FmCacheManager::settle().await;
        assert_eq!(call().await.unwrap(), 2);
        pass(50).await;
        upstream.fail(std::io::ErrorKind::InvalidInput);
        assert!(call().await.is_err());
        upstream.fail(TIMED_OUT);
        assert_eq!(call().await.unwrap(), 2);
        pass(6).await;
        upstream.recover();
        upstream.take(seconds(10));
        let start = time::Instant::now();
        assert_eq!(call().await.unwrap(), 2, "bridged");
        assert_eq!(start.elapsed(), Duration::from_millis(200));
        FmCacheManager::settle().await;
        assert_eq!(start.elapsed(), seconds(2), "aborted");
        let stats = FmCacheManager::stats();
        assert_eq!((stats.timeouts, stats.failures), (1, 3));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_direct_read_and_a_peek_take_fresh_values_only() {
    let upstream = Upstream::default();
    alone(async {
        revalidated(10, upstream.clone()).await.unwrap();
        FmCacheManager::set("k", 1).expire(10).stale_if_error(100).await.unwrap();
        pass(61).await;
        assert!(revalidated::peek(10).await.unwrap().is_none());
        assert_eq!(FmCacheManager::get::<i32>("k").await.unwrap(), None);
        assert!(!revalidated::invalidate(10).await.unwrap(), "an expired value counts as absent");
        yield_now().await;
        assert_eq!(upstream.runs(), 1);
    })
    .await;
}
