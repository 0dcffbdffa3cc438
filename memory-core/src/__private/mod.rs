//! What the attributes expand to. Not a public interface: it changes without notice.
#![allow(missing_docs)]

mod arguments;
mod batch;
mod bind;
mod call;
mod ended;
mod judge;
pub mod lru;
mod outcome;
#[cfg(feature = "retry")]
pub mod resilience;
#[cfg(feature = "axum")]
mod responses;
#[cfg(feature = "retry")]
pub mod retry;
mod share;
mod shown;
pub mod singleton;
mod site;
mod spec;
mod wrapping;

#[cfg(feature = "macros")]
pub use memory_macros::memorize as outermost;
pub use serde;
pub use std;

pub use self::{
    arguments::{Part, ValueArg, argument, axum_state},
    batch::{Ids, again, batch_detached, batch_in_place, calls, invalidate_many, list, peek_one},
    bind::{
        Bind, Mention, Own, boxed, chosen, handle, in_place_unless_send, mentionable, none, ownable, placeholder, some,
    },
    call::{
        Answered, Call, FmKey, blocking, detached, in_place, invalidate, invalidate_blocking, key, peek, peek_blocking,
        put, put_blocking, refresh_blocking, refresh_detached, refresh_in_place,
    },
    ended::{ends, returning},
    judge::{fails_by, fails_when, keep, kept_when, life, life_of, ratio, span, tag, tags, tags_of},
    key::{KeyArg, KeyBuf, RefKeyArg, Wraps},
    outcome::{Layers, Plan, call, kept, layers, memory_only, plan, portable},
    site::{companion_id, function_id, renamed_id},
    spec::FnSpec,
};
pub use crate::{
    backend::BoxFuture,
    cache::{
        FmCache, Many, Put, RemoveMany,
        outcome::{BodyFuture, Face, MemoryOnly, Outcome, Portable, Share, Split, Verdict},
    },
    codec::{Damage, Meta},
    error::FmError,
};

pub mod key {
    //! Keys, for `memory-redis` and for the tests of the workspace.

    use crate::key::registry::{Site, register};
    pub use crate::key::{Key, KeyArg, KeyBuf, KeyRef, RefKeyArg, Wraps, escape};

    /// The key of a call of the function with this name.
    pub fn function(id: &str, namespace: Option<&'static str>, version: Option<u64>) -> KeyBuf {
        KeyBuf::function(register(id, namespace, version, Site { file: file!(), line: 1, column: 1 }))
    }
}

/// The removal of one entry, by its companion.
pub type Remove = crate::cache::Remove<'static>;

/// The traits behind the probes, for a glob import in expansions: they only apply to this module's own types.
pub mod probes {
    pub use super::{
        arguments::{ByBare as _, ByCacheKey as _, BySerialize as _, Extracted as _, NoKey as _, Unpeeled as _},
        bind::{
            BindByReference as _, BindByValue as _, MentionByClone as _, MentionNot as _, MentionUnasked as _,
            OwnByToOwned as _, OwnNot as _, OwnUnasked as _,
        },
        ended::{EndedByConversion as _, EndedNever as _},
        outcome::{
            NoHead as _, NoJson as _, NoOption as _, NoResult as _, NotStored as _, StoredAsBytes as _,
            StoredInMemory as _,
        },
        share::{ShareByClone as _, ShareByMessage as _, ShareByReference as _, ShareNot as _},
        shown::{ShownAsResponse as _, ShownNot as _},
    };
}
