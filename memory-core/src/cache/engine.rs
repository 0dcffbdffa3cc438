//! From a miss to an answer: join the run under way, or become the one that runs.

use std::{future::Future, sync::Arc};

use super::{
    Context, FmCache, Topic,
    outcome::{Face, Outcome, Share, Shared},
};
use crate::{
    backend::Stamp,
    flight::{Join, Lead, Lookup, Waited},
    key::{Key, KeyRef},
    stats::Counters,
};

/// What a run tells its waiters.
pub(crate) enum Published {
    /// The stored part of the returned value.
    Value(Shared),
    /// "Nothing there".
    Absent(Shared),
    /// What [`Share`] made of the error.
    Failed(Shared),
}

impl Lookup<Key> for KeyRef<'_> {
    fn hash(&self) -> u64 {
        KeyRef::hash(self)
    }

    fn is(&self, key: &Key) -> bool {
        *self == key.as_key()
    }

    fn to_key(&self) -> Key {
        KeyRef::to_owned(*self)
    }
}

/// One call that missed: everything about it but its body.
#[derive(Clone)]
pub(crate) struct Job<S, X, H> {
    pub(crate) cache: FmCache,
    pub(crate) key: Key,
    pub(crate) shape: S,
    pub(crate) face: X,
    pub(crate) share: H,
}

/// What a call is to do.
pub(crate) enum Turn<S: Outcome> {
    /// Answer this.
    Answer(S::Return),
    /// Run the body and tell the others.
    Run(Run),
    /// Run the body past the cache: waiting would never end, or the key holds another type.
    Bypass,
}

/// The right and the duty to run a body.
pub(crate) struct Run {
    pub(crate) lead: Lead<Key, Published>,
    /// The cache's epoch when the run began.
    pub(crate) epoch: u64,
    /// The shared store's generations when the run began; `None` where it could not be read.
    pub(crate) stamp: Option<Stamp>,
}

impl<S, X, H> Job<S, X, H>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// What this call is to do, after its first look into memory found nothing.
    ///
    /// Cancel safe: a waiter that goes away is forgotten, a leader that goes away hands over.
    pub(crate) async fn turn(&self) -> Turn<S> {
        let core = self.cache.core();
        match core.flights.join(&self.key.as_key(), Context::current_run()) {
            Join::Ready(published) => {
                self.counters().misses.add_one();
                self.answered(&published)
            }
            Join::Lead(lead) => self.lead(lead).await,
            Join::Wait(wait) => {
                self.counters().misses.add_one();
                match wait.await {
                    Waited::Done(published) => self.answered(&published),
                    Waited::Lead(lead) => self.lead(lead).await,
                }
            }
            Join::Cycle => {
                self.counters().misses.add_one();
                self.warn(Topic::Cycle, |key| {
                    tracing::warn!(key, "a memorized function waits for itself: the inner call runs uncached");
                });
                Turn::Bypass
            }
        }
    }

    /// A run that supersedes the one under way.
    pub(crate) async fn refresh(&self) -> Run {
        let core = self.cache.core();
        let lead = core.flights.supersede(&self.key.as_key(), Context::current_run());
        let epoch = core.epochs.current();
        let stamp = match &core.remote {
            Some(remote) if self.face.leaves_the_process() => core.stamp(&**remote, &self.key).await,
            _ => None,
        };
        Run { lead, epoch, stamp }
    }

    /// The leader looks once more: somebody may have stored the value since the first look.
    async fn lead(&self, lead: Lead<Key, Published>) -> Turn<S> {
        let core = self.cache.core();
        if let Some(stored) = core.local_value(self.key.as_key(), S::Stored::clone) {
            return self.found(lead, Arc::new(stored), |_| {});
        }
        let epoch = core.epochs.current();
        let Some(remote) = core.remote.as_ref().filter(|_| self.face.leaves_the_process()) else {
            self.counters().misses.add_one();
            return Turn::Run(Run { lead, epoch, stamp: None });
        };
        let found = core.find(&**remote, &self.key, self.face).await;
        match found.value {
            Some((stored, entry)) => self.found(lead, stored, |key| {
                if let Some(local) = &core.local {
                    local.insert(key, Arc::new(entry));
                }
            }),
            None => {
                self.counters().misses.add_one();
                Turn::Run(Run { lead, epoch, stamp: found.stamp })
            }
        }
    }

    fn found(&self, lead: Lead<Key, Published>, stored: Arc<S::Stored>, keep: impl FnOnce(Key)) -> Turn<S> {
        self.counters().hits.add_one();
        lead.finish(Arc::new(Published::Value(stored.clone())), || keep(self.key.clone()));
        Turn::Answer(self.shape.value(Arc::unwrap_or_clone(stored)))
    }

    fn answered(&self, published: &Published) -> Turn<S> {
        match self.answer(published) {
            Some(answer) => Turn::Answer(answer),
            None => {
                let asked = std::any::type_name::<S::Return>();
                self.warn(Topic::OtherRun, |key| {
                    tracing::warn!(key, asked, "a run for this key has another type: this call runs uncached");
                });
                Turn::Bypass
            }
        }
    }

    /// What a waiter makes of the answer of the run it waited for; `None` when that is of other types.
    pub(crate) fn answer(&self, published: &Published) -> Option<S::Return> {
        let answer = match published {
            Published::Value(stored) => {
                stored.downcast_ref().map(|stored: &S::Stored| self.shape.value(stored.clone()))
            }
            Published::Absent(absent) => absent.downcast_ref().map(|absent: &S::Absent| self.shape.absent(*absent)),
            Published::Failed(shared) => {
                shared.downcast_ref().map(|shared: &H::Shared| self.shape.failed(self.share.failure(shared)))
            }
        }?;
        self.counters().coalesced.add_one();
        Some(answer)
    }

    /// Runs the body past the cache.
    pub(crate) async fn bypass<F: Future<Output = S::Return>>(&self, body: impl FnOnce() -> F) -> S::Return {
        self.counters().bypassed.add_one();
        self.counters().runs.add_one();
        body().await
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.cache.core().counters(self.key.as_key())
    }

    /// Warns once for each function and topic; direct calls count as one function.
    pub(crate) fn warn(&self, topic: Topic, warn: impl FnOnce(String)) {
        let core = self.cache.core();
        if core.told.first(topic, self.key.as_key().number().into()) {
            warn(self.key.as_key().render(&core.prefix));
        }
    }
}
