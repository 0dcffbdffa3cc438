//! What becomes of a request (RFC 9111, section 4; RFC 5861).

use std::time::Duration;

use super::{Asked, Policy, shelf::Variant};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Decision {
    /// Answer the stored response.
    Serve,
    /// Answer the stored response, which is stale, and validate it behind the answer.
    ServeAndRefresh,
    /// Ask the origin whether the stored response still holds.
    Validate,
    /// Ask the origin.
    Forward,
    /// Say that there is nothing: the client wants a stored response or none.
    Refuse,
}

/// What becomes of a request, where `stored` is what it selects.
pub(in crate::http) fn decide(asked: &Asked, stored: Option<&Variant>, policy: &Policy) -> Decision {
    let Some(stored) = stored.filter(|stored| may_have(asked, stored, policy)) else {
        return if asked.directives.only_if_cached { Decision::Refuse } else { Decision::Forward };
    };
    let decision = with(asked, stored, policy);
    if asked.directives.only_if_cached && decision == Decision::Validate { Decision::Refuse } else { decision }
}

/// A response that does not say that it is for everybody is not for users who show who they are.
pub(in crate::http) fn may_have(asked: &Asked, stored: &Variant, policy: &Policy) -> bool {
    let terms = &stored.response.terms;
    let as_user = !asked.is_authorized || terms.is_for_all || policy.shares_cookies;
    let as_visitor = !asked.has_cookie || terms.is_for_cookies || policy.shares_cookies;
    policy.is_private || as_user && as_visitor
}

fn with(asked: &Asked, stored: &Variant, policy: &Policy) -> Decision {
    let (terms, wishes) = (&stored.response.terms, &asked.directives);
    if terms.no_cache || policy.obeys_clients && wishes.no_cache {
        return Decision::Validate;
    }
    let left = stored.fresh_left();
    let is_too_old = wishes.max_age.is_some_and(|most| stored.age > most || most.is_zero());
    let is_too_short = wishes.min_fresh.is_some_and(|least| left < least);
    if policy.obeys_clients && (is_too_old || is_too_short || wishes.no_store) {
        return Decision::Validate;
    }
    if !left.is_zero() {
        return Decision::Serve;
    }
    let stale_for = stored.stale_for();
    if !terms.forbids_stale && stale_for < terms.stale_while_revalidate {
        return Decision::ServeAndRefresh;
    }
    if !terms.forbids_stale && wishes.max_stale.is_some_and(|most| stale_for <= most && stale_for <= policy.grace) {
        return Decision::Serve;
    }
    Decision::Validate
}

/// Whether a stored response stands in when the origin fails: when it can't be reached, within the grace; when it answers
/// with an error, only where the response or the request says so (RFC 5861, section 4).
pub(in crate::http) fn excuses(asked: &Asked, stored: &Variant, is_reached: bool, policy: &Policy) -> bool {
    let terms = &stored.response.terms;
    if terms.forbids_stale || !may_have(asked, stored, policy) {
        return false;
    }
    let said = terms.stale_if_error.or(asked.directives.stale_if_error);
    let unsaid = if is_reached { Duration::ZERO } else { policy.grace };
    stored.stale_for() < said.unwrap_or(unsaid)
}
