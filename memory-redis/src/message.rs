//! What processes tell each other about their changes.
//!
//! ```text
//! sender: 16 bytes  "k": an entry   its key for other processes
//!                   "a": everything
//!                   "n": a namespace, or "t": a tag   its name
//! ```

use memory_core::backend::{Group, RemoteKey};

use crate::generation::Generation;

/// One message, as it was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// An entry was stored or removed.
    Key(&'a [u8]),
    /// A group was invalidated.
    Group(Group),
}

/// Says that `sender` has stored or removed an entry.
pub(crate) fn of_key(sender: &Generation, key: &RemoteKey) -> Vec<u8> {
    write(sender, b'k', &key.wire)
}

/// Says that `sender` has invalidated a group.
pub(crate) fn of_group(sender: &Generation, group: &Group) -> Vec<u8> {
    match group {
        Group::All => write(sender, b'a', b""),
        Group::Namespace(name) => write(sender, b'n', name.as_bytes()),
        Group::Tag(name) => write(sender, b't', name.as_bytes()),
    }
}

/// Who sent a message, and what it says; `None` for anything else.
pub(crate) fn read(bytes: &[u8]) -> Option<(Generation, Message<'_>)> {
    let (sender, rest) = bytes.split_first_chunk()?;
    let (&kind, rest) = rest.split_first()?;
    let name = || std::str::from_utf8(rest).ok();
    let message = match kind {
        b'k' => Message::Key(rest),
        b'a' if rest.is_empty() => Message::Group(Group::All),
        b'n' => Message::Group(Group::Namespace(name()?.into())),
        b't' => Message::Group(Group::Tag(name()?.into())),
        _ => return None,
    };
    Some((Generation::from(*sender), message))
}

fn write(sender: &Generation, kind: u8, rest: &[u8]) -> Vec<u8> {
    [sender.as_bytes(), &[kind], rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_went() {
        let sender = Generation::fresh();
        let key = RemoteKey { text: "app:f".into(), namespace: None, wire: b"\x00wire\xff"[..].into() };
        assert_eq!(read(&of_key(&sender, &key)), Some((sender, Message::Key(b"\x00wire\xff"))));
        for group in [Group::All, Group::Namespace("a/b".into()), Group::Tag("".into())] {
            assert_eq!(read(&of_group(&sender, &group)), Some((sender, Message::Group(group))));
        }
    }

    #[test]
    fn junk_is_no_message() {
        for junk in [
            &b""[..],
            b"junk",
            b"0123456789abcdef",
            b"0123456789abcdefx",
            b"0123456789abcdefa-",
            b"0123456789abcdefn\xff",
        ] {
            assert_eq!(read(junk), None);
        }
    }
}
