//! Reading entries with the generations that guard them, in one round trip.

use std::sync::Arc;

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
    names::Names,
    scripts::{self, Call},
    slot::Slot,
};

/// Reads keys; the answers are in the order of the keys.
pub(crate) async fn read(slot: &Slot, link: &Link, keys: &[RemoteKey]) -> Result<Vec<Fetched>, FmError> {
    let read_ms = slot.clock.now_ms();
    let mut groups = Groups::of(keys);
    let mut values = mget(slot, link, &groups, keys).await?.into_iter();
    groups.note(&mut values);
    groups.begin_missing(slot, link).await?;
    let mut fetched = Vec::with_capacity(keys.len());
    let mut foreign = false;
    for key in keys {
        let (entry, tombstone) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
        let generations = groups.guarding(key, &tombstone, read_ms);
        let held = held(entry, key, &generations);
        foreign |= matches!(held, Held::Foreign);
        let damaged = matches!(held, Held::Foreign | Held::Junk);
        let payload = if let Held::Current(payload) = held { Some(payload) } else { None };
        fetched.push(Fetched { payload, tags: Vec::new(), damaged, stamp: generations.to_stamp() });
    }
    if foreign {
        prove(slot, link).await?;
    }
    Ok(fetched)
}

/// The groups that the keys of one read are in: everything, and each of their namespaces once.
struct Groups {
    namespaces: Vec<Arc<str>>,
    /// That of everything, then those of the namespaces.
    generations: Vec<Generation>,
}

impl Groups {
    fn of(keys: &[RemoteKey]) -> Self {
        let mut namespaces: Vec<Arc<str>> = Vec::new();
        for namespace in keys.iter().filter_map(|key| key.namespace.as_ref()) {
            if !namespaces.contains(namespace) {
                namespaces.push(Arc::clone(namespace));
            }
        }
        Self { generations: vec![Generation::NONE; 1 + namespaces.len()], namespaces }
    }

    /// The names of the generations, in their order.
    fn names(&self, names: &Names) -> Vec<String> {
        let namespaces = self.namespaces.iter().map(|namespace| names.namespace(namespace));
        std::iter::once(names.everything().to_owned()).chain(namespaces).collect()
    }

    fn note(&mut self, values: &mut impl Iterator<Item = Value>) {
        for (known, value) in self.generations.iter_mut().zip(values) {
            *known = generation(&value);
        }
    }

    /// Begins the generations that Redis does not know (never used, evicted, flushed), so that none is ever "none":
    /// what was stored under one that is lost can never be seen again.
    async fn begin_missing(&mut self, slot: &Slot, link: &Link) -> Result<(), FmError> {
        if !self.generations.iter().any(Generation::is_none) {
            return Ok(());
        }
        let names = self.names(&slot.names);
        let (missing, calls): (Vec<&mut Generation>, Vec<Call>) = self
            .generations
            .iter_mut()
            .zip(names)
            .filter(|(known, _)| known.is_none())
            .map(|(known, name)| (known, begin(name)))
            .unzip();
        let answers = scripts::run(link, &calls, slot.settings.response_timeout).await?;
        for (known, answer) in missing.into_iter().zip(answers) {
            // A server that can't write now (full, read-only) leaves it at none: nothing can be stored or seen.
            *known = generation(&answer);
        }
        Ok(())
    }

    fn guarding(&self, key: &RemoteKey, tombstone: &Value, read_ms: u64) -> Generations {
        let place = key.namespace.as_ref().and_then(|name| self.namespaces.iter().position(|other| other == name));
        Generations {
            key: generation(tombstone),
            everything: self.generations[0],
            namespace: place.map_or(Generation::NONE, |at| self.generations[1 + at]),
            read_ms,
        }
    }
}

fn begin(name: String) -> Call {
    Call::new(&scripts::ENSURE)
        .key(name)
        .argument(Generation::fresh().as_bytes())
        .argument(millis(life::LONGEST).to_string())
}

/// The generations of the groups, then each entry and its tombstone.
async fn mget(slot: &Slot, link: &Link, groups: &Groups, keys: &[RemoteKey]) -> Result<Vec<Value>, FmError> {
    let mut request = Pipeline::new();
    request.cmd("MGET").arg(groups.names(&slot.names));
    for key in keys {
        request.arg(&*key.text).arg(slot.names.tombstone(&key.text));
    }
    let answers = link.ask(&request, slot.settings.response_timeout).await?;
    let expected = groups.generations.len() + 2 * keys.len();
    match answers.into_iter().next() {
        Some(Value::Array(values)) if values.len() == expected => Ok(values),
        Some(Value::ServerError(error)) => Err(failure::refused(&error)),
        _ => Err(link.out_of_step()),
    }
}

fn generation(value: &Value) -> Generation {
    match value {
        Value::BulkString(bytes) => Generation::from_bytes(bytes),
        _ => Generation::NONE,
    }
}

/// What lies under a key.
enum Held {
    /// A payload that may be answered.
    Current(Vec<u8>),
    /// Nothing, or something that was invalidated since it was stored.
    Nothing,
    /// Something that we have not written, or not like this.
    Junk,
    /// A frame of another key.
    Foreign,
}

fn held(entry: Value, key: &RemoteKey, generations: &Generations) -> Held {
    // A key of another type than a string comes as nil, too.
    let Value::BulkString(mut bytes) = entry else { return Held::Nothing };
    let Some(frame) = frame::parse(&bytes) else { return Held::Junk };
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
async fn prove(slot: &Slot, link: &Link) -> Result<(), FmError> {
    let nonce = Generation::fresh();
    let mut echo = Pipeline::new();
    echo.cmd("PING").arg(nonce.as_bytes());
    match &link.ask(&echo, slot.settings.response_timeout).await?[..] {
        [Value::BulkString(echoed)] if echoed == nonce.as_bytes() => Ok(()),
        _ => Err(link.out_of_step()),
    }
}
