//! Removals that Redis has not seen yet.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use memory_core::backend::{Group, RemoteKey};

use crate::recent::Removal;

/// Removals to be replayed before Redis is trusted again. Bounded: where there would be too many, everything under
/// the prefix goes instead.
#[derive(Debug)]
pub(crate) struct Journal {
    keys: HashMap<RemoteKey, u64>,
    groups: HashMap<Group, u64>,
    /// Groups whose entries can't be seen any more, but still take up space.
    leftovers: HashSet<Group>,
    capacity: usize,
    next: u64,
}

/// What is to be replayed, each with the number of its latest request.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    pub(crate) keys: Vec<(RemoteKey, u64)>,
    pub(crate) groups: Vec<(Group, u64)>,
}

impl Backlog {
    pub(crate) fn removals(&self) -> impl Iterator<Item = Removal> {
        let keys = self.keys.iter().map(|(key, _)| Removal::Key(key.clone()));
        keys.chain(self.groups.iter().map(|(group, _)| Removal::Group(group.clone())))
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.groups.is_empty()
    }
}

impl Journal {
    /// Holds at most `capacity` keys, and as many namespaces.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { keys: HashMap::new(), groups: HashMap::new(), leftovers: HashSet::new(), capacity, next: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.groups.is_empty()
    }

    pub(crate) fn add_keys(&mut self, keys: &[RemoteKey]) {
        self.next += 1;
        self.keys.extend(keys.iter().map(|key| (key.clone(), self.next)));
        if self.keys.len() > self.capacity {
            self.overflow();
        }
    }

    pub(crate) fn add_group(&mut self, group: Group) {
        self.next += 1;
        if group == Group::All {
            self.keys.clear();
            self.groups.clear();
        }
        self.groups.insert(group, self.next);
        if self.groups.len() > self.capacity.max(1) {
            self.overflow();
        }
    }

    /// Everything that waits, which stays here until it is [`done`](Journal::done).
    pub(crate) fn backlog(&self) -> Backlog {
        Backlog { keys: pairs(&self.keys), groups: pairs(&self.groups) }
    }

    /// Takes out what was replayed, except what was asked for again since the backlog was taken.
    pub(crate) fn done(&mut self, backlog: &Backlog) {
        take_out(&mut self.keys, &backlog.keys);
        take_out(&mut self.groups, &backlog.groups);
    }

    /// The groups that wait.
    #[cfg(feature = "cluster")]
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.keys()
    }

    /// Notes that the entries of a group are to be swept away some time.
    pub(crate) fn leave(&mut self, group: Group) {
        self.leftovers.insert(group);
    }

    /// The groups that are to be swept now.
    pub(crate) fn take_leftovers(&mut self) -> HashSet<Group> {
        std::mem::take(&mut self.leftovers)
    }

    fn overflow(&mut self) {
        tracing::warn!(
            limit = self.capacity,
            "too many removals wait for Redis: everything under the prefix will be removed instead"
        );
        self.add_group(Group::All);
    }
}

fn pairs<K: Clone>(waiting: &HashMap<K, u64>) -> Vec<(K, u64)> {
    waiting.iter().map(|(what, number)| (what.clone(), *number)).collect()
}

fn take_out<K: Eq + Hash>(waiting: &mut HashMap<K, u64>, done: &[(K, u64)]) {
    for (what, number) in done {
        if waiting.get(what) == Some(number) {
            waiting.remove(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn key(text: &str) -> RemoteKey {
        RemoteKey { text: text.into(), namespace: None, wire: Arc::default() }
    }

    fn keys(journal: &Journal) -> Vec<String> {
        let mut texts: Vec<_> = journal.backlog().keys.iter().map(|(key, _)| key.text.to_string()).collect();
        texts.sort();
        texts
    }

    fn groups(journal: &Journal) -> Vec<Group> {
        journal.backlog().groups.into_iter().map(|(group, _)| group).collect()
    }

    #[test]
    fn each_key_is_kept_once_until_it_is_done() {
        let mut journal = Journal::new(10);
        journal.add_keys(&[key("a"), key("b"), key("a")]);
        journal.add_group(Group::Namespace("n".into()));
        assert_eq!(keys(&journal), ["a", "b"]);
        let backlog = journal.backlog();
        journal.add_keys(&[key("c")]);
        journal.done(&backlog);
        assert_eq!(keys(&journal), ["c"]);
        assert!(groups(&journal).is_empty());
    }

    #[test]
    fn what_is_asked_for_again_during_a_replay_is_replayed_again() {
        let mut journal = Journal::new(10);
        journal.add_keys(&[key("a")]);
        let backlog = journal.backlog();
        journal.add_keys(&[key("a")]);
        journal.done(&backlog);
        assert_eq!(keys(&journal), ["a"]);
    }

    #[test]
    fn too_many_keys_become_everything() {
        let mut journal = Journal::new(2);
        journal.add_keys(&[key("a"), key("b")]);
        assert_eq!(keys(&journal).len(), 2);
        journal.add_keys(&[key("c")]);
        assert!(keys(&journal).is_empty());
        assert_eq!(groups(&journal), [Group::All]);
    }

    #[test]
    fn too_many_namespaces_become_everything() {
        let mut journal = Journal::new(2);
        for name in ["a", "b", "c"] {
            journal.add_group(Group::Namespace(name.into()));
        }
        assert_eq!(groups(&journal), [Group::All]);
    }
}
