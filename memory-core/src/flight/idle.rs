//! Waiting until nothing runs.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use super::{
    Shared,
    run::Run,
    sync::{AtomicUsize, Mutex, lock},
    wakers::{Ticket, Wakers},
};

/// Those who wait until nothing runs.
#[derive(Default)]
pub(super) struct Idlers {
    wakers: Mutex<Wakers>,
    /// How many there are, so that the end of a run costs no lock while there are none.
    ///
    /// An idler announces itself here before it counts the runs, and a run is counted out before it looks here, in one
    /// order for all (`SeqCst`): one of the two sees the other.
    count: AtomicUsize,
}

/// Counts one body that runs or one store that is pending.
pub(super) struct Active<K, V: ?Sized>(pub(super) Arc<Run<K, V>>);

/// Ready once every run that was under way has ended.
pub(crate) struct Idle<K, V: ?Sized> {
    shared: Arc<Shared<K, V>>,
    ticket: Option<Ticket>,
}

impl<K, V: ?Sized> Shared<K, V> {
    pub(super) fn active(&self) -> usize {
        self.shards.iter().map(|shard| shard.active.load(Ordering::SeqCst)).sum()
    }
}

impl<K, V: ?Sized> Active<K, V> {
    pub(super) fn new(run: Arc<Run<K, V>>) -> Self {
        run.shard().active.fetch_add(1, Ordering::SeqCst);
        Self(run)
    }
}

impl<K, V: ?Sized> Drop for Active<K, V> {
    fn drop(&mut self) {
        let idlers = &self.0.shared().idlers;
        let was_last = self.0.shard().active.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last && idlers.count.load(Ordering::SeqCst) > 0 {
            let roused = lock(&idlers.wakers).rouse_all();
            roused.wake();
        }
    }
}

impl<K, V: ?Sized> Idle<K, V> {
    pub(super) fn new(shared: Arc<Shared<K, V>>) -> Self {
        Self { shared, ticket: None }
    }

    fn sleep(&mut self, cx: &Context<'_>) {
        let idlers = &self.shared.idlers;
        let mut wakers = lock(&idlers.wakers);
        let ticket = *self.ticket.get_or_insert_with(|| {
            idlers.count.fetch_add(1, Ordering::SeqCst);
            wakers.ticket()
        });
        wakers.sleep(ticket, cx.waker());
    }
}

impl<K, V: ?Sized> Future for Idle<K, V> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep(cx);
        if self.shared.active() == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<K, V: ?Sized> Drop for Idle<K, V> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            lock(&self.shared.idlers.wakers).forget(ticket);
            self.shared.idlers.count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
