//! Two users, never mixed: a service under hundreds of clients, while its bodies fail, its clients go away, its entries are
//! invalidated and its Redis breaks. And what it holds stays level.
//!
//! Prints its seed; see [`plan`] for the environment. `tests/soak.sh` is the long one.

#[path = "../support/mod.rs"]
mod support;

mod call;
mod client;
mod faults;
mod ledger;
mod levels;
mod order;
mod phase;
mod plan;
mod service;
mod stop;
mod sweep;
mod world;

use std::{panic, sync::Arc, time::Instant};

use memory_core::FmStats;

use crate::{
    ledger::Ledger,
    levels::Levels,
    plan::{Phase, Plan},
    world::{Configuration, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_users_are_never_mixed_and_everything_stays_level() {
    silence_planned_panics();
    let (plan, start) = (Plan::from_env(), Instant::now());
    println!("FM_SOAK_SEED={}", plan.seed);
    let (mut requests, mut violations, mut seen) = (0, Vec::new(), Vec::new());
    for configuration in Configuration::ALL {
        let ledger = soak(&plan, configuration, &mut seen).await;
        requests += ledger.asked();
        violations.extend(ledger.violations().into_iter().map(|what| format!("{configuration:?}: {what}")));
    }
    println!("{requests} requests in {:.1?}", start.elapsed());
    assert!(violations.is_empty(), "FM_SOAK_SEED={}: {violations:#?}", plan.seed);
    assert!(requests >= 10_000, "{requests}");
    check_that_it_worked(&seen);
}

async fn soak(plan: &Plan, configuration: Configuration, seen: &mut Vec<FmStats>) -> Arc<Ledger> {
    let (start, ledger) = (Instant::now(), Arc::new(Ledger::default()));
    let mut world = World::start(configuration).await;
    let first = world.healed().await;
    let warmed = phase::run(plan, configuration, Phase::WarmUp, &mut world, &ledger).await;
    let warm = Levels::at_rest(&world).await;
    let healed = phase::run(plan, configuration, Phase::Main, &mut world, &ledger).await;
    let end = Levels::at_rest(&world).await;
    println!("{configuration:?}: {}{:.1?}", ledger.counts, start.elapsed());
    println!("  connected in {first:.1?}, healed in {warmed:.1?} and {healed:.1?}\n  {warm:?}\n  {end:?}");
    if let Some(grown) = end.grown(warm) {
        ledger.violation(grown);
    }
    for cache in &world.caches {
        seen.push(cache.stats());
        tell(&cache.stats());
    }
    world.end().await;
    ledger
}

fn tell(stats: &FmStats) {
    let FmStats { hits, remote_hits, stale_hits, coalesced, runs, refreshes, failures, timeouts, errors, .. } = stats;
    let FmStats { outdated, undecodable, evictions, .. } = stats;
    println!(
        "  {hits} hits, {remote_hits} of Redis, {stale_hits} stale, {coalesced} coalesced, {runs} runs, {refreshes} refreshes, \
         {failures} failures, {timeouts} timeouts, {errors} errors of Redis, {outdated} outdated, {undecodable} undecodable, \
         {evictions} evictions"
    );
}

/// Where nothing is cached, nothing is mixed.
fn check_that_it_worked(seen: &[FmStats]) {
    let sum = |count: fn(&FmStats) -> u64| seen.iter().map(count).sum::<u64>();
    assert!(seen.iter().all(|stats| stats.hits > 0 && stats.coalesced > 0), "{seen:?}");
    assert!(seen[1..].iter().all(|stats| stats.remote_hits > 0 && stats.errors > 0), "{seen:?}");
    let rare = [sum(|stats| stats.stale_hits), sum(|stats| stats.refreshes), sum(|stats| stats.timeouts)];
    assert!(rare.iter().all(|count| *count > 0), "{rare:?}");
    let damaged = [sum(|stats| stats.undecodable), sum(|stats| stats.outdated), sum(|stats| stats.evictions)];
    assert!(damaged.iter().all(|count| *count > 0), "{damaged:?}");
}

/// Bodies panic by the hundred; other panics are told.
fn silence_planned_panics() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<String>().is_none_or(|text| text != order::PLANNED) {
            tell(info);
        }
    }));
}
