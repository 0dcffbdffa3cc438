//! From a miss to an answer: join the run under way, or become the one that runs.

use std::{future::Future, pin::pin, sync::Arc};

use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::{
    Context, Exchange, FmCache, Look, Served, Topic,
    batch::Gathering,
    life::Limits,
    outcome::{Face, Outcome, Share, Shared},
    read::{Copied, Found},
    report::{FmOutcome, FmTier, Provenance},
};
use crate::{
    backend::{Group, RemoteTier, Stamp},
    entry::Entry,
    error::FmError,
    flight::{Join, Lead, Lookup, RunId, Wait, Waited},
    key::{Key, KeyRef},
    print::Print,
    stats::Counters,
    time::Tick,
};

/// What a run tells its waiters.
pub(crate) struct Published {
    pub(crate) said: Said,
    pub(crate) run: RunId,
    /// The cache's epoch when the run began, and the groups its value turned out to be in: a call that came after one of them
    /// was invalidated does not take the answer.
    pub(crate) epoch: u64,
    pub(crate) groups: Box<[Group]>,
    /// Where the answer was stored, if it was.
    pub(crate) stored: Option<Provenance>,
    /// What HTTP clients may know about the answer.
    pub(crate) served: Option<Served>,
}

/// An answer.
pub(crate) enum Said {
    /// The stored part of the returned value.
    Value(Shared),
    /// "Nothing there".
    Absent(Shared),
    /// What [`Share`] made of the error.
    Failed(Shared),
    /// The run was ended by us.
    Ended(FmError),
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

impl Lookup<Self> for Key {
    fn hash(&self) -> u64 {
        self.as_key().hash()
    }

    fn is(&self, key: &Self) -> bool {
        self.as_key() == key.as_key()
    }

    fn to_key(&self) -> Self {
        self.clone()
    }
}

/// How an error of ours becomes what a function returns.
pub(crate) type Ours<R> = fn(FmError) -> R;

/// How a returned value looks to HTTP clients; `None` where its body can't be seen.
pub(crate) type Show<R> = fn(R) -> Option<Arc<Print>>;

/// One call that missed: everything about it but its body.
pub(crate) struct Job<S: Outcome, X, H> {
    pub(crate) cache: FmCache,
    pub(crate) key: Key,
    pub(crate) shape: S,
    pub(crate) face: X,
    pub(crate) share: H,
    /// `None`: it can't, and no run of it can be ended by us.
    pub(crate) ours: Option<Ours<S::Return>>,
    /// Those of the cache where the call has none.
    pub(crate) limits: Limits,
    /// The HTTP request that the call answers, and how its value is shown there.
    pub(crate) exchange: Option<(Exchange, Show<S::Return>)>,
    /// Where the requests to the shared store come together, for one of many calls that are made at once.
    pub(crate) gathering: Option<Arc<Gathering>>,
}

impl<S: Outcome, X: Copy, H: Copy> Clone for Job<S, X, H> {
    fn clone(&self) -> Self {
        let (exchange, gathering) = (self.exchange.clone(), self.gathering.clone());
        Self { cache: self.cache.clone(), key: self.key.clone(), exchange, gathering, ..*self }
    }
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

/// What came of joining a run.
enum Joined<S: Outcome> {
    Turn(Turn<S>),
    Ready(Arc<Published>),
    Wait(Wait<Key, Published>),
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
    /// The value, and whether another process refreshes it.
    Lease,
    /// The generations only: the body runs in any case.
    Generations,
}

/// What a leader finds in the shared store.
pub(crate) enum Begun<S: Outcome> {
    /// The answer.
    Answer(S::Return),
    /// The answer, which wants to be refreshed.
    Due(S::Return),
    /// Nothing: the body has to run.
    Run(Run<S::Stored>),
}

/// An answer that was stored.
struct Answer<T> {
    stored: Arc<T>,
    what: Provenance,
    /// The cache's epoch before it was found.
    epoch: u64,
    groups: Box<[Group]>,
    served: Served,
}

/// The right and the duty to run a body.
pub(crate) struct Run<T> {
    pub(crate) lead: Lead<Key, Published>,
    /// The cache's epoch when the run began.
    pub(crate) epoch: u64,
    /// When it began.
    pub(crate) began: Tick,
    /// The shared store's generations when the run began; `None` where it could not be read.
    pub(crate) stamp: Option<Stamp>,
    /// Whether an older value may stand in for a failure, and the one that the shared store had.
    pub(crate) excuse: Excuse<T>,
}

/// What may stand in when a run fails.
pub(crate) enum Excuse<T> {
    /// Nothing: the caller wants to know what the body says.
    None,
    /// What is in memory then.
    Memory,
    /// What is in memory then, else what the shared store had when the run began.
    Remote(Box<Copied<T>>),
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
        let epoch = core.epochs.current();
        let mut miss_is_counted = false;
        loop {
            let published = match self.join(&mut miss_is_counted) {
                Joined::Turn(turn) => return turn,
                Joined::Ready(published) => published,
                Joined::Wait(wait) => match wait.await {
                    Waited::Done(published) => published,
                    Waited::Lead(lead) => return self.look_again(lead, true),
                },
            };
            if epoch > published.epoch && core.epochs.covers(published.epoch, &published.groups) {
                // Invalidated between the begin of that run and of this call: it takes another run to answer.
                core.flights.retire(&self.key, published.run);
                continue;
            }
            return self.answered(&published);
        }
    }

