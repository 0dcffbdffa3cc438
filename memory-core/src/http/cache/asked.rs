//! What a request asks of a cache.

use axum::http::{
    self, HeaderMap,
    header::{COOKIE, IF_MODIFIED_SINCE, IF_NONE_MATCH, PRAGMA, RANGE},
    request::Parts,
};

use super::{
    super::fields::{CacheControl, is_authorized, members},
    Policy,
};

/// What a method is to a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Method {
    /// Answered from the cache, and stored.
    Get,
    /// Answered from the cache.
    Head,
    /// Passed on.
    Other,
    /// Passed on; success invalidates (RFC 9111, section 4.4).
    Unsafe,
}

/// What a request asks of a cache.
#[derive(Clone, Debug)]
pub(in crate::http) struct Asked {
    pub(in crate::http) method: Method,
    pub(in crate::http) directives: CacheControl,
    /// Whether the request must reach the handler, and its answer is not stored.
    pub(in crate::http) bypasses: bool,
    /// Whether it names a user, by `Authorization` or what means the same.
    pub(in crate::http) is_authorized: bool,
    pub(in crate::http) has_cookie: bool,
    /// Whether it has a precondition that a cache can evaluate.
    pub(in crate::http) is_conditional: bool,
    pub(in crate::http) has_range: bool,
}

impl Asked {
    /// What a request asks.
    pub(in crate::http) fn of(parts: &Parts) -> Self {
        let headers = &parts.headers;
        let mut directives = CacheControl::of(headers);
        // RFC 9111, section 5.4.
        let says_nothing = directives == CacheControl::default();
        directives.no_cache |=
            says_nothing && members(headers, &PRAGMA).any(|member| member.eq_ignore_ascii_case(b"no-cache"));
        Self {
            method: method(&parts.method),
            directives,
            bypasses: bypasses(headers),
            is_authorized: is_authorized(headers),
            has_cookie: headers.contains_key(COOKIE),
            is_conditional: headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE),
            has_range: headers.contains_key(RANGE),
        }
    }

    /// Whether it may wait for the answer to another request: it asks for no more than the same response. (In a private cache, that
    /// is a request of the same user.)
    pub(in crate::http) fn may_wait(&self, policy: &Policy) -> bool {
        (policy.is_private || !self.is_authorized && !self.has_cookie)
            && !self.is_conditional
            && !self.has_range
            && !self.directives.no_cache
            && !self.directives.no_store
    }
}

fn method(method: &http::Method) -> Method {
    match method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" | "TRACE" => Method::Other,
        _ => Method::Unsafe,
    }
}

/// Whether a request means more than its first line says.
fn bypasses(headers: &HeaderMap) -> bool {
    headers.iter().any(|(name, value)| match name.as_str() {
        // Content in a GET may change what it means.
        "content-length" => value.as_bytes() != b"0",
        "transfer-encoding" => true,
        // No cache evaluates these.
        "if-match" | "if-unmodified-since" | "upgrade" => true,
        // These ask for another method or resource: what they lead to must not be stored under the first line, nor be answered
        // from what is.
        "x-http-method-override" | "x-http-method" | "x-method-override" => true,
        "x-original-url" | "x-rewrite-url" | "x-forwarded-path" => true,
        _ => false,
    })
}
