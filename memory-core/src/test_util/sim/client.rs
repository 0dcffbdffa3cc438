//! What a client of a process does: calls, writes, invalidations, one after another.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::{
    history::{Act, Answer, Recorder, Target, Text, What},
    plan::Spot,
    world::{Alive, World},
};
use crate::{
    backend::Group,
    error::FmError,
    test_util::redis::{between, operation},
};

/// Longer than any call takes, whatever happens.
const HANGS: Duration = Duration::from_secs(20);

/// What is cached: the number of its origin, and the version of the database that it read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    value: u64,
    version: u64,
}

/// What a body says, or the cache.
#[derive(Debug)]
enum Failed {
    Body,
    Cache(FmError),
}

pub(super) struct Client {
    world: Arc<World>,
    alive: Alive,
    random: fastrand::Rng,
}

impl Client {
    pub(super) fn new(world: Arc<World>, alive: Alive, random: fastrand::Rng) -> Self {
        Self { world, alive, random }
    }

    pub(super) async fn run(mut self, left: Arc<AtomicUsize>) {
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            sleep(between(&mut self.random, self.world.plan.think.clone())).await;
            self.step().await;
        }
    }

    async fn step(&mut self) {
        let spot = self.world.plan.spot(&mut self.random).clone();
        match self.random.u32(..100) {
            0..58 => self.compute(&spot).await,
            58..66 => self.get(&spot).await,
            66..70 => self.get_many(&spot).await,
            70..76 => self.set(&spot).await,
            76..90 => self.invalidate(Target::Key(Arc::clone(&spot.text)), Some(&spot)).await,
            _ => {
                let group = self.world.plan.group(&mut self.random);
                self.invalidate(Target::Group(group), None).await;
            }
        }
    }

    /// A memoized call.
    pub(super) async fn compute(&mut self, spot: &Spot) {
        let body = self.body(spot);
        let call = self.alive.cache.get_or_compute(spot.name.clone(), move || body.run());
        let call = call.expire(self.life()).tags(spot.tags.clone());
        let call = match &spot.namespace {
            Some(namespace) => call.namespace(namespace.clone()),
            None => call,
        };
        self.perform(Act::Compute(Arc::clone(&spot.text)), async move {
            match call.await {
                Ok(seen) => Answer::Value(seen.value),
                // A waiter gets the body's error wrapped.
                Err(Failed::Body) => Answer::BodyFailed,
                Err(Failed::Cache(error)) if error.is_run() => Answer::BodyFailed,
                Err(Failed::Cache(error)) => failed(&error),
            }
        })
        .await;
    }

    fn body(&mut self, spot: &Spot) -> Body {
        Body {
            world: Arc::clone(&self.world),
            recorder: self.alive.recorder.clone(),
            key: Arc::clone(&spot.text),
            length: between(&mut self.random, self.world.plan.body.clone()),
            fails: self.random.f64() < self.world.plan.failing_bodies,
        }
    }

    pub(super) async fn get(&mut self, spot: &Spot) {
        let get = self.alive.cache.get::<Seen>(spot.name.clone());
        let get = match &spot.namespace {
            Some(namespace) => get.namespace(namespace.clone()),
            None => get,
        };
        self.perform(Act::Get(Arc::clone(&spot.text)), async move {
            match get.await {
                Ok(Some(seen)) => Answer::Value(seen.value),
                Ok(None) => Answer::Done,
                Err(error) => failed(&error),
            }
        })
        .await;
    }

    /// Everything in the namespace of a key, in one call.
    async fn get_many(&mut self, spot: &Spot) {
        let spots: Vec<Spot> = self.world.plan.spots.clone();
        let spots: Vec<Spot> = spots.into_iter().filter(|other| other.namespace == spot.namespace).collect();
        let get = self.alive.cache.get_many::<Seen>(spots.iter().map(|spot| &spot.name));
        let get = match &spot.namespace {
            Some(namespace) => get.namespace(namespace.clone()),
            None => get,
        };
        let recorder = self.alive.recorder.clone();
        let operations: Vec<u64> = spots.iter().map(|_| recorder.number()).collect();
        for (spot, operation) in spots.iter().zip(&operations) {
            recorder.note(What::Began { operation: *operation, act: Act::Get(Arc::clone(&spot.text)) });
        }
        let answers = match timeout(HANGS, get).await {
            Ok(Ok(values)) => {
                values.into_iter().map(|seen| seen.map_or(Answer::Done, |seen| Answer::Value(seen.value))).collect()
            }
            Ok(Err(error)) => vec![failed(&error); operations.len()],
            Err(_) => vec![Answer::Hung; operations.len()],
        };
        for (operation, answer) in operations.into_iter().zip(answers) {
            recorder.note(What::Ended { operation, answer });
        }
    }

    async fn set(&mut self, spot: &Spot) {
        self.world.change(|other| other.text == spot.text);
        let (number, strict) = (self.alive.recorder.number(), self.random.bool());
        let seen = Seen { value: number, version: self.world.version(&spot.text) };
        let set = self.alive.cache.set(spot.name.clone(), seen).expire(self.life()).tags(spot.tags.clone());
        let set = if strict { set.strict() } else { set };
        let set = match &spot.namespace {
            Some(namespace) => set.namespace(namespace.clone()),
            None => set,
        };
        let act = Act::Set { key: Arc::clone(&spot.text), strict };
        self.perform_as(number, act, async move { set.await.map_or_else(|error| failed(&error), |()| Answer::Done) })
            .await;
    }

    /// The database changes, and then what was read from it before is invalidated.
    async fn invalidate(&mut self, target: Target, spot: Option<&Spot>) {
        let strict = self.random.bool();
        let act = Act::Invalidate { target: target.clone(), strict };
        match (target, spot) {
            (Target::Key(_), Some(spot)) => {
                self.world.change(|other| other.text == spot.text);
                self.remove(act, spot, strict).await;
            }
            (Target::Group(group), _) => {
                self.world.change(|other| other.is_in(&group));
                self.clear(act, &group, strict).await;
            }
            (Target::Key(_), None) => {}
        }
    }

    async fn remove(&mut self, act: Act, spot: &Spot, strict: bool) {
        let remove = self.alive.cache.remove(spot.name.clone());
        let remove = if strict { remove.strict() } else { remove };
        let remove = match &spot.namespace {
            Some(namespace) => remove.namespace(namespace.clone()),
            None => remove,
        };
        self.perform(act, async move { remove.await.map_or_else(|error| failed(&error), |_| Answer::Done) }).await;
    }

    async fn clear(&mut self, act: Act, group: &Group, strict: bool) {
        let cache = self.alive.cache.clone();
        let clear = match group {
            Group::Tag(tag) => return self.invalidate_tag(act, tag, strict).await,
            Group::Namespace(name) => cache.clear_namespace(name),
            Group::All => cache.clear(),
        };
        let clear = if strict { clear.strict() } else { clear };
        self.perform(act, async move { clear.await.map_or_else(|error| failed(&error), |_| Answer::Done) }).await;
    }

    async fn invalidate_tag(&mut self, act: Act, tag: &str, strict: bool) {
        let invalidate = self.alive.cache.invalidate_tag(tag);
        let invalidate = if strict { invalidate.strict() } else { invalidate };
        self.perform(act, async move { invalidate.await.map_or_else(|error| failed(&error), |()| Answer::Done) }).await;
    }

    async fn perform(&mut self, act: Act, work: impl Future<Output = Answer>) {
        let number = self.alive.recorder.number();
        self.perform_as(number, act, work).await;
    }

    async fn perform_as(&mut self, number: u64, act: Act, work: impl Future<Output = Answer>) {
        let impatient = self.random.f64() < self.world.plan.impatience;
        let patience = between(&mut self.random, Duration::ZERO..Duration::from_millis(40));
        self.alive.recorder.note(What::Began { operation: number, act });
        let limit = if impatient { patience } else { HANGS };
        let answer = timeout(limit, operation(number, work)).await;
        let answer = answer.unwrap_or(if impatient { Answer::GaveUp } else { Answer::Hung });
        self.alive.recorder.note(What::Ended { operation: number, answer });
    }

    fn life(&mut self) -> Duration {
        between(&mut self.random, Duration::from_millis(100)..self.world.plan.longest_life)
    }
}

/// A memoized function: reads the database, and takes its time.
struct Body {
    world: Arc<World>,
    recorder: Recorder,
    key: Text,
    length: Duration,
    fails: bool,
}

impl Body {
    async fn run(self) -> Result<Seen, Failed> {
        let value = self.recorder.number();
        let version = self.world.version(&self.key);
        self.recorder.note(What::RunBegan { value, key: self.key, version });
        sleep(self.length).await;
        self.recorder.note(What::RunEnded { value, failed: self.fails });
        if self.fails { Err(Failed::Body) } else { Ok(Seen { value, version }) }
    }
}

fn failed(error: &FmError) -> Answer {
    Answer::CacheFailed { backend: error.is_backend(), error: error.to_string() }
}

impl From<FmError> for Failed {
    fn from(error: FmError) -> Self {
        Self::Cache(error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("the body failed"),
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl Error for Failed {}
