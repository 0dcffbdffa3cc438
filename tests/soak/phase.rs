//! Some time in which everybody works: clients ask, entries are invalidated, Redis breaks; then everything heals.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    client::Client,
    faults::Rig,
    ledger::Ledger,
    plan::{Phase, Plan, Step},
    stop::Stop,
    sweep::{self, Hot},
    world::{Configuration, World},
};

const CLIENTS: u64 = 200;
const SWEEPERS: u64 = 4;
/// The longest time between two requests of one client, in milliseconds.
const PAUSE: u64 = 400;

/// How long it took until Redis was used again.
pub(crate) async fn run(
    plan: &Plan,
    configuration: Configuration,
    phase: Phase,
    world: &mut World,
    ledger: &Arc<Ledger>,
) -> Duration {
    let (stop, start, before) = (Stop::default(), Instant::now(), ledger.asked());
    let workers = workers(plan, configuration, phase, world, ledger, &stop);
    if let Some(rig) = world.rig.take() {
        world.rig = Some(break_redis(rig, plan, configuration, phase).await);
    }
    while start.elapsed() < plan.length(configuration, phase) || ledger.asked() < before + plan.requests(phase) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It heals while it is used.
    let healed = world.healed().await;
    stop.set();
    workers.join_all().await;
    world.settled().await;
    healed
}

fn workers(
    plan: &Plan,
    configuration: Configuration,
    phase: Phase,
    world: &World,
    ledger: &Arc<Ledger>,
    stop: &Stop,
) -> JoinSet<()> {
    let rng = |who| plan.rng(configuration, phase, who);
    let hot = Hot::new(&mut rng(0));
    let client = Client {
        http: reqwest::Client::builder().no_proxy().build().expect("a client"),
        services: Arc::clone(&world.services),
        ledger: Arc::clone(ledger),
        hot: hot.clone(),
        pause: PAUSE,
    };
    let mut workers: JoinSet<()> = (1..=CLIENTS).map(|who| client.clone().run(stop.clone(), rng(who))).collect();
    for who in 0..SWEEPERS {
        let (service, rng) = (who as usize % world.caches.len(), rng(1000 + who));
        let cache = world.caches[service].clone();
        workers.spawn(sweep::run(cache, service, hot.clone(), Arc::clone(ledger), stop.clone(), rng));
    }
    workers
}

/// In a thread of its own: it waits for processes.
async fn break_redis(mut rig: Rig, plan: &Plan, configuration: Configuration, phase: Phase) -> Rig {
    let script: Vec<Step> = plan.script(configuration, phase);
    let mut rng = plan.rng(configuration, phase, 2000);
    let suffering = move || {
        for (fault, length, peace) in script {
            println!("  {fault:?} for {length:?}");
            rig.suffer(fault, length, &mut rng);
            thread::sleep(peace);
        }
        rig
    };
    tokio::task::spawn_blocking(suffering).await.expect("Redis can be broken")
}
