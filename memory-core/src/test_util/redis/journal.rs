//! Removals that the store has missed.

use crate::backend::{Group, RemoteKey};

/// Removals to be replayed before the store is trusted again. Bounded: where there would be too many, everything goes
/// instead.
pub(super) struct Journal {
    waiting: Vec<Missed>,
    capacity: usize,
    next: u64,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Missed {
    number: u64,
    pub(super) removal: Removal,
    /// The operations of the workload that wait for it.
    pub(super) operations: Vec<u64>,
}

/// What is removed.
#[derive(Clone)]
pub(super) enum Removal {
    Keys(Vec<RemoteKey>),
    Group(Group),
}

impl Journal {
    pub(super) fn new(capacity: usize) -> Self {
        Self { waiting: Vec::new(), capacity, next: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn add(&mut self, removal: Removal, operation: Option<u64>) {
        self.push(removal, operation.into_iter().collect());
        if self.waiting.len() > self.capacity {
            let operations = std::mem::take(&mut self.waiting).into_iter().flat_map(|missed| missed.operations);
            let operations = operations.collect();
            self.push(Removal::Group(Group::All), operations);
        }
    }

    pub(super) fn backlog(&self) -> Vec<Missed> {
        self.waiting.clone()
    }

    /// Takes out what was replayed.
    pub(super) fn done(&mut self, backlog: &[Missed]) {
        self.waiting.retain(|missed| !backlog.iter().any(|done| done.number == missed.number));
    }

    fn push(&mut self, removal: Removal, operations: Vec<u64>) {
        self.next += 1;
        self.waiting.push(Missed { number: self.next, removal, operations });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_removals_become_everything_and_none_is_forgotten() {
        let mut journal = Journal::new(2);
        for operation in 1..=2 {
            journal.add(Removal::Keys(Vec::new()), Some(operation));
        }
        let backlog = journal.backlog();
        journal.add(Removal::Keys(Vec::new()), Some(3));
        journal.done(&backlog);
        let left = journal.backlog();
        assert!(matches!(&left[..], [Missed { removal: Removal::Group(Group::All), .. }]));
        assert_eq!(left[0].operations, [1, 2, 3]);
        journal.done(&left);
        assert!(journal.is_empty());
    }
}
