//! Reading entries with what guards them: in one round trip, and one more where entries have tags.

use std::{borrow::Cow, sync::Arc, time::Duration};

use memory_core::{
    FmError,
    backend::{Fetched, Group, RemoteKey},
};
use redis::{Pipeline, Value};

use crate::{
    failure, frame,
    generation::{Generation, Noted},
    groups::{self, Groups},
    link::Link,
    moment::Moment,
    slot::Slot,
};

/// A read of some keys.
pub(crate) struct Read<'a> {
    read_ms: u64,
    groups: Groups,
    rows: Vec<Row<'a>>,
}

impl<'a> Read<'a> {
    /// Looks at the keys and at what guards them, in one round trip.
    pub(crate) async fn begin(slot: &Slot, link: &Link, keys: &'a [RemoteKey]) -> Result<Self, FmError> {
        let read_ms = slot.clock.now_ms();
        let mut groups = Groups::new();
        let mut rows: Vec<Row<'a>> = keys.iter().map(|key| Row::of(slot, key, &mut groups)).collect();
        first_look(slot, link, &mut groups, &mut rows).await?;
        Ok(Self { read_ms, groups, rows })
    }

    /// Whether there is no more to ask.
    pub(crate) fn is_complete(&self) -> bool {
        let is_done = |row: &Row<'_>| match &row.held {
            Held::Entry(entry) => entry.tags.is_empty(),
            Held::Nothing | Held::Junk => true,
            Held::Foreign => false,
        };
        self.groups.is_complete() && self.rows.iter().all(is_done)
    }

    /// Asks what else it takes to tell what the entries are good for.
    pub(crate) async fn complete(&mut self, slot: &Slot, link: &Link) -> Result<(), FmError> {
        look_at_tags(slot, link, &mut self.groups, &mut self.rows).await?;
        self.groups.begin_missing(slot, link).await?;
        if self.rows.iter().any(|row| matches!(row.held, Held::Foreign)) {
            prove(slot, link).await?;
        }
        Ok(())
    }

    /// The answers, in the order of the keys.
    pub(crate) fn answers(self) -> Vec<Fetched> {
        let Self { read_ms, groups, rows } = self;
        rows.into_iter().map(|row| row.answer(&groups, read_ms)).collect()
    }
}

/// One key of a read.
struct Row<'a> {
    key: &'a RemoteKey,
    /// The places of the groups that guard it.
    guards: Vec<usize>,
    tombstone: Generation,
    held: Held,
}

/// What lies under a key.
enum Held {
    Entry(Stored),
    /// Nothing that we could read.
    Nothing,
    /// Something that we have not written, or not like this.
    Junk,
    /// A frame of another key.
    Foreign,
}

/// An entry, which may have been overtaken.
struct Stored {
    moment: Moment,
    tags: Vec<Arc<str>>,
    payload: Vec<u8>,
}

impl<'a> Row<'a> {
    fn of(slot: &Slot, key: &'a RemoteKey, groups: &mut Groups) -> Self {
        let guards = groups::of_key(key).map(|group| groups.add(slot, group, READ)).collect();
        Self { key, guards, tombstone: Generation::NONE, held: Held::Nothing }
    }

    fn names(&self, slot: &Slot) -> Vec<Cow<'a, str>> {
        vec![Cow::Borrowed(&self.key.text), Cow::Owned(slot.names.tombstone(&self.key.text))]
    }

    fn note(&mut self, values: Vec<Value>) {
        let [entry, tombstone] = <[Value; 2]>::try_from(values).unwrap_or_default();
        self.held = held(entry, self.key);
        if let Value::BulkString(bytes) = tombstone {
            self.tombstone = Generation::from_bytes(&bytes);
        }
    }

    fn answer(self, groups: &Groups, read_ms: u64) -> Fetched {
        let stamp = Noted { key: self.tombstone, clock: groups.clock(), read_ms }.to_stamp();
        let damaged = matches!(self.held, Held::Foreign | Held::Junk);
        match self.held {
            Held::Entry(entry) if groups.admit(entry.moment, self.guards) => {
                Fetched { payload: Some(entry.payload), tags: entry.tags, damaged, stamp }
            }
            _ => Fetched { payload: None, tags: Vec::new(), damaged, stamp },
        }
    }
}

