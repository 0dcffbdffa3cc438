//! The right and the duty to run.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    Edge, RunId, Shared,
    idle::Active,
    run::Run,
    sync::lock,
    wakers::{Roused, Ticket},
};

/// The right and the duty to run the body. Dropped without an answer (a panic, a cancelled task, a failure that is
/// nobody else's), it goes to the next waiter.
pub(crate) struct Lead<K, V: ?Sized> {
    run: Active<K, V>,
    edge: Option<Edge>,
    seated: bool,
}

/// An answer that is given, and still being stored.
pub(crate) struct Storing<K, V: ?Sized> {
    run: Active<K, V>,
    pending: bool,
}

/// Ready once another lead of a scattered run has answered; never, for the only lead of a run.
pub(crate) struct Overtaken<K, V: ?Sized> {
    run: Arc<Run<K, V>>,
    ticket: Option<Ticket>,
}

impl<K, V: ?Sized> Lead<K, V> {
    /// Leads a new run, which nobody else knows yet.
    pub(super) fn start(shared: &Arc<Shared<K, V>>, hash: u64, key: K, within: Option<RunId>) -> Self {
        let run = Arc::new(Run::new(Arc::clone(shared), hash, key));
        // A run that has not begun waits for nobody, so there can be no cycle.
        let edge = within.and_then(|caller| shared.waits.link(caller, run.id()));
        Self::seated(run, edge)
    }

    /// Leads a run in which a seat was taken for it.
    pub(super) fn seated(run: Arc<Run<K, V>>, edge: Option<Edge>) -> Self {
        Self { run: Active::new(run), edge, seated: true }
    }

    pub(super) fn run(&self) -> &Arc<Run<K, V>> {
        &self.run.0
    }

    /// The run, to be handed as `within` to the calls of its body.
    pub(crate) fn id(&self) -> RunId {
        self.run().id()
    }

    /// The key, owned.
    pub(crate) fn key(&self) -> &K {
        self.run().key()
    }

    /// The record that the caller's run waits for this one. A caller that hands the lead to a task of its own takes
    /// it out and keeps it as long as it awaits that task; else it goes with the lead.
    pub(crate) fn take_edge(&mut self) -> Option<Edge> {
        self.edge.take()
    }

    /// Whether somebody waits at this moment.
    ///
    /// After a `false`, dropping the lead is right even if somebody has come since: that caller takes over and runs,
    /// as one that came after the end.
    pub(crate) fn has_waiters(&self) -> bool {
        self.run().state().has_waiters()
    }

    /// Whether invalidation or a newer run has taken the right to store.
    pub(crate) fn is_detached(&self) -> bool {
        !self.run().is_attached()
    }

    /// Whether others may lead the same run side by side (see [`scatter`](Self::scatter)), so that it is worth
    /// watching [`overtaken`](Self::overtaken).
    pub(crate) fn is_one_of_many(&self) -> bool {
        self.run().state().is_crowd()
    }

    /// Ready with the answer of another lead of the same run.
    pub(crate) fn overtaken(&self) -> Overtaken<K, V> {
        Overtaken { run: Arc::clone(self.run()), ticket: None }
    }

    /// Ends the run: stores, unless detached, answers all waiters, and lets later calls go to the store. Whether
    /// `store` was called.
    ///
    /// `store` runs under a lock: it has to be short and must not come back here. If it panics, the run is not ended
    /// but dropped.
    pub(crate) fn finish(self, value: Arc<V>, store: impl FnOnce()) -> bool {
        self.end(|| value, store)
    }

    /// As [`finish`](Self::finish), with an answer that is made only if somebody waits for it: under a lock too.
    pub(crate) fn finish_with(self, value: impl FnOnce() -> Arc<V>, store: impl FnOnce()) -> bool {
        self.end(value, store)
    }

    /// Ends the run with an answer that is not to be stored: a failure, or what the store turned out to hold already.
    pub(crate) fn answer(self, value: Arc<V>) {
        self.end(|| value, || ());
    }

    /// Answers all waiters, and callers that join from now on, while the value is still on its way into a store that
    /// takes its time.
    pub(crate) fn publish(mut self, value: Arc<V>) -> Storing<K, V> {
        let table = lock(&self.run().shard().table);
        let mut state = self.run().state();
        let first = state.answer().is_none();
        let roused = if first { state.give_answer(value) } else { Default::default() };
        drop(state);
        drop(table);
        self.rise(roused);
        Storing { run: Active::new(Arc::clone(self.run())), pending: first }
    }

    /// Ends in a failure that can't be shared: each waiter has to run the body itself. Up to [`CROWD`](super::CROWD)
    /// of them do so side by side, later callers join them, and the first answer is everybody's.
    pub(crate) fn scatter(self) {
        self.run().state().widen();
    }

    fn end(mut self, value: impl FnOnce() -> Arc<V>, store: impl FnOnce()) -> bool {
        let run = self.run();
        let mut table = lock(&run.shard().table);
        if run.state().answer().is_some() {
            return false;
        }
        let stored = run.take_out(&mut table, store);
        let mut state = run.state();
        // Out of the table, it is joined by nobody any more.
        let roused = if state.is_shared() { state.give_answer(value()) } else { Default::default() };
        drop(state);
        drop(table);
        self.rise(roused);
        stored
    }

    /// Leaves the seat of a run that is answered: nobody needs to take it.
    fn rise(&mut self, (waiting, watching): (Roused, Roused)) {
        self.seated = false;
        self.edge = None;
        waiting.wake();
        watching.wake();
    }
}

impl<K, V: ?Sized> Drop for Lead<K, V> {
    fn drop(&mut self) {
        if self.seated {
            let mut state = self.run().state();
            let roused = state.leave_seat();
            let deserted = state.is_deserted();
            drop(state);
            if deserted {
                self.run().reap();
            }
            roused.wake();
        }
    }
}

impl<K, V: ?Sized> Storing<K, V> {
    /// Whether invalidation, a newer run or a quicker lead has taken the right to store. What a store has taken by
    /// then has to be undone.
    pub(crate) fn is_detached(&self) -> bool {
        !self.pending || !self.run.0.is_attached()
    }

    /// Does the last part of the store, unless detached, and lets later calls go to the store. Whether `store` was
    /// called.
    ///
    /// `store` runs under a lock: it has to be short and must not come back here.
    pub(crate) fn commit(mut self, store: impl FnOnce()) -> bool {
        let stored = self.take_out(store);
        self.pending = false;
        stored
    }

    fn take_out(&self, last: impl FnOnce()) -> bool {
        self.pending && self.run.0.take_out(&mut lock(&self.run.0.shard().table), last)
    }
}

impl<K, V: ?Sized> Drop for Storing<K, V> {
    fn drop(&mut self) {
        self.take_out(|| ());
    }
}

impl<K, V: ?Sized> Future for Overtaken<K, V> {
    type Output = Arc<V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arc<V>> {
        let this = &mut *self;
        let mut state = this.run.state();
        if let Some(value) = state.answer() {
            return Poll::Ready(Arc::clone(value));
        }
        if state.is_crowd() {
            let ticket = *this.ticket.get_or_insert_with(|| state.watching().ticket());
            state.watching().sleep(ticket, cx.waker());
        }
        Poll::Pending
    }
}

impl<K, V: ?Sized> Drop for Overtaken<K, V> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.run.state().watching().forget(ticket);
        }
    }
}
