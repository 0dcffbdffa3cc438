//! Asking the origin whether a stored response still holds, and what its answer changes (RFC 9111, sections 4.3 and 3.2).

use std::time::SystemTime;

use axum::http::{
    HeaderMap, HeaderName, StatusCode,
    header::{
        CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
        LAST_MODIFIED, RANGE, SET_COOKIE,
    },
    request::Parts,
};

use super::{super::fields::imf, Asked, Policy, hop::strip_hop_by_hop, stored::Stored};

/// The request, made conditional on a stored response: the client's own conditions and range are evaluated here afterwards.
/// `None`: the response has nothing to validate it by.
pub(in crate::http) fn conditional(request: &Parts, stored: &Stored) -> Option<Parts> {
    let (tag, modified) = (stored.headers.get(ETAG), stored.headers.get(LAST_MODIFIED));
    if tag.is_none() && modified.is_none() {
        return None;
    }
    let mut request = unconditional(request);
    for (name, value) in [(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, modified)] {
        if let Some(value) = value {
            request.headers.insert(name, value.clone());
        }
    }
    Some(request)
}

fn unconditional(request: &Parts) -> Parts {
    let mut request = request.clone();
    for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE, IF_RANGE] {
        request.headers.remove(name);
    }
    request
}

/// A stored response with the headers of the 304 to a request that named this response only; `None`: that forbids to keep it.
pub(in crate::http) fn update(
    asked: &Asked,
    request: &HeaderMap,
    stored: &Stored,
    fresh: &HeaderMap,
    policy: &Policy,
) -> Option<Stored> {
    if fresh.contains_key(SET_COOKIE) && !policy.shares_cookies {
        return None;
    }
    let mut fresh = fresh.clone();
    strip_hop_by_hop(&mut fresh);
    // What describes the stored bytes stays as it was stored (section 3.2).
    let of_the_bytes = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG];
    let digests = ["content-md5", "content-digest", "repr-digest", "digest"].map(HeaderName::from_static);
    for name in of_the_bytes.into_iter().chain(digests) {
        fresh.remove(name);
    }
    // Its freshness counts from now (RFC 9110, section 6.6.1).
    fresh.entry(DATE).or_insert_with(|| imf(SystemTime::now()));
    let mut headers = stored.headers.clone();
    for name in fresh.keys() {
        headers.remove(name);
    }
    for (name, value) in &fresh {
        headers.try_append(name, value.clone()).ok()?;
    }
    stored.with_headers(asked, request, headers, policy)
}

/// Whether the head of a 200 to a HEAD request is that of a stored response (section 4.3.5).
pub(in crate::http) fn is_same_head(stored: &Stored, fresh: &HeaderMap) -> bool {
    let is_same = |name: &HeaderName| match (stored.headers.get(name), fresh.get(name)) {
        (Some(old), Some(new)) => old == new,
        (None, Some(new)) if name == CONTENT_LENGTH => new.as_bytes() == stored.body.len().to_string().as_bytes(),
        (_, None) => true,
        (None, Some(_)) => false,
    };
    stored.status == StatusCode::OK && [ETAG, LAST_MODIFIED, CONTENT_LENGTH].iter().all(is_same)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{
        body::Bytes,
        http::{Request, Response, header::EXPIRES},
    };

    use super::{super::storable, *};
    use crate::http::FmResponseCacheLayer;

    #[test]
    fn what_a_304_without_a_date_says_counts_from_now() {
        let policy = FmResponseCacheLayer::new().policy();
        let (request, ()) = Request::new(()).into_parts();
        let asked = Asked::of(&request);
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let (mut response, ()) = Response::new(()).into_parts();
        response.headers.insert(ETAG, "\"1\"".parse().unwrap());
        response.headers.insert(DATE, imf(hour_ago));
        response.headers.insert(EXPIRES, imf(hour_ago + Duration::from_secs(60)));
        let stored = storable(&asked, &request.headers, &response, &policy).unwrap().with_body(Bytes::new()).unwrap();
        let fresh = HeaderMap::from_iter([(EXPIRES, imf(SystemTime::now() + Duration::from_secs(60)))]);
        let updated = update(&asked, &request.headers, &stored, &fresh, &policy).unwrap();
        assert!(updated.terms.lifetime <= Duration::from_secs(61), "{:?}", updated.terms.lifetime);
    }
}
