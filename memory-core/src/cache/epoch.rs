//! Group invalidation without visiting entries: a counter, and the last value at which each group was invalidated.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{backend::Group, entry::Entry};

/// Groups remembered at most; beyond it the oldest half is folded into [`Groups::floor`].
const REMEMBERED: usize = 65_536;

/// The epochs of one cache.
///
/// A run notes the epoch at its start. A value whose epoch is older than the last invalidation of one of its groups
/// is covered by that invalidation: it is never stored, and never answered. Its tags may be known only once it is made.
#[derive(Default)]
pub(crate) struct Epochs {
    current: AtomicU64,
    groups: RwLock<Groups>,
}

#[derive(Default)]
struct Groups {
    all: u64,
    others: HashMap<Group, u64>,
    /// Stands for every group that is no longer remembered.
    floor: u64,
}

impl Epochs {
    /// What no entry was ever checked at.
    pub(crate) const UNCHECKED: u64 = u64::MAX;

    /// The epoch of this moment, for a run that starts.
    #[inline]
    pub(crate) fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    /// Invalidates a group: from here on, values with an older epoch are covered.
    pub(crate) fn raise(&self, group: &Group) {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.current.load(Ordering::Relaxed) + 1;
        match group {
            Group::All => groups.invalidate_all(epoch),
            other => groups.invalidate(other, epoch),
        }
        self.current.store(epoch, Ordering::Release);
    }

    /// From here on every entry has to be checked anew before it is answered; none is covered for that.
    pub(crate) fn advance(&self) {
        let _groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        self.current.fetch_add(1, Ordering::Release);
    }

    /// Whether an invalidation later than `epoch` covers a value in these groups.
    pub(crate) fn covers(&self, epoch: u64, in_groups: &[Group]) -> bool {
        epoch != self.current() && self.groups.read().unwrap_or_else(PoisonError::into_inner).last(in_groups) > epoch
    }

    /// Whether an invalidation covers `entry`.
    pub(crate) fn covers_entry(&self, entry: &Entry) -> bool {
        self.covers(entry.epoch.load(Ordering::Relaxed), entry.groups())
    }
}

impl Groups {
    fn last(&self, groups: &[Group]) -> u64 {
        let last = |group| self.others.get(group).copied().unwrap_or(self.floor);
        groups.iter().map(last).fold(self.all, u64::max)
    }

    fn invalidate_all(&mut self, epoch: u64) {
        self.all = epoch;
        self.floor = 0;
        self.others.clear();
    }

    fn invalidate(&mut self, group: &Group, epoch: u64) {
        if self.others.len() >= REMEMBERED {
            self.forget_older_half();
        }
        self.others.insert(group.clone(), epoch);
    }

    fn forget_older_half(&mut self) {
        let mut epochs: Vec<u64> = self.others.values().copied().collect();
        let middle = epochs.len() / 2;
        let (_, &mut median, _) = epochs.select_nth_unstable(middle);
        self.others.retain(|_, epoch| *epoch > median);
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
        assert!(epochs.covers(before, &[namespace("reports")]));
        assert!(!epochs.covers(before, &[namespace("users"), Group::Tag("reports".into())]));
        assert!(!epochs.covers(before, &[]));
        assert!(!epochs.covers(epochs.current(), &[namespace("reports")]));
        epochs.raise(&Group::Tag("new".into()));
        assert!(epochs.covers(before, &[namespace("users"), Group::Tag("new".into())]));
        epochs.raise(&Group::All);
        assert!(epochs.covers(before, &[]));
    }

    #[test]
    fn forgetting_groups_never_uncovers_one() {
        let epochs = Epochs::default();
        let before = epochs.current();
        for number in 0..=REMEMBERED {
            epochs.raise(&namespace(&number.to_string()));
        }
        assert!(epochs.groups.read().unwrap().others.len() <= REMEMBERED);
        for number in 0..=REMEMBERED {
            assert!(epochs.covers(before, &[namespace(&number.to_string())]), "{number}");
        }
        assert!(!epochs.covers(epochs.current(), &[namespace("0")]));
    }
}