    fn join(&self, miss_is_counted: &mut bool) -> Joined<S> {
        let joined = match self.cache.core().flights.join(&self.key, Context::current_run()) {
            Join::Lead(lead) => return Joined::Turn(self.look_again(lead, *miss_is_counted)),
            Join::Ready(published) => Joined::Ready(published),
            Join::Wait(wait) => Joined::Wait(wait),
            Join::Cycle => Joined::Turn(self.refuse_to_wait()),
        };
        self.count_miss(miss_is_counted);
        joined
    }

    fn refuse_to_wait(&self) -> Turn<S> {
        self.warn(Topic::Cycle, |key| {
            tracing::warn!(key, "a memorized function waits for itself: the inner call runs uncached");
        });
        Turn::Bypass
    }

    /// What a call is to do that skips the lookup, or not.
    pub(crate) async fn next(&self, refresh: bool) -> Turn<S> {
        if refresh { Turn::Lead(self.refresh()) } else { self.turn().await }
    }

    /// As [`next`](Self::next), or a stale value that is at hand at the deadline.
    pub(crate) async fn next_by(&self, deadline: Option<Instant>, refresh: bool) -> Result<Turn<S>, S::Return> {
        match deadline {
            None => Ok(self.next(refresh).await),
            Some(deadline) => Box::pin(self.or_stale(deadline, self.next(refresh))).await,
        }
    }

    /// A run that supersedes the one under way.
    pub(crate) fn refresh(&self) -> Leading {
        let lead = self.cache.core().flights.supersede(&self.key, Context::current_run());
        Leading { lead, ask: Ask::Generations }
    }

    /// A run that refreshes a value which is good enough to be answered meanwhile; `None` when one is under way.
    pub(crate) fn renew(&self) -> Option<Leading> {
        let core = self.cache.core();
        let lead = core.flights.lead_if_idle(&self.key)?;
        core.rest(self.key.as_key());
        Some(Leading { lead, ask: Ask::Lease })
    }

    /// The leader looks once more: somebody may have stored the value since the first look.
    fn look_again(&self, lead: Lead<Key, Published>, miss_is_counted: bool) -> Turn<S> {
        let core = self.cache.core();
        let epoch = core.epochs.current();
        let now = Tick::now();
        let see = |entry: &Entry, value: &S::Stored| {
            let what = Provenance::of_entry(entry, FmTier::Memory, now);
            (Arc::new(value.clone()), what, self.served(entry, value, now))
        };
        match core.look_at(self.key.as_key(), now, |entry| self.answers(entry, now), see) {
            Look::Value((stored, what, served)) => {
                let answer = Answer { stored, what, epoch, groups: Box::default(), served };
                Turn::Answer(self.found(lead, answer, miss_is_counted, |_| {}))
            }
            _ => Turn::Lead(Leading { lead, ask: Ask::Value { miss_is_counted } }),
        }
    }

    /// What the shared store has to say before the body runs: perhaps the answer.
    ///
    /// The others wait for this, so a call whose body has a task of its own does this in that task too.
    pub(crate) async fn begin(&self, leading: Leading) -> Begun<S> {
        match self.begin_here(leading) {
            Ok(run) => Begun::Run(run),
            Err((leading, remote)) => Box::pin(self.begin_remote(remote, leading)).await,
        }
    }

    /// The same where there is no shared store.
    pub(super) fn begin_here(
        &self,
        Leading { lead, ask }: Leading,
    ) -> Result<Run<S::Stored>, (Leading, &dyn RemoteTier)> {
        Tick::notice_paused_time();
        if let Some(remote) = self.shared_store() {
            return Err((Leading { lead, ask }, remote));
        }
        self.count_miss_of(&ask);
        let excuse = if let Ask::Generations = ask { Excuse::None } else { Excuse::Memory };
        let epoch = self.cache.core().epochs.current();
        Ok(Run { lead, epoch, began: Tick::now(), stamp: None, excuse })
    }

    pub(super) async fn begin_remote(&self, remote: &dyn RemoteTier, Leading { lead, ask }: Leading) -> Begun<S> {
        let core = self.cache.core();
        let (epoch, began) = (core.epochs.current(), Tick::now());
        let run = |lead, stamp, excuse| Begun::Run(Run { lead, epoch, began, stamp, excuse });
        if let Ask::Generations = ask {
            return run(lead, core.stamp(remote, &self.key).await, Excuse::None);
        }
        let mut found = core.find(remote, &self.key, self.face, began, epoch).await;
        let mut is_leased = false;
        if let (Ask::Lease, true) = (&ask, found.wants_refresh()) {
            is_leased = self.lease(remote).await;
            if is_leased {
                // Who had the lease before may have stored the value meanwhile.
                found = core.find(remote, &self.key, self.face, began, epoch).await;
            }
        }
        let Found { copied, stamp } = found;
        let Some(copied) = copied else {
            self.count_miss_of(&ask);
            return run(lead, stamp, Excuse::Memory);
        };
        let standing = copied.entry.standing(Tick::now());
        if !self.answers(&copied.entry, Tick::now()) || is_leased && standing.is_due() {
            self.count_miss_of(&ask);
            return run(lead, stamp, Excuse::Remote(Box::new(copied)));
        }
        let answer = self.keep_copy(lead, epoch, copied, &ask);
        if standing.is_due() { Begun::Due(answer) } else { Begun::Answer(answer) }
    }

