//! Warnings that are worth saying once.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// A stored value has another type than asked for.
    OtherType,
    /// A run under way for the key has another type.
    OtherRun,
    /// A function waits for itself.
    Cycle,
    /// An argument failed to serialise.
    Key,
    /// The error can't be shared with waiters.
    Unshareable,
    /// The expiry is no length of time.
    Expiry,
    /// A synchronous function on a shared store.
    Blocking,
    /// A timeout is no length of time.
    Limit,
}

/// Subjects remembered at most; beyond it nothing new is said, so that nobody can fill memory or the log.
const REMEMBERED: usize = 1024;

/// What has been said already.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashSet<(Topic, u64)>>);

impl Told {
    /// Whether this is the first time; `subject` is the number of a function or the hash of a key.
    pub(crate) fn first(&self, topic: Topic, subject: u64) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < REMEMBERED && told.insert((topic, subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_once_and_not_for_ever_more_subjects() {
        let told = Told::default();
        assert!(told.first(Topic::Cycle, 1) && told.first(Topic::Key, 1) && told.first(Topic::Cycle, 2));
        assert!(!told.first(Topic::Cycle, 1));
        let said = (0..10_000).filter(|subject| told.first(Topic::OtherType, *subject)).count();
        assert_eq!(said, REMEMBERED - 3);
    }
}
