//! The groups that guard the keys of one batch, and the clock of their invalidations.

use std::{collections::HashMap, time::Duration};

use memory_core::{
    FmError,
    backend::{Group, RemoteKey},
};
use redis::Value;

use crate::{
    failure, life,
    link::Link,
    moment::{Moment, fresh_incarnation},
    scripts::{self, Call},
    slot::Slot,
};

/// The groups of a batch, each once, with what is known of them.
pub(crate) struct Groups {
    clock: Option<Moment>,
    places: HashMap<Group, usize>,
    members: Vec<Member>,
}

struct Member {
    name: String,
    /// How long it is remembered at least.
    life: u64,
    /// When it was invalidated last.
    moment: Option<Moment>,
}

impl Groups {
    pub(crate) fn new() -> Self {
        Self { clock: None, places: HashMap::new(), members: Vec::new() }
    }

    /// Adds a group that guards an entry with this life; its place.
    pub(crate) fn add(&mut self, slot: &Slot, group: Group, entry: Option<Duration>) -> usize {
        let life = life::of_group(&group, entry);
        let next = self.members.len();
        let place = *self.places.entry(group).or_insert_with_key(|group| {
            self.members.push(Member { name: slot.names.group(group), life, moment: None });
            next
        });
        self.members[place].life = self.members[place].life.max(life);
        place
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The names of the groups from this place on.
    pub(crate) fn names_from(&self, first: usize) -> impl Iterator<Item = &str> {
        self.members[first..].iter().map(|member| &*member.name)
    }

    pub(crate) fn note_clock(&mut self, value: &Value) {
        self.clock = moment(value);
    }

    /// Notes what lies under [`names_from`](Self::names_from) this place.
    pub(crate) fn note_from<'a>(&mut self, first: usize, values: impl IntoIterator<Item = &'a Value>) {
        for (member, value) in self.members[first..].iter_mut().zip(values) {
            member.moment = moment(value);
        }
    }

    /// What the clock showed; `None` where there is none and none can be begun.
    pub(crate) fn clock(&self) -> Option<Moment> {
        self.clock
    }

    /// Whether a value made by a run that began at `moment` is overtaken by none of its groups.
    pub(crate) fn admit(&self, moment: Moment, places: impl IntoIterator<Item = usize>) -> bool {
        places.into_iter().all(|place| self.members[place].moment.is_some_and(|invalidated| moment.knows(invalidated)))
    }

    /// Begins what Redis does not know (never used, evicted, flushed), and what is of a clock that it has lost, at the
    /// clock of this moment: whatever was made before the last invalidation of anything can never be seen again.
    pub(crate) async fn begin_missing(&mut self, slot: &Slot, link: &Link) -> Result<(), FmError> {
        let missing: Vec<usize> = (0..self.members.len()).filter(|place| !self.is_known(*place)).collect();
        if self.is_complete() {
            return Ok(());
        }
        let answer = self.ensure(slot, link, &missing).await?;
        // A server that can't write now (full, read-only) leaves it at none: nothing can be stored or seen.
        if failure::answered(&answer).is_ok() { self.settle(link, &missing, &answer) } else { Ok(()) }
    }

    /// Begins all of it that is missing, and has it remembered for long enough, without having looked before.
    ///
    /// # Errors
    ///
    /// Also where the server can't write.
    pub(crate) async fn begin(&mut self, slot: &Slot, link: &Link) -> Result<(), FmError> {
        let all: Vec<usize> = (0..self.members.len()).collect();
        let answer = self.ensure(slot, link, &all).await?;
        self.settle(link, &all, failure::answered(&answer)?)
    }

    /// Whether Redis knows all of it.
    pub(crate) fn is_complete(&self) -> bool {
        self.clock.is_some() && (0..self.members.len()).all(|place| self.is_known(place))
    }

    fn is_known(&self, place: usize) -> bool {
        match (self.clock, self.members[place].moment) {
            (Some(clock), Some(moment)) => clock.is_comparable_to(moment),
            _ => false,
        }
    }

    async fn ensure(&self, slot: &Slot, link: &Link, places: &[usize]) -> Result<Value, FmError> {
        let mut call = Call::new(&scripts::ENSURE)
            .key(slot.names.clock())
            .argument(fresh_incarnation())
            .argument(life::in_millis(life::LONGEST).to_string());
        for member in places.iter().map(|place| &self.members[*place]) {
            call = call.key(&*member.name).argument(member.life.to_string());
        }
        let answers = scripts::run(link, &[call], slot.settings.response_timeout).await?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    fn settle(&mut self, link: &Link, places: &[usize], answer: &Value) -> Result<(), FmError> {
        let Value::Array(moments) = answer else { return Err(link.out_of_step()) };
        if moments.len() != 1 + places.len() {
            return Err(link.out_of_step());
        }
        self.note_clock(&moments[0]);
        for (place, value) in places.iter().zip(&moments[1..]) {
            self.members[*place].moment = moment(value);
        }
        Ok(())
    }
}

/// The groups that guard a key, whatever its tags.
pub(crate) fn of_key(key: &RemoteKey) -> impl Iterator<Item = Group> {
    std::iter::once(Group::All).chain(key.namespace.clone().map(Group::Namespace))
}

fn moment(value: &Value) -> Option<Moment> {
    match value {
        Value::BulkString(bytes) => Moment::parse(bytes),
        _ => None,
    }
}
