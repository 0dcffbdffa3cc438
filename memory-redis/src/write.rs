//! Writing entries, unless something was invalidated since their runs began.

use std::sync::Arc;

use memory_core::{
    FmError,
    backend::{Group, RemoteWrite, Written},
};

use crate::{
    clock::millis,
    doubt::WRITE_VALIDITY,
    frame,
    generation::{Generation, Noted},
    groups::{self, Groups},
    life,
    link::Link,
    message,
    moment::{Moment, fresh_incarnation},
    scripts::{self, Call},
    slot::Slot,
};

/// Writes in one round trip, with one more before it where keys lie on different nodes and something is to be known
/// of groups; the answers are in the order of the writes.
pub(crate) async fn write(slot: &Slot, link: &Link, writes: &[RemoteWrite]) -> Result<Vec<Written>, FmError> {
    let mut plans: Vec<Plan<'_>> = writes.iter().map(|write| plan(slot, write)).collect();
    if slot.settings.spread {
        look_ahead(slot, link, &mut plans).await?;
    }
    send(slot, link, plans).await
}

/// What is to be done with one write.
enum Plan<'a> {
    /// Known without asking.
    Settled(Written),
    /// The server decides.
    Ask(Ask<'a>),
}

struct Ask<'a> {
    write: &'a RemoteWrite,
    tail: Vec<u8>,
    /// What the run noted; `None` for a write by hand.
    noted: Option<Noted>,
    /// When the run began; `None` where the server tells.
    began: Option<Moment>,
}

/// Decides what can be decided here.
fn plan<'a>(slot: &Slot, write: &'a RemoteWrite) -> Plan<'a> {
    if write.payload.len() > slot.settings.payload_limit {
        return Plan::Settled(Written::TooLarge);
    }
    let Some(tail) = frame::tail(write) else { return Plan::Settled(Written::TooLarge) };
    let Some(stamp) = &write.stamp else { return Plan::Ask(Ask { write, tail, noted: None, began: None }) };
    match Noted::from_stamp(stamp) {
        Some(noted) if noted.clock.is_some() && !is_forgotten(slot, &noted) => {
            Plan::Ask(Ask { write, tail, noted: Some(noted), began: noted.clock })
        }
        _ => Plan::Settled(Written::Outdated),
    }
}

/// Whether so much time has passed since the run began that removals may have been forgotten in Redis.
fn is_forgotten(slot: &Slot, noted: &Noted) -> bool {
    let remembered = millis(life::TOMBSTONE) - millis(2 * WRITE_VALIDITY);
    slot.clock.now_ms().saturating_sub(noted.read_ms) > remembered
}

/// Does for one node what the script can't do on another one: begins the groups that no read has begun, and finds the
/// moment for what is written by hand. An invalidation that comes later than this look is seen by every read.
async fn look_ahead(slot: &Slot, link: &Link, plans: &mut [Plan<'_>]) -> Result<(), FmError> {
    let mut groups = Groups::new();
    let places: Vec<Vec<usize>> = plans.iter().map(|plan| unknown_groups(slot, plan, &mut groups)).collect();
    if groups.len() == 0 {
        return Ok(());
    }
    groups.begin(slot, link).await?;
    for (plan, places) in plans.iter_mut().zip(places) {
        let Plan::Ask(ask) = plan else { continue };
        match ask.began {
            None => ask.began = groups.clock(),
            Some(began) if groups.admit(began, places) => {}
            Some(_) => *plan = Plan::Settled(Written::Outdated),
        }
    }
    Ok(())
}

/// The groups of a write of which its run knows nothing.
fn unknown_groups(slot: &Slot, plan: &Plan<'_>, groups: &mut Groups) -> Vec<usize> {
    let Plan::Ask(ask) = plan else { return Vec::new() };
    let known = if ask.noted.is_some() { groups::of_key(&ask.write.key).count() } else { 0 };
    guards(ask.write).skip(known).map(|group| groups.add(slot, group, ask.write.life)).collect()
}

/// Sends the planned writes in one round trip; the answers are in the order of the plans.
async fn send(slot: &Slot, link: &Link, plans: Vec<Plan<'_>>) -> Result<Vec<Written>, FmError> {
    let mut outcomes = Vec::with_capacity(plans.len());
    let mut calls = Vec::new();
    for plan in plans {
        outcomes.push(match plan {
            Plan::Settled(outcome) => Some(outcome),
            Plan::Ask(ask) => {
                calls.push(call(slot, ask));
                None
            }
        });
    }
    if calls.is_empty() {
        return Ok(outcomes.into_iter().flatten().collect());
    }
    let doubt = slot.doubts.sending();
    let answers = scripts::run(link, &calls, slot.settings.response_timeout).await?;
    doubt.answered();
    let mut answers = answers.into_iter();
    let mut outcome = |settled: Option<Written>| match settled {
        Some(outcome) => Ok(outcome),
        None => match scripts::number(link, &answers.next().unwrap_or_default())? {
            0 => Ok(Written::Outdated),
            _ => Ok(Written::Stored),
        },
    };
    outcomes.into_iter().map(&mut outcome).collect()
}

/// The call of the script; it is good for [`WRITE_VALIDITY`].
fn call(slot: &Slot, ask: Ask<'_>) -> Call {
    let (write, names) = (ask.write, &slot.names);
    let mut call = Call::new(&scripts::STORE)
        .key(write.key.text.as_bytes())
        .key(names.tombstone(&write.key.text))
        .key(names.lease(&write.key.text))
        .argument((slot.clock.real_ms() + millis(WRITE_VALIDITY)).to_string())
        .argument(ask.noted.map_or(Vec::new(), |noted| noted.key.as_bytes().to_vec()))
        .argument(ask.began.map_or(Vec::new(), Moment::to_bytes))
        .argument(write.life.map_or_else(String::new, |life| life::in_millis(life).to_string()))
        .argument(*frame::MAGIC)
        .argument(ask.tail)
        .argument(names.bus())
        .argument(message::of_key(&slot.sender, &write.key))
        .argument(Generation::fresh().as_bytes())
        .argument(life::in_millis(life::TOMBSTONE).to_string());
    if slot.settings.spread {
        return call;
    }
    call = call.key(names.clock()).argument(fresh_incarnation()).argument(life::in_millis(life::LONGEST).to_string());
    for group in guards(write) {
        call = call.key(names.group(&group)).argument(life::of_group(&group, write.life).to_string());
    }
    call
}

/// The groups that guard a write: those of its key come first.
fn guards(write: &RemoteWrite) -> impl Iterator<Item = Group> {
    groups::of_key(&write.key).chain(write.tags.iter().map(|tag| Group::Tag(Arc::clone(tag))))
}
