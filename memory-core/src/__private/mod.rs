//! What the expansions of the macros call. No public interface: it changes without notice.
#![allow(missing_docs)]

mod call;
pub mod lru;
pub mod singleton;
mod spec;

pub use call::*;
pub use key::{KeyArg, KeyBuf};
pub use serde;
pub use spec::FnSpec;
pub use std;

pub use crate::{
    cache::outcome::{AsSource, BodyFuture, Face, MemoryOnly, Outcome, Portable, Share, Split, Verdict},
    codec::{Damage, Meta},
};

pub mod key {
    //! Keys, for `memory-redis` and for the tests of the workspace.

    use crate::key::registry::{Site, register};
    pub use crate::key::{Key, KeyArg, KeyBuf, KeyRef, escape};

    /// The key of a call of the function with this name.
    pub fn function(id: &str, namespace: Option<&'static str>, version: Option<u64>) -> KeyBuf {
        KeyBuf::function(register(id, namespace, version, Site { file: file!(), line: 1, column: 1 }))
    }
}
