//! The names of everything we keep in Redis.
//!
//! | what | name |
//! |---|---|
//! | an entry | the text of its key, e.g. `app-cache:shop::users::get_user:42` |
//! | the generation of a key (its tombstone) | `app-cache%gen:{app-cache:shop::users::get_user:42}` |
//! | the generation of everything | `app-cache%gen` |
//! | the generation of a namespace | `app-cache%gen/reports` |
//!
//! A `%` in an entry's text is always followed by two hex digits, so no entry can have the name of a generation; and
//! an entry's text contains no brace, so a tombstone lies in the same cluster slot as its entry.

use memory_core::backend::{Group, Prefix};

/// Names under one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: Prefix,
    all: String,
}

impl Names {
    pub(crate) fn new(prefix: &Prefix) -> Self {
        Self { prefix: prefix.clone(), all: format!("{}%gen", prefix.escaped()) }
    }

    /// The key that holds the generation of one entry.
    pub(crate) fn tombstone(&self, entry: &str) -> String {
        format!("{}:{{{entry}}}", self.all)
    }

    /// The key that says which process refreshes an entry.
    pub(crate) fn lease(&self, entry: &str) -> String {
        format!("{}%lease:{{{entry}}}", self.prefix.escaped())
    }

    /// The key that holds the generation of everything under the prefix.
    pub(crate) fn everything(&self) -> &str {
        &self.all
    }

    /// The key that holds the generation of a namespace.
    pub(crate) fn namespace(&self, namespace: &str) -> String {
        format!("{}/{}", self.all, self.prefix.escaped_namespace(namespace))
    }

    /// The key that holds the generation of a tag.
    pub(crate) fn tag(&self, tag: &str) -> String {
        format!("{}#{}", self.all, self.prefix.escaped_namespace(tag))
    }

    /// The key that holds the generation of a group.
    pub(crate) fn generation(&self, group: &Group) -> String {
        match group {
            Group::All => self.all.clone(),
            Group::Namespace(namespace) => self.namespace(namespace),
            Group::Tag(tag) => self.tag(tag),
        }
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
    fn a_tombstone_lies_in_the_slot_of_its_entry() {
        let names = Names::new(&Prefix::new("app").unwrap());
        assert_eq!(names.tombstone("app:f:1"), "app%gen:{app:f:1}");
        assert_eq!(names.generation(&Group::All), "app%gen");
        assert_eq!(names.generation(&Group::Namespace("a/b".into())), "app%gen/a%2Fb");
        assert_eq!(names.start(&Group::Namespace("a/b".into())).as_deref(), Some("app:a%2Fb/"));
    }
}
