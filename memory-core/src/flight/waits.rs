//! Which run waits for which, so that a wait that could never end is refused.
//!
//! A run waits for another while a call in its body has joined or started that other one. Only calls made inside a
//! run come here: a call from outside makes no edge and takes no lock.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use smallvec::SmallVec;

use super::sync::{Mutex, lock};

/// The name of a run; no two runs of a process share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RunId(u64);

impl RunId {
    pub(super) fn next() -> Self {
        /// So many are taken by a thread at a time: misses on many threads would meet at the counter.
        const AT_A_TIME: u64 = 1024;
        static NEXT: AtomicU64 = AtomicU64::new(1);
        thread_local! {
            static OWN: Cell<Range<u64>> = const { Cell::new(0..0) };
        }
        let mut own = OWN.take();
        let id = own.next().unwrap_or_else(|| {
            let first = NEXT.fetch_add(AT_A_TIME, Ordering::Relaxed);
            own = first + 1..first + AT_A_TIME;
            first
        });
        OWN.set(own);
        Self(id)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "run {}", self.0)
    }
}

/// The graph of waits, to be shared by all [`Flights`](super::Flights) whose runs may call each other.
#[derive(Clone)]
pub(crate) struct Waits(Arc<Mutex<Graph>>);

/// From a run to those it waits for: as often as it waits, which may be several times at once for one.
type Graph = HashMap<RunId, SmallVec<[RunId; 2]>>;

impl Waits {
    /// The one of this process: runs call each other across caches too.
    pub(crate) fn of_process() -> Self {
        static PROCESS: LazyLock<Waits> = LazyLock::new(Waits::new);
        PROCESS.clone()
    }

    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Graph::new())))
    }

    /// Records that `waiting` waits for `target`, unless `target` waits for `waiting` already, directly or through
    /// others: then neither would ever end. Looking and recording are one step, so of two runs that turn to each
    /// other at the same time one is refused.
    pub(super) fn link(&self, waiting: RunId, target: RunId) -> Option<Edge> {
        let mut graph = lock(&self.0);
        if leads_to(&graph, target, waiting) {
            return None;
        }
        graph.entry(waiting).or_default().push(target);
        Some(Edge { waits: self.clone(), waiting, target })
    }

    /// How many runs wait for another.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

/// The record that a run waits for another one, for as long as it lives.
pub(crate) struct Edge {
    waits: Waits,
    waiting: RunId,
    target: RunId,
}

impl Drop for Edge {
    fn drop(&mut self) {
        let mut graph = lock(&self.waits.0);
        if let Some(targets) = graph.get_mut(&self.waiting) {
            if let Some(position) = targets.iter().position(|target| *target == self.target) {
                targets.swap_remove(position);
            }
            if targets.is_empty() {
                graph.remove(&self.waiting);
            }
        }
    }
}

fn leads_to(graph: &Graph, from: RunId, goal: RunId) -> bool {
    let mut ahead: SmallVec<[RunId; 8]> = SmallVec::new();
    let mut seen = HashSet::new();
    ahead.push(from);
    while let Some(run) = ahead.pop() {
        if run == goal {
            return true;
        }
        if let Some(targets) = graph.get(&run)
            && seen.insert(run)
        {
            ahead.extend_from_slice(targets);
        }
    }
    false
}
