//! One run: its seats, its waiters, its answer.

use std::sync::Arc;

use super::{
    Join, Lead, Lookup, RunId, Shard, Shared, Table, Wait, Waits,
    sync::{Mutex, MutexGuard, lock},
    wakers::{Roused, Ticket, Wakers},
};

/// How many callers lead a scattered run side by side.
pub(crate) const CROWD: usize = 8;

/// One run of a body, or of several at once after [`Lead::scatter`].
pub(super) struct Run<K, V: ?Sized> {
    id: RunId,
    hash: u64,
    key: K,
    shared: Arc<Shared<K, V>>,
    state: Mutex<State<V>>,
}

/// What changes while a run is under way. The answer, once given, stays; it is given only under the shard's lock.
pub(super) struct State<V: ?Sized> {
    answer: Option<Arc<V>>,
    /// How many may lead.
    seats: usize,
    /// How many do.
    leads: usize,
    /// How many wait, asleep or not.
    waits: usize,
    waiting: Wakers,
    /// Leads that want to know when another one has answered.
    watching: Wakers,
}

impl<K, V: ?Sized> Run<K, V> {
    /// A run with one seat, which is taken.
    pub(super) fn new(shared: Arc<Shared<K, V>>, hash: u64, key: K) -> Self {
        let state = State {
            answer: None,
            seats: 1,
            leads: 1,
            waits: 0,
            waiting: Wakers::default(),
            watching: Wakers::default(),
        };
        Self { id: RunId::next(), hash, key, shared, state: Mutex::new(state) }
    }

    pub(super) fn id(&self) -> RunId {
        self.id
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn key(&self) -> &K {
        &self.key
    }

    pub(super) fn is(&self, hash: u64, key: &impl Lookup<K>) -> bool {
        self.hash == hash && key.is(&self.key)
    }

    pub(super) fn shared(&self) -> &Shared<K, V> {
        &self.shared
    }

    pub(super) fn shard(&self) -> &Shard<K, V> {
        self.shared.shard(self.hash)
    }

    pub(super) fn waits(&self) -> &Waits {
        &self.shared.waits
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<V>> {
        lock(&self.state)
    }

    /// Lets a caller in. The shard is locked, so the run can't go meanwhile.
    pub(super) fn admit(self: &Arc<Self>, within: Option<RunId>) -> Join<K, V> {
        let mut state = self.state();
        if let Some(value) = &state.answer {
            return Join::Ready(Arc::clone(value));
        }
        let edge = match within.map(|caller| self.waits().link(caller, self.id)) {
            Some(None) => return Join::Cycle,
            Some(edge) => edge,
            None => None,
        };
        if state.take_seat() {
            Join::Lead(Lead::seated(Arc::clone(self), edge))
        } else {
            Join::Wait(Wait::new(Arc::clone(self), state.enter(), edge))
        }
    }

    /// Whether the run is in the table, so that it may store.
    pub(super) fn is_attached(self: &Arc<Self>) -> bool {
        lock(&self.shard().table).find(self.hash, |other| Arc::ptr_eq(other, self)).is_some()
    }

    /// Takes the run out of the table after doing `last`, if it is still in it; whether it was.
    pub(super) fn take_out(self: &Arc<Self>, table: &mut Table<K, V>, last: impl FnOnce()) -> bool {
        let Ok(slot) = table.find_entry(self.hash, |other| Arc::ptr_eq(other, self)) else {
            return false;
        };
        last();
        slot.remove();
        true
    }

    /// Takes the run out of the table if nobody leads it or waits for it any more.
    pub(super) fn reap(self: &Arc<Self>) {
        let mut table = lock(&self.shard().table);
        if self.state().is_deserted() {
            self.take_out(&mut table, || ());
        }
    }
}

impl<V: ?Sized> State<V> {
    pub(super) fn answer(&self) -> Option<&Arc<V>> {
        self.answer.as_ref()
    }

    /// Answers everybody; there must be no answer yet.
    pub(super) fn give_answer(&mut self, value: Arc<V>) -> (Roused, Roused) {
        self.answer = Some(value);
        (self.waiting.rouse_all(), self.watching.rouse_all())
    }

    pub(super) fn has_waiters(&self) -> bool {
        self.waits > 0
    }

    /// Whether anybody but one lead is in it.
    pub(super) fn is_shared(&self) -> bool {
        self.waits > 0 || self.leads > 1
    }

    /// Whether several may lead.
    pub(super) fn is_crowd(&self) -> bool {
        self.seats > 1
    }

    /// Lets several lead from now on.
    pub(super) fn widen(&mut self) {
        self.seats = CROWD;
    }

    /// Takes a free seat; whether there was one.
    pub(super) fn take_seat(&mut self) -> bool {
        let free = self.free_seats() > 0;
        self.leads += usize::from(free);
        free
    }

    /// Gives a seat back, and rouses those who may take the free ones.
    ///
    /// The only seat is offered to all: were it offered to one, a waiter that is alive but never polled again would
    /// hold up the others. In a crowd, where a seat falls free at the end of each of many bodies, one waiter a free
    /// seat is enough.
    pub(super) fn leave_seat(&mut self) -> Roused {
        self.leads -= 1;
        let free = self.free_seats();
        self.waiting.rouse(if self.is_crowd() { free } else { usize::MAX })
    }

    /// Lets a waiter in.
    pub(super) fn enter(&mut self) -> Ticket {
        self.waits += 1;
        self.waiting.ticket()
    }

    /// Lets a waiter go that has got what it came for.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waits -= 1;
        self.waiting.forget(ticket);
    }

    /// Lets a waiter go that gives up. It may have been roused for a free seat, so the next one has to be.
    pub(super) fn give_up(&mut self, ticket: Ticket) -> Roused {
        self.leave(ticket);
        self.waiting.rouse(self.free_seats().min(1))
    }

    pub(super) fn waiting(&mut self) -> &mut Wakers {
        &mut self.waiting
    }

    pub(super) fn watching(&mut self) -> &mut Wakers {
        &mut self.watching
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.answer.is_none() && self.leads == 0 && self.waits == 0
    }

    fn free_seats(&self) -> usize {
        self.seats - self.leads
    }
}
