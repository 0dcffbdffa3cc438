//! The one background task of a store: makes connections, admits them, watches over them, and never gives up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use memory_core::FmError;
use redis::{Pipeline, Value};

use crate::{
    clock::ServerClock, failure, generation::Generation, journal::Backlog, link::Link, pace::Pace, real_time, removal,
    scan, scripts, slot::Slot,
};
#[cfg(feature = "cluster")]
use crate::{cluster::Cluster, keeper::Keeper, topology::Topology};

pub(crate) const HEARTBEAT: Duration = Duration::from_millis(500);
/// So many heartbeats in a row without an answer condemn a connection.
pub(crate) const MISSES: u32 = 2;
/// For making a connection and logging in, and for each step until it is admitted, except its greeting: a server that is
/// too slow for calls is of no use to them, so it is left alone until it answers a greeting as fast as a call wants to
/// be answered.
const ADMISSION_LIMIT: Duration = Duration::from_secs(1);

/// How often removals are made up for in one go while new ones come in.
#[cfg(feature = "cluster")]
const ROUNDS: usize = 10;

/// The supervisor's hold on its slot. When its runtime ends, or it panics, the slot learns that nobody watches.
pub(crate) struct Reign(Arc<Slot>);

impl Reign {
    pub(crate) fn over(slot: Arc<Slot>) -> Self {
        Self(slot)
    }
}

impl Drop for Reign {
    fn drop(&mut self) {
        self.0.idle();
    }
}

/// Keeps a connection in the slot for as long as the runtime lives.
pub(crate) async fn run(reign: Reign) {
    let slot = &reign.0;
    let mut pace = Pace::new();
    let mut outage = None;
    loop {
        pace.tried(Instant::now());
        let reason = match admit(slot).await {
            Ok(link) => {
                recovered(slot, outage.take());
                let since = Instant::now();
                let reason = watch_over(slot, &link).await;
                pace.lived(since.elapsed());
                reason
            }
            Err(reason) => reason,
        };
        tracing::debug!(redis = slot.topology.address(), error = %reason, "no connection to Redis");
        outage.get_or_insert_with(|| lost(slot, &reason));
        slot.fall(reason);
        real_time::sleep(pace.next(Instant::now())).await;
    }
}

/// Makes a connection and puts it to use once it has answered, and once everything that Redis has missed is made up
/// for.
async fn admit(slot: &Arc<Slot>) -> Result<Arc<Link>, FmError> {
    // Many servers are asked in two steps: where the others are, and then these.
    let limit = if slot.settings.spread { 2 * ADMISSION_LIMIT } else { ADMISSION_LIMIT };
    let dialled = real_time::within(limit, slot.topology.dial()).await;
    let link = dialled.map_err(|_| failure::too_slow(limit))??;
    if let Health::Unwell(refusal) = greet(Some(&slot.clock), &link, slot.settings.response_timeout).await? {
        return Err(refusal);
    }
    scripts::load(&link, ADMISSION_LIMIT).await?;
    if slot.admit_apart(&link) {
        return Ok(link);
    }
    real_time::sleep(slot.doubts.left()).await;
    slot.recall_all(&mut slot.journal());
    slot.join(&link);
    loop {
        let backlog = slot.journal().backlog();
        replay(slot, &link, backlog, ADMISSION_LIMIT).await?;
        if slot.admit(&link) {
            return Ok(link);
        }
    }
}

/// Watches a connection until it must be given up, and says why.
async fn watch_over(slot: &Arc<Slot>, link: &Arc<Link>) -> FmError {
    #[cfg(feature = "cluster")]
    if let (Topology::Cluster(seeds), Some(cluster)) = (&slot.topology, link.cluster()) {
        return watch_over_cluster(slot, link, cluster, Keeper::of(seeds)).await;
    }
    let mut missed = 0;
    loop {
        sweep_leftovers(slot, link);
        tokio::select! {
            reason = link.condemned() => return reason,
            () = real_time::sleep(HEARTBEAT) => {}
        }
        let (greeted, left_behind) =
            tokio::join!(greet(Some(&slot.clock), link, slot.settings.response_timeout), slot.topology.left_behind());
        if let Some(reason) = left_behind {
            link.condemn(reason);
        }
        match greeted {
            Ok(_) => missed = 0,
            Err(_) if missed + 1 < MISSES => missed += 1,
            Err(silence) => link.condemn(silence),
        }
    }
}