    /// Whether this is the process that refreshes the value. Where nobody can say, it is.
    async fn lease(&self, remote: &dyn RemoteTier) -> bool {
        let core = self.cache.core();
        let lease = remote.lease(&core.remote_key(self.key.as_key()), core.defaults.throttle).await;
        lease.inspect_err(|error| core.count_error(self.key.as_key(), "lease", error)).unwrap_or(true)
    }

    /// Answers with what the shared store had, and keeps it in memory.
    fn keep_copy(&self, lead: Lead<Key, Published>, epoch: u64, copied: Copied<S::Stored>, ask: &Ask) -> S::Return {
        let core = self.cache.core();
        let what = Provenance::of_entry(&copied.entry, FmTier::Remote, Tick::now());
        let served = self.served(&copied.entry, &copied.value, Tick::now());
        let answer = Answer { stored: copied.value, what, epoch, groups: copied.entry.groups().into(), served };
        let is_counted = !matches!(ask, Ask::Value { miss_is_counted: false });
        self.found(lead, answer, is_counted, |key| {
            if let Some(local) = &core.local {
                local.insert(key, copied.entry);
            }
        })
    }

    fn count_miss(&self, is_counted: &mut bool) {
        if !std::mem::replace(is_counted, true) {
            self.counters().misses.add_one();
        }
    }

    fn count_miss_of(&self, ask: &Ask) {
        if let Ask::Value { miss_is_counted: false } = ask {
            self.counters().misses.add_one();
        }
    }

    /// Answers with what was stored, everybody who waits too, after `keep`ing it unless it was invalidated meanwhile.
    fn found(
        &self,
        lead: Lead<Key, Published>,
        Answer { stored, what, epoch, groups, served }: Answer<S::Stored>,
        is_counted: bool,
        keep: impl FnOnce(Key),
    ) -> S::Return {
        if !is_counted {
            self.cache.core().note(self.key.as_key(), what);
        }
        if self.exchange.is_some() {
            self.tell(served.clone());
        }
        let run = lead.id();
        let published = || {
            let (said, served) = (Said::Value(stored.clone()), Some(served));
            Arc::new(Published { said, run, epoch, groups, stored: Some(what), served })
        };
        lead.finish_with(published, || keep(self.key.clone()));
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
        let answer = match &published.said {
            Said::Value(stored) => stored.downcast_ref().map(|stored: &S::Stored| self.shape.value(stored.clone())),
            Said::Absent(absent) => absent.downcast_ref().map(|absent: &S::Absent| self.shape.absent(*absent)),
            Said::Failed(shared) => {
                shared.downcast_ref().map(|shared: &H::Shared| self.shape.failed(self.share.failure(shared)))
            }
            Said::Ended(error) => self.ours.map(|ours| ours(error.clone())),
        }?;
        let coalesced = Provenance::of(FmOutcome::Coalesced);
        self.cache.core().note(self.key.as_key(), published.stored.filter(Provenance::is_stale).unwrap_or(coalesced));
        self.tell_of_another(published);
        Some(answer)
    }

    /// Runs the body past the cache.
    pub(crate) async fn bypass<F: Future<Output = S::Return>>(&self, body: impl FnOnce() -> F) -> S::Return {
        self.cache.core().count_bypass(self.key.as_key());
        if self.exchange.is_none() {
            return body().await;
        }
        let returned = Context::inside(None).scope(body()).await;
        self.tell(Served::unstored(FmOutcome::Bypassed));
        returned
    }

    /// When this call takes a stale value rather than to wait on; `None`: never.
    pub(crate) fn soft_deadline(&self) -> Option<Instant> {
        let soft = self.limits.soft.filter(|_| Handle::try_current().is_ok())?;
        // A moment that no clock reaches is never.
        Instant::now().checked_add(soft)
    }

    /// What is awaited, or a stale value that is at hand at the deadline.
    pub(crate) async fn or_stale<T>(
        &self,
        deadline: Instant,
        awaited: impl Future<Output = T>,
    ) -> Result<T, S::Return> {
        let mut awaited = pin!(awaited);
        if let Ok(output) = timeout_at(deadline, &mut awaited).await {
            return Ok(output);
        }
        match self.cache.core().bridge(&self.key, self.face).await {
            Some((stored, what)) => {
                if let Some((exchange, _)) = &self.exchange {
                    exchange.tell_at_last(Served::instead(what, self.print(&stored)));
                }
                Err(self.shape.value(stored))
            }
            None => Ok(awaited.await),
        }
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
