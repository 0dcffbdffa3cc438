//! How a memorized service is tested: each test with a cache of its own, on a clock that is moved by hand.
//!
//! `cargo run --example testing` runs what follows as a program; in a crate, each function would be a
//! `#[tokio::test(start_paused = true)]`. The feature `test-util` of `tokio` (a dev-dependency) pauses the clock.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use memory_core::{FmCache, FmCacheManager, FmError, FmMemoryBackend, memorize};
use tokio::time::{advance, sleep};

static RUNS: AtomicU32 = AtomicU32::new(0);

/// The function under test: an hour of work, cached for a day.
#[memorize(expire = 86_400)]
async fn report(customer: u32) -> Result<String, FmError> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    sleep(Duration::from_secs(3600)).await;
    Ok(format!("report of {customer}"))
}

fn cache() -> FmCache {
    FmCacheManager::builder(FmMemoryBackend::new()).prefix("a-test").build().expect("settings that can work")
}

/// In `scope`, the cache is the one that memorized functions and `FmCacheManager` use, also in the tasks that runs are.
async fn tests_side_by_side_do_not_meet() {
    let (one, other) = (cache(), cache());
    one.scope(async { report::put(1, Ok("made up".to_owned())).await }).await.expect("memory stores");
    let in_one = one.scope(report::peek(1)).await.expect("memory answers");
    let in_other = other.scope(report::peek(1)).await.expect("memory answers");
    assert!(in_one.is_some() && in_other.is_none());
}

/// Under paused time, sleeps and expiries are over as soon as nothing else is left to do: this takes no time.
async fn an_entry_expires_after_its_day() {
    let test = async {
        report(2).await.expect("it can't fail");
        report(2).await.expect("it can't fail");
        assert_eq!(RUNS.swap(0, Ordering::Relaxed), 1, "the second call is a hit");
        advance(Duration::from_secs(86_400)).await;
        report(2).await.expect("it can't fail");
        assert_eq!(RUNS.swap(0, Ordering::Relaxed), 1, "a day later it is not");
    };
    cache().scope(test).await;
}

/// The caller goes away, the run goes on: `settle` waits for it.
async fn a_run_outlives_its_caller() {
    let cache = cache();
    let test = async {
        let impatient = tokio::time::timeout(Duration::from_secs(1), report(3)).await;
        assert!(impatient.is_err());
        FmCacheManager::settle().await;
        assert!(report::peek(3).await.expect("memory answers").is_some());
    };
    cache.scope(test).await;
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.runs, stats.stores), (1, 1, 1), "each cache counts for itself");
}

/// A task that the test itself spawns is out of the scope, unless it is given one.
async fn a_task_needs_a_scope_of_its_own() {
    let cache = cache();
    let inside = cache.clone();
    let spawned = tokio::spawn(async move { inside.scope(report(4)).await });
    spawned.await.expect("no panic").expect("it can't fail");
    assert!(cache.scope(report::peek(4)).await.expect("memory answers").is_some());
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let (began, clock) = (Instant::now(), tokio::time::Instant::now());
    tests_side_by_side_do_not_meet().await;
    println!("Two caches side by side kept apart what the same call returned.");
    an_entry_expires_after_its_day().await;
    println!("An entry was there for its day, and not after it.");
    a_run_outlives_its_caller().await;
    println!("A run went on when its caller went away, and was stored.");
    a_task_needs_a_scope_of_its_own().await;
    println!("A task of its own was given the scope.");
    println!("{:.0} hours went by in {:.1?}.", clock.elapsed().as_secs_f64() / 3600.0, began.elapsed());
}
