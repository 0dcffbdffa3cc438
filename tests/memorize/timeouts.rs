//! `timeout`: a body that hangs is aborted, its key is free, and everybody is told.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use memory_core::{FmCacheManager, FmError, memorize};
use tokio::{join, time};

use crate::{Runs, alone, seconds};

/// Tells when it is dropped.
struct Alive(Arc<()>);

#[memorize(timeout = 2, skip(runs, alive))]
async fn hangs(id: u32, runs: Runs, alive: Arc<()>) -> Result<u32, FmError> {
    let alive = Alive(alive);
    if runs.begin() == 1 {
        std::future::pending::<()>().await;
    }
    drop(alive.0);
    Ok(id)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_hangs_is_aborted_and_everybody_is_told() {
    let (runs, alive) = (Runs::default(), Arc::new(()));
    alone(async {
        let start = time::Instant::now();
        let call = || hangs(1, runs.clone(), alive.clone());
        let (one, other) = join!(call(), call());
        assert!(one.unwrap_err().is_timeout() && other.unwrap_err().is_timeout());
        assert_eq!(start.elapsed(), seconds(2));
        assert_eq!(Arc::strong_count(&alive), 1, "the body was dropped");
        assert_eq!(call().await.unwrap(), 1, "the key is free");
        let stats = FmCacheManager::stats();
        assert_eq!((stats.timeouts, stats.failures, stats.runs), (1, 1, 2));
    })
    .await;
}

/// An error of the user's, not `Clone`.
#[derive(Debug)]
enum AppError {
    Cache(FmError),
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("application error")
    }
}

impl Error for AppError {}

impl From<FmError> for AppError {
    fn from(error: FmError) -> Self {
        Self::Cache(error)
    }
}

#[memorize(timeout = limit, skip(limit))]
async fn by_argument(limit: Duration) -> Result<u32, AppError> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn waiters_get_a_timeout_of_their_own_whatever_the_error_is() {
    alone(async {
        let limit = Duration::from_millis(1500);
        let (one, other) = join!(by_argument(limit), by_argument(limit));
        for outcome in [one, other] {
            let AppError::Cache(error) = outcome.unwrap_err();
            assert!(error.is_timeout(), "{error}");
        }
    })
    .await;
}

#[memorize(timeout = 2, cache_err, memory_only, skip(runs))]
async fn kept_errors(runs: Runs) -> Result<u32, FmError> {
    runs.begin();
    std::future::pending().await
}

#[memorize(timeout = 2)]
async fn in_its_place(names: &[&str]) -> Result<usize, anyhow::Error> {
    std::future::pending::<()>().await;
    Ok(names.len())
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_never_stored_and_holds_in_the_caller_s_task_too() {
    let runs = Runs::default();
    alone(async {
        for run in 1..=2 {
            assert!(kept_errors(runs.clone()).await.unwrap_err().is_timeout());
            assert_eq!(FmCacheManager::stats().runs, run);
        }
        let error = in_its_place(&["a"]).await.unwrap_err();
        assert!(error.downcast_ref::<FmError>().is_some_and(FmError::is_timeout));
    })
    .await;
}

#[memorize(expire = 60, stale_if_error = 600, timeout = 2, soft_timeout = 5, skip(runs))]
async fn excused(runs: Runs) -> Result<u32, FmError> {
    match runs.begin() {
        1 => Ok(1),
        _ => std::future::pending().await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_a_failure_that_an_old_value_excuses() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(excused(runs.clone()).await.unwrap(), 1);
        time::advance(seconds(61)).await;
        let start = time::Instant::now();
        assert_eq!(excused(runs.clone()).await.unwrap(), 1);
        assert_eq!(start.elapsed(), seconds(2));
    })
    .await;
}
