//! What processes tell each other about their changes.
//!
//! ```text
//! sender: 16 bytes  "k": an entry   its key for other processes
//!                   "a": everything
//!                   "n": a namespace, or "t": a tag   its name
//! ```

use memory_core::backend::{Group, RemoteKey};

use crate::generation::Generation;

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

fn write(sender: &Generation, kind: u8, rest: &[u8]) -> Vec<u8> {
    [sender.as_bytes(), &[kind], rest].concat()
}
