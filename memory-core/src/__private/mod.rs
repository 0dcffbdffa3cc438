//! What the expansions of the macros call. No public interface: it changes without notice.
#![allow(missing_docs)]

mod call;
mod spec;

pub use call::*;
pub use spec::FnSpec;

pub use crate::{
    cache::outcome::{AsSource, BodyFuture, Face, MemoryOnly, Outcome, Portable, Share, Split, Verdict},
    codec::{Damage, Meta},
    key::{KeyArg, KeyBuf},
};
