//! Removals that a master confirms and that may be lost all the same: it fails before its replica has heard of them,
//! or it has been replaced without knowing it yet.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use memory_core::backend::{Group, RemoteKey};

use crate::journal::Journal;

/// For so long a removal is repeated to every new master.
const HORIZON: Duration = Duration::from_secs(30);

/// The removals of the last half minute. Bounded: where there were too many, everything is removed instead.
#[derive(Debug)]
pub(crate) struct Recent {
    removals: VecDeque<(Instant, Removal)>,
    capacity: usize,
    /// When the latest of those was sent that there was no room for.
    dropped: Option<Instant>,
}

/// One removal.
#[derive(Clone, Debug)]
pub(crate) enum Removal {
    Key(RemoteKey),
    Group(Group),
}

impl Recent {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { removals: VecDeque::new(), capacity, dropped: None }
    }

    /// Notes removals that are sent at `now`.
    pub(crate) fn note(&mut self, removals: impl Iterator<Item = Removal>, now: Instant) {
        self.removals.extend(removals.map(|removal| (now, removal)));
        self.forget(now);
        while self.removals.len() > self.capacity {
            self.dropped = self.removals.pop_front().map(|(sent, _)| sent);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.removals.clear();
        self.dropped = None;
    }

    /// Moves to the journal what a server has to be told again of which `concerns` is true.
    pub(crate) fn recall(&mut self, journal: &mut Journal, now: Instant, concerns: impl Fn(&Removal) -> bool) {
        self.forget(now);
        if self.dropped.take().is_some_and(|dropped| is_recent(dropped, now)) {
            journal.add_group(Group::All);
        }
        let (recalled, kept) =
            std::mem::take(&mut self.removals).into_iter().partition(|(_, removal)| concerns(removal));
        self.removals = kept;
        let recalled: VecDeque<_> = recalled;
        for (_, removal) in recalled {
            match removal {
                Removal::Key(key) => journal.add_keys(std::slice::from_ref(&key)),
                Removal::Group(group) => journal.add_group(group),
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.removals.front().is_some_and(|(sent, _)| !is_recent(*sent, now)) {
            self.removals.pop_front();
        }
    }
}

fn is_recent(sent: Instant, now: Instant) -> bool {
    now.saturating_duration_since(sent) < HORIZON
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn removal(text: &str) -> Removal {
        Removal::Key(RemoteKey { text: text.into(), namespace: None, wire: Arc::default() })
    }

    fn recalled(recent: &mut Recent, now: Instant) -> (usize, usize) {
        let mut journal = Journal::new(100);
        recent.recall(&mut journal, now, |_| true);
        let backlog = journal.backlog();
        (backlog.keys.len(), backlog.groups.len())
    }

    #[test]
    fn what_was_sent_lately_is_recalled_once() {
        let (mut recent, now) = (Recent::new(10), Instant::now());
        recent.note([removal("old")].into_iter(), now);
        let later = now + HORIZON;
        recent.note([removal("a"), removal("b"), Removal::Group(Group::Tag("t".into()))].into_iter(), later);
        assert_eq!(recalled(&mut recent, later), (2, 1));
        assert_eq!(recalled(&mut recent, later), (0, 0));
    }

    #[test]
    fn only_what_concerns_the_new_server_is_recalled() {
        let (mut recent, now) = (Recent::new(10), Instant::now());
        recent.note([removal("a"), removal("b")].into_iter(), now);
        let mut journal = Journal::new(100);
        recent.recall(&mut journal, now, |removal| matches!(removal, Removal::Key(key) if &*key.text == "b"));
        assert_eq!(journal.backlog().keys.len(), 1);
        assert_eq!(recalled(&mut recent, now), (1, 0));
    }

    #[test]
    fn too_many_become_everything_while_they_are_recent() {
        let (mut recent, now) = (Recent::new(2), Instant::now());
        recent.note([removal("a"), removal("b"), removal("c")].into_iter(), now);
        assert_eq!(recalled(&mut recent, now).1, 1);
        recent.note([removal("a"), removal("b"), removal("c")].into_iter(), now);
        assert_eq!(recalled(&mut recent, now + HORIZON), (0, 0));
    }
}
