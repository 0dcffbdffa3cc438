//! What is simulated: keys, and how lively the world is. Drawn from the seed, so that every seed is another world.

use std::{ops::Range, time::Duration};

use super::history::Text;
use crate::{
    backend::{Group, Prefix},
    key::KeyBuf,
};

pub(super) const PREFIX: &str = "sim";

/// A key with its groups.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) text: Text,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) spots: Vec<Spot>,
    /// Per node: whether it keeps copies in memory.
    pub(super) memory: Vec<bool>,
    pub(super) clients: usize,
    /// Operations per node.
    pub(super) steps: usize,
    /// For how long a copy in memory is trusted while the bus is silent.
    pub(super) trust: Duration,
    pub(super) longest_life: Duration,
    /// For how long past its expiry a value is answered while it is refreshed, and when its refresh fails.
    pub(super) answered_late: Duration,
    pub(super) excused_late: Duration,
    /// How long after its last read a value expires.
    pub(super) idle: Duration,
    /// How long a request or a reply usually takes.
    pub(super) latency: Range<Duration>,
    pub(super) think: Range<Duration>,
    pub(super) body: Range<Duration>,
    pub(super) failing_bodies: f64,
    pub(super) impatience: f64,
    /// Messages that are slow all the time, and between faults.
    pub(super) slow: f64,
    pub(super) faults: Option<Range<Duration>>,
    /// How far clocks are off at most, in milliseconds.
    pub(super) skew: i64,
}

impl Plan {
    /// For how long a value is of any use.
    pub(super) fn longest_use(&self) -> Duration {
        self.longest_life + self.answered_late.max(self.excused_late)
    }

    pub(super) fn spot(&self, random: &mut fastrand::Rng) -> &Spot {
        &self.spots[random.usize(..self.spots.len())]
    }

    pub(super) fn key(&self, text: &Text) -> Option<&Spot> {
        self.spots.iter().find(|spot| spot.text == *text)
    }

    pub(super) fn keeps_in_memory(&self, node: usize) -> bool {
        self.memory.get(node).copied().unwrap_or(false)
    }

    /// A group that some key is in.
    pub(super) fn group(&self, random: &mut fastrand::Rng) -> Group {
        let spot = self.spot(random);
        let namespace = spot.namespace.as_deref().map(|name| Group::Namespace(name.into()));
        let tag = spot.tags.first().map(|tag| Group::Tag(tag.as_str().into()));
        match (random.u32(..5), namespace, tag) {
            (0, _, _) | (_, None, None) => Group::All,
            (1 | 2, Some(namespace), _) | (_, Some(namespace), None) => namespace,
            (_, _, Some(tag)) => tag,
        }
    }
}

impl Spot {
    /// The `number`th key: some are in a namespace, some have tags, some neither.
    pub(super) fn new(number: usize, prefix: &Prefix) -> Self {
        let name = format!("k{number}");
        let namespace = (!number.is_multiple_of(3)).then(|| format!("n{}", number % 2));
        let tags = (0..number % 3).map(|tag| format!("t{tag}")).collect();
        let text = KeyBuf::direct(namespace.as_deref(), &name).to_key().as_key().render(prefix).into();
        Self { name, namespace, tags, text }
    }

    pub(super) fn is_in(&self, group: &Group) -> bool {
        match group {
            Group::All => true,
            Group::Namespace(name) => self.namespace.as_deref() == Some(&**name),
            Group::Tag(tag) => self.tags.iter().any(|own| **own == **tag),
        }
    }
}
