//! Whether a history keeps the promises.

use std::time::Duration;

use super::{
    facts::{Facts, Moment, Operation, Value},
    history::{Act, Answer, Event, Target, Text},
    plan::Plan,
};

/// How long a message may take while the bus is up.
const TOLD_WITHIN: Duration = Duration::from_millis(100);

/// What a process and the store may disagree about in the life of an entry: clocks that are off, and half a round trip.
const CLOCKS: Duration = Duration::from_millis(250);

/// How long a write by hand whose reply was lost may still take effect.
const IN_DOUBT: Duration = Duration::from_millis(400);

/// A promise that was broken.
pub(super) struct Broken {
    pub(super) promise: &'static str,
    pub(super) story: String,
    /// The key it is about, where it is about one.
    pub(super) key: Option<Text>,
}

pub(super) struct Checker<'a> {
    facts: Facts,
    plan: &'a Plan,
    /// What takes values out of the cache, with its target.
    removals: Vec<(Operation, Target)>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(events: &[Event], plan: &'a Plan) -> Self {
        let facts = Facts::of(events);
        let removals = facts.operations.values();
        let removals = removals.filter_map(|done| Some((done.clone(), done.target()?.0))).collect();
        Self { facts, plan, removals }
    }

    /// The first promise that was broken.
    pub(super) fn check(&self) -> Result<(), Broken> {
        for operation in self.facts.operations.values() {
            let Some((_, answer)) = &operation.ended else { continue };
            self.check_answer(operation, answer)?;
            if let Answer::Value(number) = answer {
                self.check_value(operation, *number)?;
            }
        }
        Ok(())
    }

    /// No call fails because of the cache, unless it was strict and the store has missed it.
    fn check_answer(&self, operation: &Operation, answer: &Answer) -> Result<(), Broken> {
        let strict = operation.target().is_some_and(|(_, strict)| strict);
        let promise = match answer {
            Answer::Hung => "every call ends",
            Answer::CacheFailed { .. } if !strict => "no call fails because of the cache",
            Answer::CacheFailed { backend: false, .. } => "a strict call tells that it was the store",
            Answer::CacheFailed { .. } if is_invalidation(operation) && operation.missed.is_none() => {
                "a strict invalidation fails only when the store missed it"
            }
            Answer::Done if strict && operation.missed.is_some_and(|missed| missed < self.end(operation)) => {
                "a strict call fails when the store missed it"
            }
            _ => return Ok(()),
        };
        Err(broken(promise, format!("[{}] {}: {answer}", operation.number, operation.act), key_of(&operation.act)))
    }

    fn end(&self, operation: &Operation) -> Moment {
        operation.ended.as_ref().map_or(operation.began, |(moment, _)| *moment)
    }

    fn check_value(&self, call: &Operation, number: u64) -> Result<(), Broken> {
        let key = key_of(&call.act);
        let Some(value) = self.facts.values.get(&number).filter(|value| Some(&value.key) == key.as_ref()) else {
            return Err(broken("no call is answered with another key's value", story(call, number), key));
        };
        if let Some(ended) = value.ended
            && call.began.at > ended.at + self.plan.longest_use() + CLOCKS
        {
            return Err(broken("no value outlives its expiry", story(call, number), key));
        }
        for (removal, target) in &self.removals {
            if removal.number != number && self.covers(target, &value.key) && self.is_older(number, value, removal) {
                self.check_removal(call, number, value, removal)?;
            }
        }
        Ok(())
    }

    /// Whether a value is older than a removal: its run began before; or it was set before, by a call that returned.
    ///
    /// A `set` whose caller went away may still take effect for a while, as one whose reply was lost may for others.
    fn is_older(&self, number: u64, value: &Value, removal: &Operation) -> bool {
        if !value.by_hand {
            return value.began < removal.began;
        }
        let missed = self.facts.operations.get(&number).is_some_and(|set| set.missed.is_some());
        match value.ended {
            Some(ended) if !missed || value.process == removal.process => ended < removal.began,
            _ => value.began.at + IN_DOUBT < removal.began.at,
        }
    }

    /// Whether the answer of `call`, which `removal` covers, could still be given.
    fn check_removal(&self, call: &Operation, number: u64, value: &Value, removal: &Operation) -> Result<(), Broken> {
        let Some(returned) = removal.returned() else { return Ok(()) };
        let promise = if call.process == removal.process {
            "after an invalidation returns, no later call in its process is answered with an older run"
        } else {
            "an invalidation holds in other processes from the next read of the store on, and in their memory within the bound"
        };
        let broken_here = match call.process == removal.process {
            true => returned < call.began,
            false => self.holds_elsewhere(call, value, removal),
        };
        if broken_here {
            let story = format!("{}, whose run began before [{}] {}", story(call, number), removal.number, removal.act);
            return Err(broken(promise, story, Some(value.key.clone())));
        }
        Ok(())
    }

    /// Whether `removal`, of another process, must have held for `call`.
    fn holds_elsewhere(&self, call: &Operation, value: &Value, removal: &Operation) -> bool {
        let Some(held) = removal.held_in_the_store().filter(|held| *held < call.began) else { return false };
        if !self.plan.keeps_in_memory(call.process.node) {
            return !self.joined_earlier(call, value, held);
        }
        let since = held.at.saturating_sub(removal_took(removal));
        if self.facts.was_subscribed(call.process, since, held.at + TOLD_WITHIN) {
            return call.began.at > held.at + TOLD_WITHIN;
        }
        let in_doubt = call.began.at <= held.at + self.plan.trust;
        match self.facts.has_resynced(call.process, held.place, call.began.place) {
            Some(true) => true,
            None if in_doubt => false,
            Some(false) | None => !self.joined_earlier(call, value, held),
        }
    }

    /// Whether something was under way for the key in the process of `call` that began before `held`, so that the call
    /// may have joined it.
    fn joined_earlier(&self, call: &Operation, value: &Value, held: Moment) -> bool {
        let flights = self.facts.flights.get(&(call.process, value.key.clone()));
        flights.into_iter().flatten().any(|flight| {
            flight.began < held.place && flight.began < call.began.place && call.began.place < flight.ended
        })
    }

    fn covers(&self, target: &Target, key: &Text) -> bool {
        match target {
            Target::Key(doomed) => doomed == key,
            Target::Group(group) => self.plan.key(key).is_some_and(|spot| spot.is_in(group)),
        }
    }
}

fn is_invalidation(operation: &Operation) -> bool {
    matches!(operation.act, Act::Invalidate { .. })
}

/// How long before it held in the store an invalidation may have taken effect there.
fn removal_took(removal: &Operation) -> Duration {
    match removal.replayed {
        Some(_) => Duration::from_secs(1),
        None => removal.returned().map_or(Duration::ZERO, |returned| returned.at.saturating_sub(removal.began.at)),
    }
}

fn key_of(act: &Act) -> Option<Text> {
    match act {
        Act::Compute(key) | Act::Get(key) | Act::Set { key, .. } => Some(key.clone()),
        Act::Invalidate { target: Target::Key(key), .. } => Some(key.clone()),
        Act::Invalidate { .. } => None,
    }
}

fn story(call: &Operation, number: u64) -> String {
    format!("[{}] {} was answered with value #{number}", call.number, call.act)
}

fn broken(promise: &'static str, story: String, key: Option<Text>) -> Broken {
    Broken { promise, story, key }
}
