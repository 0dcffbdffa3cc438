//! How a failed run reaches those who waited for it.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use memory_core::{FmError, memorize};
use tokio::time::{Instant, sleep};

use crate::{Logs, Runs, alone, seconds};

#[derive(Clone, Debug, PartialEq)]
struct Cloned(u32);

#[memorize(skip(runs))]
async fn cloned(id: u32, runs: Runs) -> Result<u32, Cloned> {
    let run = runs.begin();
    sleep(seconds(1)).await;
    if id == 0 { Err(Cloned(run)) } else { Ok(id) }
}

#[memorize(in_place, skip(runs))]
async fn cloned_here(id: u32, runs: Runs) -> Result<u32, Cloned> {
    let run = runs.begin();
    sleep(seconds(1)).await;
    if id == 0 { Err(Cloned(run)) } else { Ok(id) }
}

#[tokio::test(start_paused = true)]
async fn every_waiter_gets_a_clone_of_the_error_and_the_next_call_runs_again() {
    let runs = Runs::default();
    alone(async {
        let start = Instant::now();
        let answers = join_all((0..500).map(|_| cloned(0, runs.clone()))).await;
        assert!(answers.iter().all(|answer| *answer == Err(Cloned(1))), "the same error for all");
        assert_eq!(start.elapsed(), seconds(1));
        assert_eq!(cloned(0, runs.clone()).await, Err(Cloned(2)), "not stored");
        assert_eq!(runs.take(), 2);
        let answers = join_all((0..500).map(|_| cloned_here(0, runs.clone()))).await;
        assert!(answers.iter().all(|answer| *answer == Err(Cloned(1))));
        assert_eq!(runs.take(), 1);
    })
    .await;
}

/// Not `Clone`, but made from ours.
#[derive(Debug)]
enum AppError {
    Own(u32),
    Cache(FmError),
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(run) => write!(f, "run {run}"),
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl Error for AppError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Own(_) => None,
            Self::Cache(error) => Some(error),
        }
    }
}

impl From<FmError> for AppError {
    fn from(error: FmError) -> Self {
        Self::Cache(error)
    }
}

#[memorize(skip(runs))]
async fn converted(runs: Runs) -> Result<u32, AppError> {
    let run = runs.begin();
    sleep(seconds(1)).await;
    Err(AppError::Own(run))
}

#[memorize(skip(runs))]
async fn any_error(runs: Runs) -> anyhow::Result<u32> {
    let run = runs.begin();
    sleep(seconds(1)).await;
    Err(AppError::Own(run).into())
}

#[memorize(skip(runs))]
async fn boxed_error(runs: Runs) -> Result<u32, Box<dyn Error + Send + Sync>> {
    let run = runs.begin();
    sleep(seconds(1)).await;
    Err(AppError::Own(run).into())
}

#[memorize(skip(runs))]
async fn arc_error(runs: Runs) -> Result<u32, Arc<Unshareable>> {
    let run = runs.begin();
    sleep(seconds(1)).await;
    Err(Arc::new(Unshareable(run)))
}

/// Whether the original is among the sources, the error itself included.
fn has_original(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if matches!(error.downcast_ref(), Some(AppError::Own(1))) {
            return true;
        }
        next = error.source();
    }
    false
}