/// The same for a cluster, whose nodes come and go; it is given up only with the last of them.
#[cfg(feature = "cluster")]
async fn watch_over_cluster(
    slot: &Arc<Slot>,
    link: &Arc<Link>,
    cluster: &Arc<Cluster>,
    mut keeper: Keeper<'_>,
) -> FmError {
    loop {
        if let Err(reason) = keeper.beat(slot, cluster).await {
            link.condemn(reason);
        }
        // What can't be made up for yet stays set apart.
        let _ = make_up(slot, cluster).await;
        sweep_leftovers(slot, link);
        tokio::select! {
            reason = link.condemned() => return reason,
            () = keeper.rest(cluster) => {}
        }
    }
}

/// Makes up for the removals that nodes of a cluster have missed, where these can be reached.
#[cfg(feature = "cluster")]
async fn make_up(slot: &Slot, cluster: &Arc<Cluster>) -> Result<(), FmError> {
    if slot.within_reach(cluster).is_empty() {
        return Ok(());
    }
    real_time::sleep(slot.doubts.left()).await;
    let link = Link::to_all_of(cluster);
    for _ in 0..ROUNDS {
        // Only now, since what is asked for again in the meantime must be done again.
        let backlog = slot.within_reach(cluster);
        if backlog.is_empty() {
            break;
        }
        let outcome = replay(slot, &link, backlog, slot.settings.response_timeout).await;
        slot.settle(cluster);
        outcome?;
    }
    Ok(())
}

/// What a server that answers says of itself.
pub(crate) enum Health {
    Well,
    /// It is alive, but gives errors: it loads, say.
    Unwell(FmError),
}

/// Asks whether the connection is alive and its answers are in step, and what time it is there.
///
/// What time it is goes to `clock`.
pub(crate) async fn greet(clock: Option<&ServerClock>, link: &Link, limit: Duration) -> Result<Health, FmError> {
    let nonce = Generation::fresh();
    let mut greeting = Pipeline::new();
    greeting.cmd("PING").arg(nonce.as_bytes()).cmd("TIME");
    let start = Instant::now();
    let answers = link.ask(&greeting, limit).await?;
    if let Some(refusal) = answers.iter().find_map(|answer| failure::answered(answer).err()) {
        return Ok(Health::Unwell(refusal));
    }
    match (&answers[0], time(&answers[1])) {
        (Value::BulkString(echo), Some(time)) if echo == nonce.as_bytes() => {
            if let Some(clock) = clock {
                clock.note(time, start.elapsed());
            }
        }
        _ => return Err(link.out_of_step()),
    }
    Ok(Health::Well)
}

/// Seconds and microseconds since the Unix epoch, as two strings of digits.
fn time(answer: &Value) -> Option<Duration> {
    let Value::Array(parts) = answer else { return None };
    let mut numbers = parts.iter().map(|part| match part {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    });
    let (seconds, micros) = (numbers.next()??, numbers.next()??);
    Some(Duration::from_secs(seconds) + Duration::from_micros(micros))
}

/// Makes up for the removals that Redis has missed.
async fn replay(slot: &Slot, link: &Link, backlog: Backlog, limit: Duration) -> Result<(), FmError> {
    slot.remember(backlog.removals());
    for (group, _) in &backlog.groups {
        removal::raise(slot, link, group, limit).await?;
    }
    for step in backlog.keys.chunks(removal::STEP) {
        let keys = step.iter().map(|(key, _)| key);
        removal::remove(slot, link, keys, limit).await?;
    }
    let mut journal = slot.journal();
    journal.done(&backlog);
    for (group, _) in backlog.groups {
        journal.leave(group);
    }
    Ok(())
}

/// Reclaims, in the background, the space of groups whose generation was raised without that.
fn sweep_leftovers(slot: &Arc<Slot>, link: &Arc<Link>) {
    for group in slot.journal().take_leftovers() {
        let Some(start) = slot.names.start(&group) else { continue };
        let (slot, link) = (Arc::clone(slot), Arc::clone(link));
        tokio::spawn(async move {
            if scan::sweep(&link, &start).await.is_err() {
                slot.journal().leave(group);
            }
        });
    }
}

/// Says that an outage begins; gives the moment.
fn lost(slot: &Slot, reason: &FmError) -> Instant {
    tracing::warn!(
        redis = slot.topology.address(),
        error = %reason,
        "Redis cannot be used: going on without it until it can"
    );
    Instant::now()
}

fn recovered(slot: &Slot, outage: Option<Instant>) {
    match outage {
        Some(since) => {
            tracing::info!(redis = slot.topology.address(), outage = ?since.elapsed(), "Redis can be used again");
        }
        None => tracing::debug!(redis = slot.topology.address(), "connected to Redis"),
    }
}
