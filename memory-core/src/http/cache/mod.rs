//! The rules of a cache, shared or private (RFC 9111, RFC 5861), as pure functions of a request, a stored response, its age and the policy.

mod asked;
mod decide;
mod freshness;
mod hop;
mod language;
mod range;
mod serve;
mod shelf;
mod storable;
mod stored;
mod validation;
mod vary;

pub(crate) use self::storable::Elsewhere;
pub(in crate::http) use self::{
    asked::{Asked, Method},
    decide::{Decision, decide, excuses, may_have},
    freshness::age_of,
    serve::{Plain, serve},
    shelf::{Shelf, Variant},
    storable::{Storable, is_explicit, storable},
    stored::Stored,
    validation::{conditional, is_same_head, update},
    vary::user,
};

use std::time::Duration;

/// What the user of a cache has said about it.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Policy {
    /// Whether the cache is for one user, and not shared.
    pub(in crate::http) is_private: bool,
    /// Whether a response that says nothing of its freshness is fresh for a tenth of the time since its last modification.
    pub(in crate::http) is_heuristic: bool,
    /// Whether cookies make no difference, as in RFC 9111.
    pub(in crate::http) shares_cookies: bool,
    /// Whether languages that a request wants equally are in no order, and a response in the one that it wants most is its answer.
    pub(in crate::http) ranks_languages: bool,
    /// Whether requests can ask for fresher responses than the cache has.
    pub(in crate::http) obeys_clients: bool,
    /// For how long a response is of use past its freshness: to be validated, and when the origin can't be reached.
    pub(in crate::http) grace: Duration,
    /// Longer bodies are not stored.
    pub(in crate::http) longest_body: usize,
}
