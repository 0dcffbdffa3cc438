//! Which requests a stored response answers (RFC 9111, section 4.1).

use axum::http::{
    HeaderMap, HeaderName,
    header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, VARY},
};

use super::super::fields::members;

/// Fields that a handler behind a proxy may build its response from without saying so: they select in any case.
const IMPLIED: [&str; 6] = [
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
];

/// A field that selects, and what the request had there; `None`: nothing.
pub(super) type Selector = (HeaderName, Option<Vec<u8>>);

/// What a response was selected by; `None`: by more than the request (`*`), or by what can't be read.
pub(super) fn selectors(asked: &HeaderMap, response: &HeaderMap) -> Option<Vec<Selector>> {
    let mut names = Vec::new();
    for member in members(response, &VARY) {
        names.push(HeaderName::from_bytes(member).ok().filter(|name| name != "*")?);
    }
    let implied = IMPLIED.into_iter().map(HeaderName::from_static).filter(|name| asked.contains_key(name));
    names.extend(implied);
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    Some(names.into_iter().map(|name| (name.clone(), value(asked, &name))).collect())
}

/// Whether a request has what the response was selected by.
pub(super) fn selects(selectors: &[Selector], asked: &HeaderMap) -> bool {
    let has_implied = IMPLIED
        .iter()
        .any(|name| asked.contains_key(*name) && !selectors.iter().any(|(selector, _)| selector.as_str() == *name));
    !has_implied && selectors.iter().all(|(name, had)| value(asked, name) == *had)
}

/// What a request has in a field: its lines as one list, whose members blanks do not tell apart, nor, among names of languages
/// and codings, case.
fn value(asked: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let list = asked.contains_key(name).then(|| members(asked, name).collect::<Vec<_>>().join(&b", "[..]))?;
    Some(if [ACCEPT_LANGUAGE, ACCEPT_ENCODING].contains(name) { list.to_ascii_lowercase() } else { list })
}
