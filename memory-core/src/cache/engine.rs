//! From a miss to an answer: join the run under way, or become the one that runs.

use std::{future::Future, ops::ControlFlow, sync::Arc};

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
    /// Look into the shared store, run the body and tell the others.
    Lead(Leading),
    /// Run the body past the cache: waiting would never end, or the key holds another type.
    Bypass,
}

/// The right and the duty to run a body, before the shared store was asked.
pub(crate) struct Leading {
    pub(crate) lead: Lead<Key, Published>,
    ask: Ask,
}

/// What a leader has to ask the shared store.
enum Ask {
    /// The value: another process may have stored it.
    Value { miss_is_counted: bool },
    /// The generations only: the body runs in any case.
    Generations,
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
            Join::Lead(lead) => self.look_again(lead, false),
            Join::Wait(wait) => {
                self.counters().misses.add_one();
                match wait.await {
                    Waited::Done(published) => self.answered(&published),
                    Waited::Lead(lead) => self.look_again(lead, true),
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
    pub(crate) fn refresh(&self) -> Leading {
        let lead = self.cache.core().flights.supersede(&self.key.as_key(), Context::current_run());
        Leading { lead, ask: Ask::Generations }
    }

    /// The leader looks once more: somebody may have stored the value since the first look.
    fn look_again(&self, lead: Lead<Key, Published>, miss_is_counted: bool) -> Turn<S> {
        match self.cache.core().look(self.key.as_key(), S::Stored::clone).value() {
            Some(stored) => Turn::Answer(self.found(lead, Arc::new(stored), miss_is_counted, |_| {})),
            None => Turn::Lead(Leading { lead, ask: Ask::Value { miss_is_counted } }),
        }
    }

    /// What the shared store has to say before the body runs: perhaps the answer.
    ///
    /// The others wait for this, so a call whose body has a task of its own does this in that task too.
    pub(crate) async fn begin(&self, Leading { lead, ask }: Leading) -> ControlFlow<S::Return, Run> {
        let core = self.cache.core();
        let epoch = core.epochs.current();
        let remote = core.remote.as_ref().filter(|_| self.face.leaves_the_process());
        let stamp = match (ask, remote) {
            (Ask::Generations, None) => None,
            (Ask::Generations, Some(remote)) => core.stamp(&**remote, &self.key).await,
            (Ask::Value { miss_is_counted }, None) => {
                self.count_miss(miss_is_counted);
                None
            }
            (Ask::Value { miss_is_counted }, Some(remote)) => {
                let found = core.find(&**remote, &self.key, self.face).await;
                if let Some((stored, entry)) = found.value {
                    return ControlFlow::Break(self.found(lead, stored, miss_is_counted, |key| {
                        if let Some(local) = &core.local {
                            local.insert(key, Arc::new(entry));
                        }
                    }));
                }
                self.count_miss(miss_is_counted);
                found.stamp
            }
        };
        ControlFlow::Continue(Run { lead, epoch, stamp })
    }

    fn count_miss(&self, is_counted: bool) {
        if !is_counted {
            self.counters().misses.add_one();
        }
    }

    fn found(
        &self,
        lead: Lead<Key, Published>,
        stored: Arc<S::Stored>,
        miss_is_counted: bool,
        keep: impl FnOnce(Key),
    ) -> S::Return {
        if !miss_is_counted {
            self.counters().hits.add_one();
        }
        lead.finish(Arc::new(Published::Value(stored.clone())), || keep(self.key.clone()));
        self.shape.value(Arc::unwrap_or_clone(stored))
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
        self.cache.core().count_bypass(self.key.as_key());
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
