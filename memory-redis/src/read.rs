//! Reading entries with the generations that guard them, in one round trip.

use std::{sync::Arc, time::Duration};

use memory_core::{
    FmError,
    backend::{Fetched, RemoteKey},
};
use redis::{Pipeline, Value};

use crate::{
    clock::millis,
    failure, frame,
    generation::{Generation, Generations},
    life,
    link::Link,
    scripts::{self, Call},
    slot::Slot,
};

/// Reads keys; the answers are in the order of the keys.
pub(crate) async fn read(slot: &Slot, link: &Link, keys: &[RemoteKey]) -> Result<Vec<Fetched>, FmError> {
    let limit = slot.settings.response_timeout;
    let namespaces = namespaces(keys);
    let read_ms = slot.clock.now_ms();
    let mut answers = mget(slot, link, keys, &namespaces).await?.into_iter();
    let mut groups: Vec<Generation> =
        answers.by_ref().take(1 + namespaces.len()).map(|answer| generation(&answer)).collect();
    if groups.iter().any(Generation::is_none) {
        begin(slot, link, &namespaces, &mut groups, limit).await?;
    }
    let mut fetched = Vec::with_capacity(keys.len());
    let mut foreign = false;
    for key in keys {
        let (entry, tombstone) = (answers.next().unwrap_or_default(), answers.next().unwrap_or_default());
        let namespace = key.namespace.as_ref().and_then(|name| namespaces.iter().position(|other| other == name));
        let generations = Generations {
            key: generation(&tombstone),
            everything: groups[0],
            namespace: namespace.map_or(Generation::NONE, |at| groups[1 + at]),
            read_ms,
        };
        let payload = match payload(entry, key, &generations) {
            Held::Current(payload) => Some(payload),
            Held::Nothing => None,
            Held::Foreign => {
                foreign = true;
                None
            }
        };
        fetched.push(Fetched { payload, stamp: generations.to_stamp() });
    }
    if foreign {
        prove(link, limit).await?;
    }
    Ok(fetched)
}

/// The namespaces of the keys, each once.
fn namespaces(keys: &[RemoteKey]) -> Vec<Arc<str>> {
    let mut namespaces: Vec<Arc<str>> = Vec::new();
    for namespace in keys.iter().filter_map(|key| key.namespace.as_ref()) {
        if !namespaces.contains(namespace) {
            namespaces.push(Arc::clone(namespace));
        }
    }
    namespaces
}

/// The generations of everything and of the namespaces, then each entry and its tombstone.
async fn mget(slot: &Slot, link: &Link, keys: &[RemoteKey], namespaces: &[Arc<str>]) -> Result<Vec<Value>, FmError> {
    let mut request = Pipeline::new();
    request.cmd("MGET").arg(slot.names.everything());
    for namespace in namespaces {
        request.arg(slot.names.namespace(namespace));
    }
    for key in keys {
        request.arg(&*key.text).arg(slot.names.tombstone(&key.text));
    }
    let answers = link.ask(&request, slot.settings.response_timeout).await?;
    match answers.into_iter().next() {
        Some(Value::Array(values)) if values.len() == 1 + namespaces.len() + 2 * keys.len() => Ok(values),
        Some(Value::ServerError(error)) => Err(failure::refused(&error)),
        _ => Err(link.out_of_step()),
    }
}

/// Begins the generations that Redis does not know (never used, evicted, flushed), so that none is ever "none": what
/// was stored under one that is lost can never be seen again.
async fn begin(
    slot: &Slot,
    link: &Link,
    namespaces: &[Arc<str>],
    groups: &mut [Generation],
    limit: Duration,
) -> Result<(), FmError> {
    let missing: Vec<usize> = (0..groups.len()).filter(|at| groups[*at].is_none()).collect();
    let calls: Vec<Call> = missing
        .iter()
        .map(|at| {
            let name = match at.checked_sub(1) {
                None => slot.names.everything().to_owned(),
                Some(at) => slot.names.namespace(&namespaces[at]),
            };
            Call::new(&scripts::ENSURE)
                .key(name)
                .argument(Generation::fresh().as_bytes())
                .argument(millis(life::LONGEST).to_string())
        })
        .collect();
    let answers = scripts::run(link, &calls, limit).await?;
    for (at, answer) in missing.into_iter().zip(answers) {
        // A server that can't write now (full, read-only) leaves it at none: nothing can be stored, nothing is seen.
        groups[at] = generation(&answer);
    }
    Ok(())
}

fn generation(answer: &Value) -> Generation {
    match answer {
        Value::BulkString(bytes) => Generation::from_bytes(bytes),
        _ => Generation::NONE,
    }
}

/// What lies under a key.
enum Held {
    /// A payload that may be answered.
    Current(Vec<u8>),
    /// Nothing, something of others, or something that was invalidated since it was stored.
    Nothing,
    /// A frame of another key.
    Foreign,
}

fn payload(entry: Value, key: &RemoteKey, generations: &Generations) -> Held {
    let Value::BulkString(mut bytes) = entry else { return Held::Nothing };
    let Some(frame) = frame::parse(&bytes) else { return Held::Nothing };
    if frame.key != key.text.as_bytes() {
        return Held::Foreign;
    }
    let current = !generations.everything.is_none()
        && frame.everything == generations.everything
        && frame.namespace == generations.namespace;
    if !current {
        return Held::Nothing;
    }
    let header = bytes.len() - frame.payload.len();
    Held::Current(bytes.split_off(header))
}

/// Another key's value has come: either it lies there (copied by somebody), or the answers of the connection are out
/// of step. An echo tells.
async fn prove(link: &Link, limit: Duration) -> Result<(), FmError> {
    let nonce = Generation::fresh();
    let mut echo = Pipeline::new();
    echo.cmd("PING").arg(nonce.as_bytes());
    match &link.ask(&echo, limit).await?[..] {
        [Value::BulkString(echoed)] if echoed == nonce.as_bytes() => Ok(()),
        _ => Err(link.out_of_step()),
    }
}
