//! Storing what a run has made.

use std::sync::Arc;

use super::{
    Job, Served, Topic,
    engine::{Published, Run, Said},
    life::Life,
    outcome::{Face, Outcome, Share, Verdict},
    report::FmOutcome,
    store::Origin,
};
use crate::{
    backend::{Group, RemoteTier, RemoteWrite, Stamp, Written},
    entry::Weighed,
    print::Print,
    time::Tick,
};

/// A value to be stored.
pub(super) struct Kept<T> {
    pub(super) run: Run<T>,
    pub(super) stored: Arc<T>,
    /// `None`: it is only told.
    pub(super) life: Option<Life>,
    pub(super) groups: Box<[Group]>,
    /// How it looks to HTTP clients, where one asks.
    pub(super) print: Option<Arc<Print>>,
}

impl<S, X, H> Job<S, X, H>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// How long the value is kept; `None`: not at all.
    pub(super) fn life(&self, verdict: &Verdict) -> Option<Life> {
        Life::decide(verdict, self.limits, &self.cache.core().defaults).unwrap_or_else(|error| {
            self.counters().errors.add_one();
            self.warn(Topic::Expiry, |key| tracing::error!(key, %error, "the value is not stored"));
            None
        })
    }

    /// The shared store, where values of this call go there.
    pub(super) fn shared_store(&self) -> Option<&dyn RemoteTier> {
        match &self.gathering {
            _ if !self.face.leaves_the_process() => None,
            Some(gathering) => Some(&**gathering),
            None => self.cache.core().remote.as_deref(),
        }
    }

    /// Tells the waiters, and stores in memory.
    pub(super) fn keep_here(&self, Kept { run, stored, life, groups, print }: Kept<S::Stored>) {
        let core = self.cache.core();
        let entry = life.filter(|_| core.local.is_some()).map(|life| {
            let origin = self.origin(&run, groups.clone(), print.clone());
            core.entry(stored.clone(), self.face, life, origin)
        });
        let is_kept = life.is_some();
        let (id, epoch) = (run.lead.id(), run.epoch);
        let published = || {
            let served = Some(Served::made(FmOutcome::Computed, life, print));
            Arc::new(Published { said: Said::Value(stored), run: id, epoch, groups, stored: None, served })
        };
        let mut is_stored = false;
        run.lead.finish_with(published, || is_stored = self.insert(entry));
        if is_kept {
            self.count_stored(is_stored);
        }
    }

    fn origin(&self, run: &Run<S::Stored>, groups: Box<[Group]>, print: Option<Arc<Print>>) -> Origin {
        let coherence = self.cache.core().coherence.as_ref();
        let copied = coherence.filter(|_| self.face.leaves_the_process()).map(|_| run.began);
        Origin { born: Tick::now(), epoch: run.epoch, groups, copied, rests: None, print }
    }

    /// The waiters have their answer before the shared store has the value; until it has, the run stays known, so that later calls
    /// join it instead of running again.
    pub(super) async fn keep_remote(
        &self,
        remote: &dyn RemoteTier,
        Kept { run, stored, life, groups, print }: Kept<S::Stored>,
    ) {
        let core = self.cache.core();
        let origin = self.origin(&run, groups.clone(), print.clone());
        let served = Served::made(FmOutcome::Computed, life, print);
        let published = run.publication(Said::Value(stored.clone()), groups, None, Some(served));
        let Some(life) = life else {
            run.lead.answer(published);
            return;
        };
        let storing = run.lead.publish(published);
        let written = if storing.is_detached() || core.epochs.covers(run.epoch, &origin.groups) {
            self.counters().outdated.add_one();
            Some(Written::Outdated)
        } else if let Some(stamp) = run.stamp {
            self.write_remote(remote, &stored, life, stamp, &origin).await
        } else {
            None
        };
        // What the shared store refuses is outdated, whoever knows it.
        let entry = core.local.as_ref().filter(|_| written != Some(Written::Outdated));
        let entry = entry.map(|_| core.entry(stored, self.face, life, origin));
        storing.commit(|| {
            self.insert(entry);
        });
    }

    /// Without a stamp there is no write: the store could not be read when the run began, so that something newer might be overwritten.
    async fn write_remote(
        &self,
        remote: &dyn RemoteTier,
        stored: &S::Stored,
        life: Life,
        stamp: Stamp,
        origin: &Origin,
    ) -> Option<Written> {
        let core = self.cache.core();
        let write = core.remote_write(remote, &self.key, self.face, stored, life, origin)?;
        let written = match write {
            Ok(write) => remote.store(&[RemoteWrite { stamp: Some(stamp), ..write }]).await,
            Err(error) => {
                core.count_error(self.key.as_key(), "encoding", &error);
                return None;
            }
        };
        match written {
            Ok(written) => {
                core.count_written(self.key.as_key(), &written);
                written.first().copied()
            }
            Err(error) => {
                core.count_error(self.key.as_key(), "write", &error);
                None
            }
        }
    }

    /// Keeps a value in memory; whether it was.
    fn insert(&self, entry: Option<Weighed>) -> bool {
        let core = self.cache.core();
        let valid = entry.filter(|entry| !core.epochs.covers_entry(entry));
        let (Some(local), Some(entry)) = (&core.local, valid) else { return false };
        local.insert(self.key.clone(), entry);
        true
    }

    fn count_stored(&self, stored: bool) {
        if stored {
            self.counters().stores.add_one();
        } else if self.cache.core().local.is_some() {
            self.counters().outdated.add_one();
        }
    }
}
