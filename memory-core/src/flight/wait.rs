//! Waiting for the run of somebody else.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Edge, Lead, run::Run, wakers::Ticket};

/// Ready once the run is answered, or once it is the waiter's turn to run. Cancel safe: one that is dropped while it
/// is its turn leaves the turn to the others.
pub(crate) struct Wait<K, V: ?Sized> {
    /// `None` once ready.
    place: Option<Place<K, V>>,
}

/// How a wait ended.
pub(crate) enum Waited<K, V: ?Sized> {
    /// With the run's answer.
    Done(Arc<V>),
    /// Without: whoever ran is gone, and the waiter takes over.
    Lead(Lead<K, V>),
}

struct Place<K, V: ?Sized> {
    run: Arc<Run<K, V>>,
    ticket: Ticket,
    edge: Option<Edge>,
}

impl<K, V: ?Sized> Wait<K, V> {
    /// Waits in a run that was entered with `ticket`.
    pub(super) fn new(run: Arc<Run<K, V>>, ticket: Ticket, edge: Option<Edge>) -> Self {
        Self { place: Some(Place { run, ticket, edge }) }
    }
}

impl<K, V: ?Sized> Future for Wait<K, V> {
    type Output = Waited<K, V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Waited<K, V>> {
        let Some(Place { run, ticket, edge }) = &mut self.place else {
            return Poll::Pending;
        };
        let mut state = run.state();
        let waited = if let Some(value) = state.answer() {
            Waited::Done(Arc::clone(value))
        } else if state.take_seat() {
            Waited::Lead(Lead::seated(Arc::clone(run), edge.take()))
        } else {
            state.waiting().sleep(*ticket, cx.waker());
            return Poll::Pending;
        };
        state.leave(*ticket);
        drop(state);
        self.place = None;
        Poll::Ready(waited)
    }
}

impl<K, V: ?Sized> Drop for Wait<K, V> {
    fn drop(&mut self) {
        let Some(Place { run, ticket, edge }) = self.place.take() else {
            return;
        };
        let mut state = run.state();
        let roused = state.give_up(ticket);
        let deserted = state.is_deserted();
        drop(state);
        if deserted {
            run.reap();
        }
        drop(edge);
        roused.wake();
    }
}
