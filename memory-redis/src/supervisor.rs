//! The one background task of a store: makes connections, admits them, watches over them, and never gives up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use memory_core::FmError;
use redis::{Pipeline, Value};

use crate::{failure, generation::Generation, link::Link, pace::Pace, real_time, removal, scan, scripts, slot::Slot};

const HEARTBEAT: Duration = Duration::from_millis(500);
const HEARTBEAT_LIMIT: Duration = Duration::from_millis(250);
/// So many heartbeats in a row without an answer condemn a connection.
const MISSES: u32 = 2;
/// For making a connection and logging in, and for each step until it is admitted.
const ADMISSION_LIMIT: Duration = Duration::from_secs(1);

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
    let dialled = real_time::within(ADMISSION_LIMIT, slot.topology.dial()).await;
    let connection = dialled.map_err(|_| failure::too_slow(ADMISSION_LIMIT))?.map_err(failure::driver)?;
    let link = Link::new(connection);
    if let Health::Unwell(refusal) = greet(slot, &link, ADMISSION_LIMIT).await? {
        return Err(refusal);
    }
    scripts::load(&link, ADMISSION_LIMIT).await?;
    real_time::sleep(slot.doubts.left()).await;
    slot.join(&link);
    loop {
        replay(slot, &link).await?;
        if slot.admit(&link) {
            return Ok(link);
        }
    }
}

/// Watches a connection until it must be given up, and says why.
async fn watch_over(slot: &Arc<Slot>, link: &Arc<Link>) -> FmError {
    let mut missed = 0;
    loop {
        sweep_leftovers(slot, link);
        tokio::select! {
            reason = link.condemned() => return reason,
            () = real_time::sleep(HEARTBEAT) => {}
        }
        match greet(slot, link, HEARTBEAT_LIMIT).await {
            Ok(_) => missed = 0,
            Err(_) if missed + 1 < MISSES => missed += 1,
            Err(silence) => link.condemn(silence),
        }
    }
}

/// What a server that answers says of itself.
enum Health {
    Well,
    /// It is alive, but gives errors: it loads, say.
    Unwell(FmError),
}

/// Asks whether the connection is alive and its answers are in step, and what time it is there.
async fn greet(slot: &Slot, link: &Link, limit: Duration) -> Result<Health, FmError> {
    let nonce = Generation::fresh();
    let mut greeting = Pipeline::new();
    greeting.cmd("PING").arg(nonce.as_bytes()).cmd("TIME");
    let start = Instant::now();
    let answers = link.ask(&greeting, limit).await?;
    if let Some(refusal) = answers.iter().find_map(|answer| failure::answered(answer).err()) {
        return Ok(Health::Unwell(refusal));
    }
    match (&answers[0], time(&answers[1])) {
        (Value::BulkString(echo), Some(time)) if echo == nonce.as_bytes() => slot.clock.note(time, start.elapsed()),
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
async fn replay(slot: &Slot, link: &Link) -> Result<(), FmError> {
    let backlog = slot.journal().backlog();
    for (group, _) in &backlog.groups {
        removal::raise(slot, link, group, ADMISSION_LIMIT).await?;
    }
    for step in backlog.keys.chunks(removal::STEP) {
        let keys = step.iter().map(|(key, _)| key);
        removal::remove(slot, link, keys, ADMISSION_LIMIT).await?;
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
