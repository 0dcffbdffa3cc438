//! Taking entries away, so that runs under way anywhere cannot bring them back.

use std::time::Duration;

use memory_core::{
    FmError,
    backend::{Group, RemoteKey},
};

use crate::{
    clock::millis,
    generation::Generation,
    life,
    link::Link,
    names::Names,
    scripts::{self, Call},
};

/// How many keys are removed in one step.
pub(crate) const STEP: usize = 500;

/// Removes entries in one round trip and raises their generations; how many went.
pub(crate) async fn remove(
    names: &Names,
    link: &Link,
    keys: impl Iterator<Item = &RemoteKey>,
    limit: Duration,
) -> Result<u64, FmError> {
    let generation = Generation::fresh();
    let calls: Vec<Call> = keys
        .map(|key| {
            Call::new(&scripts::REMOVE)
                .key(key.text.as_bytes())
                .key(names.tombstone(&key.text))
                .argument(generation.as_bytes())
                .argument(millis(life::TOMBSTONE).to_string())
        })
        .collect();
    let answers = scripts::run(link, &calls, limit).await?;
    answers.iter().map(|answer| scripts::number(link, answer)).sum()
}

/// Raises the generation of a group: from here on none of its entries can be seen.
pub(crate) async fn raise(names: &Names, link: &Link, group: &Group, limit: Duration) -> Result<(), FmError> {
    let call = Call::new(&scripts::RAISE)
        .key(names.generation(group))
        .argument(Generation::fresh().as_bytes())
        .argument(millis(life::LONGEST).to_string());
    let answers = scripts::run(link, &[call], limit).await?;
    answers.iter().try_for_each(|answer| scripts::number(link, answer).map(drop))
}
