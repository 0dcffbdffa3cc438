//! What goes wrong, and when.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    history::What,
    world::{Alive, World},
};
use crate::test_util::redis::{Partition, between};

/// Does harm until it is aborted.
pub(super) async fn strike(world: Arc<World>) {
    let Some(pace) = world.plan.faults.clone() else { return };
    let mut random = world.random(7, 7);
    loop {
        sleep(between(&mut random, pace.clone())).await;
        let node = random.usize(..world.plan.memory.len());
        let Some(victim) = world.alive(node).filter(|victim| !victim.has_crashed()) else { continue };
        match random.u32(..100) {
            0..35 => partition(victim, &mut random),
            35..50 => break_bus(&victim),
            50..64 => slow_down(victim, world.plan.slow, &mut random),
            64..74 => victim.crash(),
            74..79 => restart(&world),
            79..87 => world.redis.evict(random.usize(..)),
            _ => shift_clock(&victim, world.plan.skew, &mut random),
        }
    }
}

/// Nothing is wrong from now on.
pub(super) fn heal(world: &World) {
    for alive in world.everybody() {
        alive.node.partition(Partition::None);
        alive.node.slow(0.0, Duration::from_millis(1));
    }
    world.history.note(None, What::Fault("everything works from now on".to_owned()));
}

fn partition(victim: Alive, random: &mut fastrand::Rng) {
    let partition = match random.u32(..3) {
        0 => Partition::Requests,
        1 => Partition::Replies,
        _ => Partition::Both,
    };
    let length = between(random, Duration::from_millis(5)..Duration::from_millis(900));
    note(&victim, format!("partition for {length:?}: {partition:?}"));
    victim.node.partition(partition);
    tokio::spawn(async move {
        sleep(length).await;
        victim.node.partition(Partition::None);
        note(&victim, "the partition ends".to_owned());
    });
}

fn break_bus(victim: &Alive) {
    victim.node.break_bus();
}

fn slow_down(victim: Alive, usual: f64, random: &mut fastrand::Rng) {
    let length = between(random, Duration::from_millis(50)..Duration::from_millis(900));
    note(&victim, format!("slow for {length:?}"));
    let slowest = Duration::from_millis(400);
    victim.node.slow(0.4, slowest);
    tokio::spawn(async move {
        sleep(length).await;
        victim.node.slow(usual, slowest);
    });
}

fn restart(world: &World) {
    world.history.note(None, What::Fault("the store restarts empty".to_owned()));
    for alive in world.everybody() {
        alive.node.break_bus();
    }
    world.redis.restart();
}

fn shift_clock(victim: &Alive, most: i64, random: &mut fastrand::Rng) {
    let milliseconds = random.i64(-most..=most);
    note(victim, format!("the clock is off by {milliseconds} ms"));
    victim.node.clock_error(milliseconds);
}

fn note(victim: &Alive, fault: String) {
    victim.recorder.note(What::Fault(fault));
}
