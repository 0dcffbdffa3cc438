//! Who wants to be woken, in the order of their arrival.

use std::{collections::BTreeMap, mem, task::Waker};

/// A place in the order of arrival; lower came earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// The wakers of those who wait for one thing.
#[derive(Default)]
pub(super) struct Wakers {
    next: u64,
    asleep: BTreeMap<Ticket, Waker>,
}

impl Wakers {
    /// A place in the order of arrival.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    /// Has `waker` woken when the turn of `ticket` comes.
    pub(super) fn sleep(&mut self, ticket: Ticket, waker: &Waker) {
        self.asleep.entry(ticket).and_modify(|known| known.clone_from(waker)).or_insert_with(|| waker.clone());
    }

    /// Forgets the waker of `ticket`.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.asleep.remove(&ticket);
    }

    /// The first `at_most` of those who sleep, to be woken once no lock is held.
    pub(super) fn rouse(&mut self, at_most: usize) -> Roused {
        if at_most >= self.asleep.len() {
            return Roused(mem::take(&mut self.asleep));
        }
        let mut first = BTreeMap::new();
        while first.len() < at_most
            && let Some((ticket, waker)) = self.asleep.pop_first()
        {
            first.insert(ticket, waker);
        }
        Roused(first)
    }

    /// All who sleep, to be woken once no lock is held.
    pub(super) fn rouse_all(&mut self) -> Roused {
        self.rouse(usize::MAX)
    }
}

/// Wakers taken out under a lock. Waking runs foreign code, so it has to happen after the lock is released.
#[must_use = "whoever is not woken sleeps for ever"]
#[derive(Default)]
pub(super) struct Roused(BTreeMap<Ticket, Waker>);

impl Roused {
    /// Wakes them, in the order of their arrival.
    pub(super) fn wake(self) {
        if self.0.is_empty() {
            return;
        }
        self.0.into_values().for_each(Waker::wake);
    }
}
