//! What a call that answers an HTTP request looks for, and what it tells.

use std::sync::Arc;

use super::{
    Exchange, Job, Served,
    engine::{Published, Said},
    outcome::{Face, Outcome, Share},
    report::{FmOutcome, FmTier, Provenance},
};
use crate::{entry::Entry, print::Print, time::Tick};

impl<S, X, H> Job<S, X, H>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// Whether the body has to run past the cache.
    pub(crate) fn is_to_bypass(&self) -> bool {
        self.exchange.as_ref().is_some_and(|(exchange, _)| exchange.wish().bypass)
    }

    /// The request whose answer must not come from a run.
    pub(crate) fn only_if_cached(&self) -> Option<&Exchange> {
        self.exchange.as_ref().map(|(exchange, _)| exchange).filter(|exchange| exchange.wish().only_if_cached)
    }

    /// The answer that the shared store has, where there is one; else there is none.
    pub(crate) async fn answer_if_cached(&self, exchange: &Exchange) -> S::Return {
        let core = self.cache.core();
        let copied = core.copied(&self.key, self.face).await.filter(|copied| self.answers(&copied.entry, Tick::now()));
        let Some(copied) = copied else { return exchange.refuse().await };
        let now = Tick::now();
        core.note(self.key.as_key(), Provenance::of_entry(&copied.entry, FmTier::Remote, now));
        self.tell(self.served(&copied.entry, &copied.value, now));
        self.shape.value(Arc::unwrap_or_clone(copied.value))
    }

    /// Whether a call answers with what is stored.
    pub(super) fn answers(&self, entry: &Entry, now: Tick) -> bool {
        match &self.exchange {
            None => entry.standing(now).answers(),
            Some((exchange, _)) => exchange.wish().takes(entry, now),
        }
    }

    /// What can be told about a stored value.
    pub(super) fn served(&self, entry: &Entry, value: &S::Stored, now: Tick) -> Served {
        let print = self.exchange.as_ref().and_then(|_| entry.print(|| self.print(value)));
        Served::of_entry(entry, now, print)
    }

    /// How a value looks to the client, where one asks.
    pub(super) fn print(&self, value: &S::Stored) -> Option<Arc<Print>> {
        let (_, show) = self.exchange.as_ref()?;
        show(self.shape.value(value.clone()))
    }

    pub(super) fn tell(&self, served: Served) {
        if let Some((exchange, _)) = &self.exchange {
            exchange.tell(served);
        }
    }

    /// Tells of an answer that another call's run has given.
    pub(super) fn tell_of_another(&self, published: &Published) {
        if self.exchange.is_none() {
            return;
        }
        let mut served = published.served.clone().unwrap_or_else(|| Served::unstored(FmOutcome::Coalesced));
        if served.outcome == FmOutcome::Computed {
            served.outcome = FmOutcome::Coalesced;
        }
        if let (None, Said::Value(value)) = (&served.print, &published.said) {
            served.print = value.downcast_ref().and_then(|value: &S::Stored| self.print(value));
        }
        self.tell(served);
    }
}
