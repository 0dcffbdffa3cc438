//! Tags: from the arguments, from the value, fixed; invalidated at a stroke, and before runs under way.

use std::time::Duration;

use memory_core::{FmCacheManager, memorize};
use tokio::{join, time::sleep};

use crate::{Runs, alone, seconds};

#[memorize(tags = ["users", format!("user:{id}"), id], skip(runs))]
async fn tagged(id: u32, runs: Runs) -> u32 {
    let run = runs.begin();
    sleep(seconds(1)).await;
    10 * id + run
}

#[memorize(tags = |team: &Result<Vec<String>, String>| team.iter().flatten().cloned().collect::<Vec<_>>(), skip(runs))]
async fn team(id: u32, runs: Runs) -> Result<Vec<String>, String> {
    runs.begin();
    sleep(seconds(1)).await;
    Ok(vec![format!("member:{id}"), "member:0".to_owned()])
}

const FIXED: [&str; 2] = ["one", "two"];

#[memorize(tags = FIXED, skip(runs))]
fn in_sync(runs: &Runs) -> u32 {
    runs.begin()
}

#[tokio::test(start_paused = true)]
async fn a_tag_takes_all_its_entries_and_no_others() {
    let runs = Runs::default();
    alone(async {
        for tag in ["users", "user:1", "1"] {
            runs.take();
            FmCacheManager::clear().await.unwrap();
            assert_eq!((tagged(1, runs.clone()).await, tagged(2, runs.clone()).await), (11, 22));
            FmCacheManager::invalidate_tag(tag).await.unwrap();
            assert_eq!(tagged::peek(1).await.unwrap(), None, "{tag}");
            assert_eq!(tagged::peek(2).await.unwrap().is_none(), tag == "users", "{tag}");
        }
        assert_eq!((in_sync(&runs), in_sync(&runs)), (3, 3));
        FmCacheManager::invalidate_tag("two").await.unwrap();
        assert_eq!(in_sync(&runs), 4);
        tagged::put(3, 7).await.unwrap();
        FmCacheManager::invalidate_tag("user:3").await.unwrap();
        assert_eq!(tagged::peek(3).await.unwrap(), None, "what is put has the tags too");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_value_may_say_its_tags() {
    let runs = Runs::default();
    alone(async {
        team(1, runs.clone()).await.unwrap();
        team(2, runs.clone()).await.unwrap();
        FmCacheManager::invalidate_tag("member:2").await.unwrap();
        assert!(team::peek(1).await.unwrap().is_some() && team::peek(2).await.unwrap().is_none());
        FmCacheManager::invalidate_tag("member:0").await.unwrap();
        assert!(team::peek(1).await.unwrap().is_none());
        FmCacheManager::set("k", 1).tags(["member:0"]).tags([7]).await.unwrap();
        FmCacheManager::invalidate_tag("7").await.unwrap();
        assert_eq!(FmCacheManager::get::<i32>("k").await.unwrap(), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_tag_beats_a_run_under_way_even_if_only_its_value_says_the_tag() {
    let runs = Runs::default();
    alone(async {
        let invalidate = async {
            sleep(Duration::from_millis(500)).await;
            FmCacheManager::invalidate_tag("member:0").await.unwrap();
        };
        let (one, other, ()) = join!(team(1, runs.clone()), team(1, runs.clone()), invalidate);
        assert!(one.is_ok() && other.is_ok(), "the run's callers get its value");
        assert_eq!(runs.take(), 1);
        assert!(team::peek(1).await.unwrap().is_none(), "it is never stored");
        assert_eq!(FmCacheManager::stats().outdated, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_after_the_invalidation_of_a_tag_does_not_take_the_value_of_a_run_from_before() {
    let runs = Runs::default();
    alone(async {
        let late = async {
            sleep(Duration::from_millis(500)).await;
            FmCacheManager::invalidate_tag("user:1").await.unwrap();
            join!(tagged(1, runs.clone()), tagged(1, runs.clone()), tagged(1, runs.clone()))
        };
        let (early, late) = join!(tagged(1, runs.clone()), late);
        assert_eq!(early, 11);
        assert_eq!(late, (12, 12, 12), "one run for all that came after");
        assert_eq!(tagged::peek(1).await.unwrap(), Some(12));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_invalidation_of_another_tag_costs_a_run_nothing() {
    let runs = Runs::default();
    alone(async {
        let late = async {
            sleep(Duration::from_millis(500)).await;
            FmCacheManager::invalidate_tag("user:2").await.unwrap();
            tagged(1, runs.clone()).await
        };
        assert_eq!(join!(tagged(1, runs.clone()), late), (11, 11));
        assert_eq!(tagged::peek(1).await.unwrap(), Some(11));
    })
    .await;
}
