//! Under construction.

pub mod key {
    //! Keys, for the expansions, for `memory-redis` and for tests.

    pub use crate::key::{BuildKeyHasher, Key, KeyArg, KeyBuf, KeyHasher, KeyRef, escape, registry};
}
pub use key::{KeyArg, KeyBuf};
pub use serde;
pub use std;
