//! Writing entries, unless something was invalidated since their runs began.

use memory_core::{
    FmError,
    backend::{RemoteWrite, Written},
};

use crate::{
    clock::millis,
    doubt::WRITE_VALIDITY,
    frame,
    generation::{Generation, Generations},
    life,
    link::Link,
    scripts::{self, Call},
    slot::Slot,
};

/// What is to be done with one write.
pub(crate) enum Plan {
    /// Known without asking.
    Settled(Written),
    /// The server decides.
    Send(Call),
}

/// Decides what can be decided here. The calls of a plan are good for [`WRITE_VALIDITY`].
pub(crate) fn plan(slot: &Slot, write: &RemoteWrite) -> Plan {
    if write.payload.len() > slot.settings.payload_limit {
        return Plan::Settled(Written::TooLarge);
    }
    let Some(tail) = frame::tail(&write.key.text, &write.payload) else { return Plan::Settled(Written::TooLarge) };
    let expected = match &write.stamp {
        None => None,
        Some(stamp) => match Generations::from_stamp(stamp) {
            Some(noted) if !is_forgotten(slot, &noted) => Some(noted),
            _ => return Plan::Settled(Written::Outdated),
        },
    };
    Plan::Send(call(slot, write, tail, expected))
}

/// Sends the planned writes in one round trip; the answers are in the order of the plans.
pub(crate) async fn send(slot: &Slot, link: &Link, plans: Vec<Plan>) -> Result<Vec<Written>, FmError> {
    let mut outcomes = Vec::with_capacity(plans.len());
    let mut calls = Vec::new();
    for plan in plans {
        outcomes.push(match plan {
            Plan::Settled(outcome) => Some(outcome),
            Plan::Send(call) => {
                calls.push(call);
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

/// Whether so much time has passed since the run began that removals may have been forgotten in Redis.
fn is_forgotten(slot: &Slot, noted: &Generations) -> bool {
    let remembered = millis(life::TOMBSTONE) - millis(2 * WRITE_VALIDITY);
    slot.clock.now_ms().saturating_sub(noted.read_ms) > remembered
}

fn call(slot: &Slot, write: &RemoteWrite, tail: Vec<u8>, expected: Option<Generations>) -> Call {
    let mut call = Call::new(&scripts::STORE)
        .key(write.key.text.as_bytes())
        .key(slot.names.tombstone(&write.key.text))
        .key(slot.names.everything());
    if let Some(namespace) = &write.key.namespace {
        call = call.key(slot.names.namespace(namespace));
    }
    call = call
        .argument((slot.clock.real_ms() + millis(WRITE_VALIDITY)).to_string())
        .argument(Generation::fresh().as_bytes())
        .argument(millis(life::TOMBSTONE).to_string())
        .argument(millis(life::LONGEST).to_string())
        .argument(write.life.map_or_else(String::new, |life| life::in_millis(life).to_string()))
        .argument(*frame::MAGIC)
        .argument(tail);
    let Some(expected) = expected else { return call };
    call = call.argument(expected.key.as_bytes()).argument(expected.everything.as_bytes());
    if write.key.namespace.is_some() {
        call = call.argument(expected.namespace.as_bytes());
    }
    call
}
