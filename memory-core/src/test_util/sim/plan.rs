//! What is simulated: keys, and how lively the world is. Drawn from the seed, so that every seed is another world.

use std::{ops::Range, time::Duration};

use super::{Simulation, history::Text};
use crate::{
    backend::{Group, Prefix},
    error::FmError,
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
    /// For how long nobody is asked to refresh a value once somebody was.
    pub(super) throttle: Duration,
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
    /// How often a copy is gone from memory when it is looked at.
    pub(super) evictions: f64,
    pub(super) faults: Option<Range<Duration>>,
    /// How far clocks are off at most, in milliseconds.
    pub(super) skew: i64,
}

/// Draws from the seed.
struct Draw(fastrand::Rng);

impl Draw {
    fn number(&mut self, range: Range<usize>) -> usize {
        self.0.usize(range)
    }

    /// True in one of so many worlds.
    fn one_in(&mut self, worlds: usize) -> bool {
        self.number(0..worlds) == 0
    }

    /// A part, in hundredths.
    fn part(&mut self, range: Range<usize>) -> f64 {
        self.number(range) as f64 / 100.0
    }

    fn milliseconds(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.0.u64(range))
    }

    /// Everything from nothing to a length.
    fn up_to(&mut self, range: Range<u64>) -> Range<Duration> {
        Duration::ZERO..self.milliseconds(range)
    }

    /// All nodes keep copies in memory, or none, or some.
    fn memory(&mut self, nodes: usize) -> Vec<bool> {
        let kind = self.number(0..4);
        (0..nodes).map(|_| kind == 0 || kind != 1 && self.0.bool()).collect()
    }
}

impl Plan {
    /// Every seed is another world: calm or wild, with quick or slow bodies, short or long lives.
    pub(super) fn draw(settings: &Simulation) -> Result<Self, FmError> {
        let prefix = Prefix::new(PREFIX)?;
        let mut draw = Draw(fastrand::Rng::with_seed(settings.seed));
        let keys = draw.number(0..settings.keys) + 1;
        let memory = draw.memory(settings.nodes);
        let plan = Self {
            spots: (0..keys).map(|number| Spot::new(number, &prefix)).collect(),
            memory: settings.memory.map_or(memory, |all| vec![all; settings.nodes]),
            clients: settings.clients.unwrap_or(draw.number(2..7)),
            steps: settings.steps,
            trust: draw.milliseconds(150..1500),
            longest_life: draw.milliseconds(300..4000),
            answered_late: draw.milliseconds(0..500).saturating_sub(Duration::from_millis(250)),
            excused_late: draw.milliseconds(0..1000).saturating_sub(Duration::from_millis(500)),
            throttle: draw.milliseconds(1..200),
            idle: draw.milliseconds(50..500),
            latency: Duration::from_micros(200)..draw.milliseconds(1..15),
            think: draw.up_to(5..80),
            body: draw.up_to(10..200),
            failing_bodies: draw.part(0..20),
            impatience: draw.part(0..30),
            slow: draw.part(0..3),
            evictions: draw.part(0..4),
            faults: Some(Duration::from_millis(10)..draw.milliseconds(30..2000)),
            skew: i64::try_from(settings.skew.as_millis()).unwrap_or(i64::MAX),
        };
        Ok(plan.in_a_mood(&mut draw, settings.calm))
    }

    /// What only some worlds are.
    fn in_a_mood(mut self, draw: &mut Draw, calm: bool) -> Self {
        if !draw.one_in(4) {
            self.idle = Duration::from_secs(60);
        }
        // Values expire soon, half of the bodies fail, and what has expired stands in for them.
        if draw.one_in(4) {
            self.longest_life = draw.milliseconds(120..400);
            self.excused_late = draw.milliseconds(200..1000);
            self.throttle = draw.milliseconds(1..30);
            self.answered_late = Duration::ZERO;
            self.failing_bodies = 0.5;
        }
        // Runs outlive what the store remembers of removals.
        if draw.one_in(12) {
            self.body = draw.up_to(1000..6000);
        }
        if calm || draw.one_in(2) {
            self.slow = 0.0;
        }
        if calm {
            self.faults = None;
        }
        self
    }

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
        let tags = ["t0", "t1", "", "t0 t1"][number % 4].split_whitespace().map(str::to_owned).collect();
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
