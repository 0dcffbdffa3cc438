//! Group invalidation without visiting entries: a counter, and the last value at which each group was invalidated.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{backend::Group, entry::Entry};

/// Namespaces remembered at most; beyond it the oldest half is folded into [`Groups::floor`].
const REMEMBERED: usize = 65_536;

/// The epochs of one cache.
///
/// A run notes the epoch at its start. A value whose epoch is older than the last invalidation of one of its groups
/// is covered by that invalidation: it is never stored, and never answered.
#[derive(Default)]
pub(crate) struct Epochs {
    current: AtomicU64,
    groups: RwLock<Groups>,
}

#[derive(Default)]
struct Groups {
    all: u64,
    namespaces: HashMap<Arc<str>, u64>,
    /// Stands for every namespace that is no longer remembered.
    floor: u64,
}

impl Epochs {
    /// The epoch of this moment, for a run that starts.
    pub(crate) fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    /// Invalidates a group: from here on, values with an older epoch are covered.
    pub(crate) fn raise(&self, group: &Group) {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.current.load(Ordering::Relaxed) + 1;
        match group {
            Group::All => groups.invalidate_all(epoch),
            Group::Namespace(namespace) | Group::Tag(namespace) => groups.invalidate_namespace(namespace, epoch),
        }
        self.current.store(epoch, Ordering::Release);
    }

    /// Whether an invalidation later than `epoch` covers a value in `namespace`.
    pub(crate) fn covers(&self, epoch: u64, namespace: Option<&str>) -> bool {
        epoch != self.current() && self.groups.read().unwrap_or_else(PoisonError::into_inner).last(namespace) > epoch
    }

    /// Whether an invalidation covers `entry`; the answer "no" is noted in the entry, so that it costs one load
    /// until the next invalidation of anything.
    pub(crate) fn covers_entry(&self, entry: &Entry) -> bool {
        let checked = entry.epoch.load(Ordering::Relaxed);
        let current = self.current();
        if checked == current {
            return false;
        }
        if self.covers(checked, entry.namespace.as_deref()) {
            return true;
        }
        entry.epoch.fetch_max(current, Ordering::Relaxed);
        false
    }
}

impl Groups {
    fn last(&self, namespace: Option<&str>) -> u64 {
        let of_namespace = namespace.map_or(0, |name| self.namespaces.get(name).copied().unwrap_or(self.floor));
        self.all.max(of_namespace)
    }

    fn invalidate_all(&mut self, epoch: u64) {
        self.all = epoch;
        self.floor = 0;
        self.namespaces.clear();
    }

    fn invalidate_namespace(&mut self, namespace: &Arc<str>, epoch: u64) {
        if self.namespaces.len() >= REMEMBERED {
            self.forget_older_half();
        }
        self.namespaces.insert(namespace.clone(), epoch);
    }

    fn forget_older_half(&mut self) {
        let mut epochs: Vec<u64> = self.namespaces.values().copied().collect();
        let middle = epochs.len() / 2;
        let (_, &mut median, _) = epochs.select_nth_unstable(middle);
        self.namespaces.retain(|_, epoch| *epoch > median);
        self.floor = self.floor.max(median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(name: &str) -> Group {
        Group::Namespace(name.into())
    }

    #[test]
    fn an_invalidation_covers_what_began_before_it_and_nothing_else() {
        let epochs = Epochs::default();
        let before = epochs.current();
        epochs.raise(&namespace("reports"));
        assert!(epochs.covers(before, Some("reports")));
        assert!(!epochs.covers(before, Some("users")));
        assert!(!epochs.covers(before, None));
        assert!(!epochs.covers(epochs.current(), Some("reports")));
        epochs.raise(&Group::All);
        assert!(epochs.covers(before, None));
    }

    #[test]
    fn forgetting_namespaces_never_uncovers_one() {
        let epochs = Epochs::default();
        let before = epochs.current();
        for number in 0..=REMEMBERED {
            epochs.raise(&namespace(&number.to_string()));
        }
        assert!(epochs.groups.read().unwrap().namespaces.len() <= REMEMBERED);
        for number in 0..=REMEMBERED {
            assert!(epochs.covers(before, Some(&number.to_string())), "{number}");
        }
        assert!(!epochs.covers(epochs.current(), Some("0")));
    }
}
