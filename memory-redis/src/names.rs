//! The names of everything we keep in Redis.
//!
//! | what | name |
//! |---|---|
//! | an entry | the text of its key, e.g. `app-cache:shop::users::get_user:42` |
//! | the generation of a key (its tombstone) | `app-cache%gen:{app-cache:shop::users::get_user:42}` |
//! | who refreshes an entry (its lease) | `app-cache%lease:{app-cache:shop::users::get_user:42}` |
//! | the clock of invalidations | `{app-cache%gen}` |
//! | when everything was invalidated | `{app-cache%gen}*` |
//! | when a namespace was invalidated | `{app-cache%gen}/reports` |
//! | when a tag was invalidated | `{app-cache%gen}#user:42` |
//! | the channel of changes | `app-cache%bus` |
//! | the channel on which one process hears itself | `app-cache%bus:0123456789abcdef` |
//!
//! A `%` in an entry's text is always followed by two hex digits, so no entry can have any of the other names; and an
//! entry's text contains no brace, so its tombstone and its lease lie in the same cluster slot as it does. The clock
//! and all groups lie in one slot, too.

use memory_core::backend::{Group, Prefix};

use crate::generation::Generation;

/// Names under one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: Prefix,
    clock: String,
    bus: String,
}

impl Names {
    pub(crate) fn new(prefix: &Prefix) -> Self {
        let escaped = prefix.escaped();
        Self { clock: format!("{{{escaped}%gen}}"), bus: format!("{escaped}%bus"), prefix: prefix.clone() }
    }

    /// The key that holds the generation of one entry.
    pub(crate) fn tombstone(&self, entry: &str) -> String {
        format!("{}%gen:{{{entry}}}", self.prefix.escaped())
    }

    /// The key that says which process refreshes an entry.
    pub(crate) fn lease(&self, entry: &str) -> String {
        format!("{}%lease:{{{entry}}}", self.prefix.escaped())
    }

    /// The key that holds the clock of invalidations.
    pub(crate) fn clock(&self) -> &str {
        &self.clock
    }

    /// The key that holds when a group was invalidated last.
    pub(crate) fn group(&self, group: &Group) -> String {
        match group {
            Group::All => format!("{}*", self.clock),
            Group::Namespace(namespace) => format!("{}/{}", self.clock, self.prefix.escaped_namespace(namespace)),
            Group::Tag(tag) => format!("{}#{}", self.clock, self.prefix.escaped_namespace(tag)),
        }
    }

    /// The channel on which processes tell each other what they change.
    pub(crate) fn bus(&self) -> &str {
        &self.bus
    }

    /// The channel on which one process hears itself alone.
    pub(crate) fn heartbeat(&self, sender: &Generation) -> Vec<u8> {
        [self.bus.as_bytes(), b":", sender.as_bytes()].concat()
    }

    /// How the names of exactly the entries of a group begin; `None` for a tag, which names do not show.
    pub(crate) fn start(&self, group: &Group) -> Option<String> {
        self.prefix.group_start(group)
    }
}

/// A glob pattern that matches what begins with `start`, taken literally.
pub(crate) fn pattern(start: &str) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(start.len() + 8);
    for byte in start.bytes() {
        if b"*?[]\\^-".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_every_special_character_literally() {
        assert_eq!(pattern("a*b?[c]\\^-:"), br"a\*b\?\[c\]\\\^\-:*");
    }

    #[test]
    fn names_that_are_used_together_lie_in_one_slot() {
        let names = Names::new(&Prefix::new("app").unwrap());
        assert_eq!(names.tombstone("app:f:1"), "app%gen:{app:f:1}");
        assert_eq!(names.lease("app:f:1"), "app%lease:{app:f:1}");
        assert_eq!(names.clock(), "{app%gen}");
        assert_eq!(names.group(&Group::All), "{app%gen}*");
        assert_eq!(names.group(&Group::Namespace("a/b".into())), "{app%gen}/a%2Fb");
        assert_eq!(names.group(&Group::Tag("a{b".into())), "{app%gen}#a%7Bb");
        assert_eq!(names.bus(), "app%bus");
        assert_eq!(names.start(&Group::Namespace("a/b".into())).as_deref(), Some("app:a%2Fb/"));
    }

    #[test]
    fn two_groups_never_have_the_same_name() {
        let names = Names::new(&Prefix::new("app").unwrap());
        let plain = ["", "*", "a", "#a", "/a", "a:1", "a%3A1", "a/1", "a%2F1", "\u{e9}", "a b"];
        let groups = plain.iter().flat_map(|name| [Group::Tag((*name).into()), Group::Namespace((*name).into())]);
        let all: std::collections::BTreeSet<_> = groups.chain([Group::All]).map(|group| names.group(&group)).collect();
        assert_eq!(all.len(), 2 * plain.len() + 1);
        assert!(all.iter().all(|name| name.starts_with("{app%gen}")));
    }
}
