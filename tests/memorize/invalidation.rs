//! Invalidation while a body runs: its callers get the value, it is never stored.

use std::time::Duration;

use memory_core::{FmCacheManager, memorize};
use tokio::{join, time::sleep};

use crate::{Runs, alone, cache, seconds};

#[memorize(namespace = "slow", skip(runs))]
async fn slow(id: u32, runs: Runs) -> u32 {
    let run = runs.begin();
    sleep(seconds(1)).await;
    id + run
}

/// Does `work` in the middle of a run for key 10.
async fn amid<F: Future>(runs: &Runs, work: F) -> (u32, F::Output) {
    let middle = async {
        sleep(Duration::from_millis(500)).await;
        work.await
    };
    let (one, other, done) = join!(slow(10, runs.clone()), slow(10, runs.clone()), middle);
    assert_eq!(one, other, "all callers of the run get its value");
    (one, done)
}

#[tokio::test(start_paused = true)]
async fn what_is_invalidated_during_a_run_is_not_stored_by_it() {
    let runs = Runs::default();
    alone(async {
        for how in ["key", "namespace", "clear"] {
            let work = async {
                match how {
                    "key" => drop(slow::invalidate(10).await.unwrap()),
                    "namespace" => drop(FmCacheManager::clear_namespace("slow").await.unwrap()),
                    _ => drop(FmCacheManager::clear().await.unwrap()),
                }
            };
            assert_eq!(amid(&runs, work).await.0, 11, "{how}");
            assert_eq!(slow::peek(10).await.unwrap(), None, "{how}");
            assert_eq!(slow(10, runs.clone()).await, 12, "{how}: the next read is fresh");
            assert_eq!(slow(10, runs.clone()).await, 12, "{how}: and that is stored");
            FmCacheManager::clear().await.unwrap();
            runs.take();
        }
        assert_eq!(FmCacheManager::stats().outdated, 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_after_an_invalidation_does_not_join_the_run_from_before() {
    let runs = Runs::default();
    alone(async {
        let late = async {
            slow::invalidate(10).await.unwrap();
            slow(10, runs.clone()).await
        };
        assert_eq!(amid(&runs, late).await, (11, 12));
        assert_eq!(slow::peek(10).await.unwrap(), Some(12));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_put_or_refreshed_during_a_run_stays() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(amid(&runs, async { slow::put(10, 99).await }).await.0, 11);
        assert_eq!(slow::peek(10).await.unwrap(), Some(99));
        slow::invalidate(10).await.unwrap();
        runs.take();
        assert_eq!(amid(&runs, slow::refresh(10, runs.clone())).await, (11, 12));
        assert_eq!(slow::peek(10).await.unwrap(), Some(12), "the refresh began later");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn invalidating_another_key_or_namespace_during_a_run_costs_nothing() {
    let runs = Runs::default();
    alone(async {
        let work = async {
            slow::invalidate(11).await.unwrap();
            FmCacheManager::clear_namespace("other").await.unwrap();
            slow::put(12, 1).await.unwrap();
            cache().clear().await.unwrap();
        };
        assert_eq!(amid(&runs, work).await.0, 11);
        assert_eq!(slow::peek(10).await.unwrap(), Some(11));
    })
    .await;
}

#[memorize(skip(runs))]
async fn invalidates_itself(id: u32, runs: Runs) -> u32 {
    runs.begin();
    invalidates_itself::invalidate(id).await.unwrap();
    id
}

#[tokio::test(start_paused = true)]
async fn a_body_may_invalidate_its_own_key() {
    let runs = Runs::default();
    alone(async {
        assert_eq!((invalidates_itself(1, runs.clone()).await, invalidates_itself(1, runs.clone()).await), (1, 1));
        assert_eq!(runs.take(), 2);
        assert_eq!(invalidates_itself::peek(1).await.unwrap(), None);
    })
    .await;
}
