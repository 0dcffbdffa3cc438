//! Taking entries away, so that runs under way anywhere cannot bring them back.

use std::time::Duration;

use memory_core::{
    FmError,
    backend::{Group, RemoteKey},
};

use crate::{
    failure,
    generation::Generation,
    life,
    link::Link,
    message,
    moment::fresh_incarnation,
    scripts::{self, Call},
    slot::Slot,
};

/// How many keys are removed in one step.
pub(crate) const STEP: usize = 500;

/// Removes entries in one round trip and raises their generations; how many went.
pub(crate) async fn remove(
    slot: &Slot,
    link: &Link,
    keys: impl Iterator<Item = &RemoteKey>,
    limit: Duration,
) -> Result<u64, FmError> {
    let generation = Generation::fresh();
    let calls: Vec<Call> = keys
        .map(|key| {
            Call::new(&scripts::REMOVE)
                .key(key.text.as_bytes())
                .key(slot.names.tombstone(&key.text))
                .key(slot.names.lease(&key.text))
                .argument(generation.as_bytes())
                .argument(life::in_millis(life::TOMBSTONE).to_string())
                .argument(slot.names.bus())
                .argument(message::of_key(&slot.sender, key))
        })
        .collect();
    let answers = scripts::run(link, &calls, limit).await?;
    answers.iter().map(|answer| scripts::number(link, answer)).sum()
}

/// Invalidates a group: from here on none of its entries can be seen.
pub(crate) async fn raise(slot: &Slot, link: &Link, group: &Group, limit: Duration) -> Result<(), FmError> {
    let call = Call::new(&scripts::RAISE)
        .key(slot.names.clock())
        .key(slot.names.group(group))
        .argument(fresh_incarnation())
        .argument(life::in_millis(life::LONGEST).to_string())
        .argument(life::of_group(group, Some(Duration::ZERO)).to_string())
        .argument(slot.names.bus())
        .argument(message::of_group(&slot.sender, group));
    let answers = scripts::run(link, &[call], limit).await?;
    answers.iter().try_for_each(|answer| failure::answered(answer).map(drop))
}
