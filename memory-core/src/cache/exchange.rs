//! What an HTTP request and the memorized handler that answers it tell each other.

use std::{
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Context,
    life::Life,
    report::{FmOutcome, Provenance},
};
use crate::{
    entry::{Entry, Late, Standing},
    print::Print,
    time::{Expiry, FOREVER, Tick},
};

/// Whether there has ever been a layer that asks: until then no call looks for an exchange.
static EXPECTED: AtomicBool = AtomicBool::new(false);

/// One request; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Exchange(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    wish: Wish,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    served: Option<Served>,
    /// The caller has its answer, whatever its run is going to say.
    is_over: bool,
    is_refused: bool,
}

/// What a client asks of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The body runs past the cache.
    pub(crate) bypass: bool,
    /// The body runs, and its value is stored.
    pub(crate) refresh: bool,
    /// Nothing older.
    pub(crate) max_age: Option<Duration>,
    /// Nothing that expires sooner.
    pub(crate) min_fresh: Option<Duration>,
    /// What has expired up to so long ago will do.
    pub(crate) max_stale: Option<Duration>,
    /// The body does not run.
    pub(crate) only_if_cached: bool,
}

/// How a call came to its answer, and what is known about that.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) outcome: FmOutcome,
    /// How long ago the value was made; `None` when it was not stored before.
    pub(crate) age: Option<Duration>,
    /// How long it stays fresh; `None` when it is not stored.
    pub(crate) left: Option<Expiry>,
    /// For how long it has not been fresh.
    pub(crate) stale_for: Duration,
    /// Of what use it is from its expiry on, or from now on where that has passed.
    pub(crate) late: Late,
    /// How the value looks; `None` where there is none, or its body can't be seen.
    pub(crate) print: Option<Arc<Print>>,
}

impl Exchange {
    pub(crate) fn new(wish: Wish) -> Self {
        Self::expect();
        Self(Arc::new(Shared { wish, told: Mutex::default() }))
    }

    /// From now on there may be some.
    pub(crate) fn expect() {
        EXPECTED.store(true, Ordering::Relaxed);
    }

    /// Whether there may be some, and entries need room for how they look.
    #[inline]
    pub(crate) fn is_expected() -> bool {
        EXPECTED.load(Ordering::Relaxed)
    }

    /// The one that a call is the answer to: not one that is made in the body of another.
    #[inline]
    pub(crate) fn of_this_call() -> Option<Self> {
        if Self::is_expected() { Context::exchange() } else { None }
    }

    pub(crate) fn wish(&self) -> &Wish {
        &self.0.wish
    }

    /// Notes how a call came to its answer; the last call counts.
    pub(crate) fn tell(&self, served: Served) {
        let mut told = self.told();
        if !told.is_over {
            told.served = Some(served);
        }
    }

    /// The same for an answer that does not wait for its run.
    pub(crate) fn tell_at_last(&self, served: Served) {
        self.tell(served);
        self.told().is_over = true;
    }

    /// What was told; nothing more is heard.
    pub(crate) fn close(&self) -> Option<Served> {
        let mut told = self.told();
        told.is_over = true;
        told.served.take()
    }

    /// Never ready: whoever polls the request answers in the place of the call.
    pub(crate) async fn refuse<T>(&self) -> T {
        self.told().is_refused = true;
        pending().await
    }

    /// Whether the call has no answer.
    pub(crate) fn is_refused(&self) -> bool {
        self.told().is_refused
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wish {
    /// Whether an entry will do.
    pub(crate) fn takes(&self, entry: &Entry, now: Tick) -> bool {
        let standing = entry.standing(now);
        let is_young = self.max_age.is_none_or(|limit| now.since(entry.born()) <= limit);
        if standing.is_fresh() {
            return is_young && self.min_fresh.is_none_or(|least| entry.expires.since(now) >= least);
        }
        match self.max_stale {
            Some(limit) => is_young && standing != Standing::Over && now.since(entry.expires) <= limit,
            None => standing.answers() && self.max_age.is_none() && self.min_fresh.is_none(),
        }
    }
}

impl Served {
    /// A stored value.
    pub(crate) fn of_entry(entry: &Entry, now: Tick, print: Option<Arc<Print>>) -> Self {
        let is_fresh = now < entry.expires;
        let stale_for = if is_fresh { Duration::ZERO } else { now.since(entry.expires) };
        let late = entry.late();
        Self {
            outcome: if is_fresh { FmOutcome::Hit } else { FmOutcome::Stale },
            age: Some(now.since(entry.born())),
            left: Some(if entry.expires == Tick::NEVER { FOREVER } else { Expiry::after(entry.expires.since(now)) }),
            stale_for,
            late: Late {
                answers: late.answers.saturating_sub(stale_for),
                excuses: late.excuses.saturating_sub(stale_for),
                bridges: late.bridges.saturating_sub(stale_for),
            },
            print,
        }
    }

    /// A value that stands in for what a run did not bring.
    pub(crate) fn instead(what: Provenance, print: Option<Arc<Print>>) -> Self {
        let left = what.left().map(Expiry::after);
        Self { age: what.age(), left, print, ..Self::unstored(what.outcome()) }
    }

    /// A value that was made just now.
    pub(crate) fn made(outcome: FmOutcome, life: Option<Life>, print: Option<Arc<Print>>) -> Self {
        let late = life.map(|life| life.late).unwrap_or_default();
        Self { left: life.map(|life| life.expiry), late, print, ..Self::unstored(outcome) }
    }

    /// No value that is stored.
    pub(crate) fn unstored(outcome: FmOutcome) -> Self {
        Self { outcome, age: None, left: None, stale_for: Duration::ZERO, late: Late::default(), print: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Tick {
        Tick::default().after(SECOND * seconds)
    }

    fn entry() -> Entry {
        let late = Late { answers: SECOND * 5, excuses: SECOND * 20, ..Late::default() };
        Entry::new(Arc::new(1), at(0), Expiry::after(SECOND * 10)).of_use_late(late)
    }

    #[test]
    fn a_wish_bounds_age_and_freshness() {
        let takes = |wish: Wish, second| wish.takes(&entry(), at(second));
        let any = Wish::default();
        assert_eq!([0, 9, 10, 14, 15, 30].map(|second| takes(any, second)), [true, true, true, true, false, false]);
        let young = Wish { max_age: Some(SECOND * 3), ..any };
        assert_eq!([3, 4, 11].map(|second| takes(young, second)), [true, false, false]);
        let fresh = Wish { min_fresh: Some(SECOND * 4), ..any };
        assert_eq!([6, 7, 11].map(|second| takes(fresh, second)), [true, false, false]);
    }

    #[test]
    fn who_takes_stale_values_gets_what_is_kept() {
        let takes = |limit: u32, second| {
            Wish { max_stale: Some(SECOND * limit), ..Wish::default() }.takes(&entry(), at(second))
        };
        assert_eq!([13, 14].map(|second| takes(3, second)), [true, false], "not even what is answered to others");
        assert_eq!([29, 30].map(|second| takes(u32::MAX, second)), [true, false]);
    }

    #[test]
    fn what_is_left_of_a_stale_value_shrinks() {
        let served = Served::of_entry(&entry(), at(12), None);
        assert_eq!((served.outcome, served.stale_for), (FmOutcome::Stale, SECOND * 2));
        assert_eq!((served.late.answers, served.late.excuses), (SECOND * 3, SECOND * 18));
        assert_eq!(served.left, Some(Expiry::after(Duration::ZERO)));
    }
}
