//! What the attributes expand to. Not a public interface: it changes without notice.

mod arguments;
mod bind;
mod call;
mod judge;
mod outcome;
mod share;
mod site;
mod spec;
mod wrapping;

pub use std;

pub use self::{
    arguments::{Part, ValueArg, argument, axum_state},
    bind::{Bind, Own, boxed, chosen, handle, in_place_unless_send, none, owned, placeholder, some},
    call::{
        Call, Face, FmKey, MemoryOnly, Portable, Remove, Verdict, blocking, detached, in_place, invalidate,
        invalidate_blocking, key, peek, peek_blocking, put, put_blocking, refresh_detached, refresh_in_place,
    },
    judge::{keep, kept_when, life, life_of, ratio, span},
    outcome::{Layers, Outcome, Plan, Split, call, kept, layers, memory_only, plan, portable},
    share::Share,
    site::{companion_id, function_id, renamed_id},
    spec::FnSpec,
};
pub use crate::{backend::BoxFuture, cache::FmCache, error::FmError};

pub mod key {
    //! Keys, for the expansions, for `memory-redis` and for tests.

    pub use crate::key::{BuildKeyHasher, Key, KeyArg, KeyBuf, KeyHasher, KeyRef, escape, registry};
}
pub use self::key::{KeyArg, KeyBuf};

/// The traits behind the probes, for a glob import in expansions: they only apply to this module's own types.
pub mod probes {
    pub use super::{
        arguments::{ByBare as _, ByCacheKey as _, BySerialize as _, NoKey as _, Unpeeled as _},
        bind::{BindByReference as _, BindByValue as _, OwnByToOwned as _, OwnNot as _},
        outcome::{NoJson as _, NoOption as _, NoResult as _, NotStored as _, StoredAsBytes as _, StoredInMemory as _},
        share::{ShareByClone as _, ShareByMessage as _, ShareNot as _},
    };
}
