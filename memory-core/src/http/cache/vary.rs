//! Which requests a stored response answers (RFC 9111, section 4.1).

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, VARY},
};

use super::{
    super::fields::{is_credential, members},
    Policy,
    language::{is_most_wanted, ranking},
    stored::Stored,
};

/// Fields that a handler behind a proxy may build its response from without saying so: they select in any case.
const IMPLIED: [&str; 12] = [
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-host",
    "x-http-host-override",
    "x-original-host",
    "x-url-scheme",
];

/// Fields that differ between requests for the same response of the same user.
const OF_THE_REQUEST: [&str; 26] = [
    "accept-encoding",
    "b3",
    "baggage",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "pragma",
    "range",
    "request-id",
    "te",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-correlation-id",
    "x-request-id",
    "x-trace-id",
];

/// A field that selects, and what the request had there; `None`: nothing.
pub(super) type Selector = (HeaderName, Option<Vec<u8>>);

/// What a response was selected by; `None`: by more than the request (`*`), or by what can't be read.
pub(super) fn selectors(
    asked: &HeaderMap,
    response: &HeaderMap,
    is_personal: bool,
    policy: &Policy,
) -> Option<Vec<Selector>> {
    let mut names = Vec::new();
    for member in members(response, &VARY) {
        names.push(HeaderName::from_bytes(member).ok().filter(|name| name != "*")?);
    }
    names.extend(asked.keys().filter(|name| selects_unsaid(name, is_personal)).cloned());
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    Some(names.into_iter().map(|name| (name.clone(), value(asked, &name, policy))).collect())
}

/// Whether a request has what a response was selected by.
pub(super) fn selects(stored: &Stored, asked: &HeaderMap, policy: &Policy) -> bool {
    let is_known = |name: &HeaderName| stored.selectors.iter().any(|(selector, _)| selector == name);
    let has_more = asked.keys().any(|name| selects_unsaid(name, stored.terms.is_personal) && !is_known(name));
    let has_language = |name: &HeaderName| {
        let language =
            stored.headers.get(CONTENT_LANGUAGE).filter(|_| policy.ranks_languages && name == ACCEPT_LANGUAGE);
        language.is_some_and(|language| is_most_wanted(language, asked))
    };
    !has_more && stored.selectors.iter().all(|(name, had)| value(asked, name, policy) == *had || has_language(name))
}

/// A digest of the fields by which the users of a private cache differ; those of a shared one are not told apart.
pub(in crate::http) fn user(asked: &HeaderMap, policy: &Policy) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in asked.iter().filter(|(name, _)| policy.is_private && selects_unsaid(name, true)) {
        (name, value).hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether a field selects though the response does not say so.
fn selects_unsaid(name: &HeaderName, is_personal: bool) -> bool {
    IMPLIED.contains(&name.as_str()) || is_personal && !OF_THE_REQUEST.contains(&name.as_str())
}

/// What a request has in a field: its lines as one list, whose members blanks do not tell apart, nor, among names of languages
/// and codings, case.
fn value(asked: &HeaderMap, name: &HeaderName, policy: &Policy) -> Option<Vec<u8>> {
    let list = asked.contains_key(name).then(|| members(asked, name).collect::<Vec<_>>().join(&b", "[..]))?;
    // Not written down, only a digest of it.
    let is_secret = |name| is_credential(name) || asked.get_all(name).iter().any(HeaderValue::is_sensitive);
    Some(match name {
        &ACCEPT_LANGUAGE if policy.ranks_languages => ranking(asked),
        &ACCEPT_LANGUAGE | &ACCEPT_ENCODING => list.to_ascii_lowercase(),
        name if is_secret(name) => blake3::hash(&list).as_bytes().to_vec(),
        _ => list,
    })
}