#[tokio::test(start_paused = true)]
async fn an_error_made_from_ours_has_the_original_as_its_source() {
    let runs = Runs::default();
    alone(async {
        for error in join_all((0..100).map(|_| converted(runs.clone()))).await {
            assert!(has_original(&error.unwrap_err()));
        }
        assert_eq!(runs.take(), 1);
        for error in join_all((0..100).map(|_| any_error(runs.clone()))).await {
            assert!(has_original(error.unwrap_err().as_ref()));
        }
        assert_eq!(runs.take(), 1);
        for error in join_all((0..100).map(|_| boxed_error(runs.clone()))).await {
            assert!(has_original(&*error.unwrap_err()));
        }
        assert_eq!(runs.take(), 1);
        for error in join_all((0..100).map(|_| arc_error(runs.clone()))).await {
            assert_eq!(error.unwrap_err().0, 1);
        }
        assert_eq!(runs.take(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_only_caller_gets_the_original_error_itself() {
    let runs = Runs::default();
    alone(async {
        assert!(matches!(converted(runs.clone()).await, Err(AppError::Own(1))));
        assert!(any_error(runs.clone()).await.unwrap_err().is::<AppError>());
        assert!(boxed_error(runs.clone()).await.unwrap_err().is::<AppError>());
    })
    .await;
}

/// Neither `Clone` nor made from ours.
#[derive(Debug, PartialEq)]
struct Unshareable(u32);

/// Bodies at work at one time.
#[derive(Clone, Default)]
struct Crowd(Arc<(AtomicU32, AtomicU32)>);

impl Crowd {
    fn enter(&self) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn largest(&self) -> u32 {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Every run takes a second and fails, but the sixth, which takes a tenth.
#[memorize(skip(runs, crowd))]
async fn alone_with_it(id: u32, runs: Runs, crowd: Crowd) -> Result<u32, Unshareable> {
    let run = runs.begin();
    crowd.enter();
    let succeeds = run == 6 && id > 0;
    sleep(Duration::from_millis(if succeeds { 100 } else { 1000 })).await;
    crowd.leave();
    if succeeds { Ok(id + run) } else { Err(Unshareable(run)) }
}

#[tokio::test(start_paused = true)]
async fn callers_that_cannot_share_the_error_run_side_by_side_and_the_first_success_is_everybodys() {
    let logs = Logs::capture();
    let (runs, crowd) = (Runs::default(), Crowd::default());
    alone(async {
        let start = Instant::now();
        let calls = (0..100).map(|_| alone_with_it(1, runs.clone(), crowd.clone()));
        let answers = join_all(calls).await;
        assert_eq!(answers[0], Err(Unshareable(1)), "the first caller's own");
        assert!(answers[1..].iter().all(|answer| *answer == Ok(7)), "{answers:?}");
        assert_eq!(start.elapsed(), Duration::from_millis(1100));
        assert_eq!((runs.take(), crowd.largest()), (9, 8));
        assert_eq!(alone_with_it(1, runs.clone(), crowd.clone()).await, Ok(7), "it is stored");
    })
    .await;
    let warnings = logs.lines("WARN", "can't share its error");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("alone_with_it") && warnings[0].contains("Arc<E>"), "{warnings:?}");
}

#[tokio::test(start_paused = true)]
async fn where_all_fail_nobody_waits_in_a_queue_of_single_runs() {
    let logs = Logs::capture();
    let (runs, crowd) = (Runs::default(), Crowd::default());
    alone(async {
        let start = Instant::now();
        let answers = join_all((0..100).map(|_| alone_with_it(0, runs.clone(), crowd.clone()))).await;
        let mut ran: Vec<u32> = answers.into_iter().map(|answer| answer.unwrap_err().0).collect();
        ran.sort_unstable();
        assert!(ran.into_iter().eq(1..=100), "each its own error");
        assert!(start.elapsed() <= seconds(14), "{:?}: 1 + 99 / 8 rounds", start.elapsed());
        assert_eq!(crowd.largest(), 8);
        assert!(alone_with_it(0, runs.clone(), crowd.clone()).await.is_err());
        assert_eq!(runs.take(), 101, "the next call runs again");
    })
    .await;
    assert_eq!(logs.lines("WARN", "can't share its error").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unshareable_error_without_waiters_warns_nobody() {
    let logs = Logs::capture();
    let (runs, crowd) = (Runs::default(), Crowd::default());
    alone(async {
        for run in 1..=3 {
            assert_eq!(alone_with_it(0, runs.clone(), crowd.clone()).await, Err(Unshareable(run)));
        }
    })
    .await;
    assert_eq!(logs.lines("WARN", "").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_what_was_stored_before() {
    let runs = Runs::default();

    #[memorize(skip(runs, fails))]
    async fn flaky(runs: Runs, fails: bool) -> Result<u32, Cloned> {
        let run = runs.begin();
        if fails { Err(Cloned(run)) } else { Ok(run) }
    }

    alone(async {
        assert_eq!(flaky(runs.clone(), false).await, Ok(1));
        assert_eq!(flaky::refresh(runs.clone(), true).await, Err(Cloned(2)));
        assert_eq!(flaky(runs.clone(), true).await, Ok(1), "a failed refresh takes nothing away");
    })
    .await;
}
