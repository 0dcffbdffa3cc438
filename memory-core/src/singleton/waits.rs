//! Which initializer waits for which singleton, so that two that need each other panic instead of waiting for ever.
//!
//! An initializer that waits for another singleton is an edge from its own to that one. A wait that would close a circle
//! could never end. A task or a thread that an initializer starts is not seen.

use std::{
    cell::RefCell,
    sync::{Mutex, MutexGuard, PoisonError},
};

thread_local! {
    /// The singletons whose initializers are on this thread's stack, outermost first.
    static INITIALIZING: RefCell<Vec<Cell>> = const { RefCell::new(Vec::new()) };
}

/// Who waits for whom, by address. Only initializers that wait are here, so it is short.
static EDGES: Mutex<Vec<Edge>> = Mutex::new(Vec::new());

type Edge = (usize, usize);

/// A singleton, which never moves because it is a static.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    address: usize,
    name: &'static str,
}

impl Cell {
    pub(super) fn of<T>(singleton: &T, name: &'static str) -> Self {
        Self { address: std::ptr::from_ref(singleton).addr(), name }
    }
}

/// The initializer of `cell` runs on this thread until the guard is dropped.
pub(super) fn initializing(cell: Cell) -> Initializing {
    INITIALIZING.with_borrow_mut(|stack| stack.push(cell));
    Initializing(())
}

pub(super) struct Initializing(());

impl Drop for Initializing {
    fn drop(&mut self) {
        INITIALIZING.with_borrow_mut(Vec::pop);
    }
}

/// Whoever calls this waits for `cell` until the guard is dropped.
///
/// # Panics
///
/// When that wait could never end.
pub(super) fn wait_for(cell: Cell) -> Waiting {
    let waiters = INITIALIZING.with_borrow(Vec::clone);
    let Some(innermost) = waiters.last() else {
        return Waiting { edges: Vec::new() };
    };
    let edges: Vec<Edge> = waiters.iter().map(|waiter| (waiter.address, cell.address)).collect();
    let mut all = lock();
    if waiters.iter().any(|waiter| reaches(&all, cell.address, waiter.address)) {
        drop(all);
        panic!(
            "the initializer of the singleton `{}` asks for `{}`, which waits for it: this could never end",
            innermost.name, cell.name
        );
    }
    all.extend(&edges);
    Waiting { edges }
}

/// A wait that can end; forgotten when dropped.
pub(super) struct Waiting {
    edges: Vec<Edge>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.edges.is_empty() {
            return;
        }
        let mut all = lock();
        for edge in &self.edges {
            if let Some(at) = all.iter().position(|other| other == edge) {
                all.swap_remove(at);
            }
        }
    }
}

/// Whether `from` is `to` or waits for it, directly or through others. There is never a circle among the edges.
fn reaches(edges: &[Edge], from: usize, to: usize) -> bool {
    from == to || edges.iter().any(|&(waiter, awaited)| waiter == from && reaches(edges, awaited, to))
}

fn lock() -> MutexGuard<'static, Vec<Edge>> {
    EDGES.lock().unwrap_or_else(PoisonError::into_inner)
}