/// A read does not know how long its entries live; what is begun by it is remembered for the shortest time.
const READ: Option<Duration> = Some(Duration::ZERO);

/// The clock and the groups that are known from the keys, then each entry and its tombstone.
async fn first_look(slot: &Slot, link: &Link, groups: &mut Groups, rows: &mut [Row<'_>]) -> Result<(), FmError> {
    let guards = std::iter::once(slot.names.clock()).chain(groups.names_from(0)).map(Cow::Borrowed).collect();
    let names = std::iter::once(guards).chain(rows.iter().map(|row| row.names(slot))).collect();
    let mut found = look(slot, link, names).await?.into_iter();
    if let Some([clock, known @ ..]) = found.next().as_deref() {
        groups.note_clock(clock);
        groups.note_from(0, known);
    }
    rows.iter_mut().zip(found).for_each(|(row, values)| row.note(values));
    Ok(())
}

/// The tags of all entries together.
async fn look_at_tags(slot: &Slot, link: &Link, groups: &mut Groups, rows: &mut [Row<'_>]) -> Result<(), FmError> {
    let first = groups.len();
    for row in rows {
        let Held::Entry(entry) = &row.held else { continue };
        row.guards.extend(entry.tags.iter().map(|tag| groups.add(slot, Group::Tag(Arc::clone(tag)), READ)));
    }
    let names: Vec<Cow<'_, str>> = groups.names_from(first).map(Cow::Borrowed).collect();
    if names.is_empty() {
        return Ok(());
    }
    let found = look(slot, link, vec![names]).await?;
    groups.note_from(first, found.iter().flatten());
    Ok(())
}

/// What lies under names, in one round trip. Those of one list lie in one slot.
async fn look(slot: &Slot, link: &Link, names: Vec<Vec<Cow<'_, str>>>) -> Result<Vec<Vec<Value>>, FmError> {
    let lengths: Vec<usize> = names.iter().map(Vec::len).collect();
    let total = lengths.iter().sum();
    let mut request = Pipeline::new();
    if !slot.settings.spread {
        request.cmd("MGET");
    }
    for list in &names {
        if slot.settings.spread {
            request.cmd("MGET");
        }
        for name in list {
            request.arg(&**name);
        }
    }
    let asked = if slot.settings.spread { &lengths[..] } else { &[total] };
    let answers = link.ask(&request, slot.settings.response_timeout).await?;
    let mut values = Vec::with_capacity(total);
    for (length, answer) in asked.iter().zip(answers) {
        match answer {
            Value::Array(found) if found.len() == *length => values.extend(found),
            Value::ServerError(error) => return Err(failure::refused(&error)),
            _ => return Err(link.out_of_step()),
        }
    }
    let mut values = values.into_iter();
    Ok(lengths.into_iter().map(|length| values.by_ref().take(length).collect()).collect())
}

fn held(entry: Value, key: &RemoteKey) -> Held {
    // A key of another type than a string comes as nil, too.
    let Value::BulkString(mut bytes) = entry else { return Held::Nothing };
    if frame::is_outdated(&bytes) {
        return Held::Nothing;
    }
    let Some(frame) = frame::parse(&bytes) else { return Held::Junk };
    if frame.key != key.text.as_bytes() {
        return Held::Foreign;
    }
    if frame.in_namespace != key.namespace.is_some() {
        return Held::Nothing;
    }
    let (moment, tags, header) = (frame.moment, frame.tags, bytes.len() - frame.payload.len());
    bytes.drain(..header);
    Held::Entry(Stored { moment, tags, payload: bytes })
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
