//! Whether a response may be stored, and as what (RFC 9111, section 3).

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderName, Response, StatusCode,
        header::{AGE, CONTENT_LENGTH, COOKIE, DATE, ETAG, LAST_MODIFIED, SET_COOKIE, VARY},
        response::Parts,
    },
};

use super::{
    super::fields::{CacheControl, imf, members},
    Asked, Method, Policy,
    freshness::{explicit, is_heuristically_cacheable, lifetime},
    hop::strip_hop_by_hop,
    range::Piece,
    stored::{Stored, Terms},
    vary::{Selector, selectors},
};

/// Headers that are longer together are not stored.
const LONGEST_HEAD: usize = 64 << 10;

/// What `FmResponseCacheLayer` itself sets, and does not store.
const OURS: [&str; 1] = ["x-fm-cache"];

/// Marks a response that is another resource's than the one asked for, such as what a redirect led to.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "client"), allow(dead_code, reason = "only clients follow redirects"))]
pub(crate) struct Elsewhere;

/// A response that may be stored, without its body.
pub(in crate::http) struct Storable {
    status: StatusCode,
    headers: HeaderMap,
    piece: Option<Piece>,
    selectors: Vec<Selector>,
    terms: Terms,
}

/// What is to be stored of a response to a request; `None`: nothing.
pub(in crate::http) fn storable(
    asked: &Asked,
    request: &HeaderMap,
    response: &Parts,
    policy: &Policy,
) -> Option<Storable> {
    if response.extensions.get::<Elsewhere>().is_some() {
        return None;
    }
    let (status, headers) = (response.status, &response.headers);
    let directives = directives(headers, policy);
    // What is about one request is no answer to others (from 428 on: RFC 6585).
    let is_of_one = matches!(status.as_u16(), 304 | 416 | 428 | 429 | 431 | 511);
    let is_final = !status.is_informational() && !is_of_one;
    if !is_final || asked.bypasses || asked.directives.no_store || is_forbidden(status, &directives) {
        return None;
    }
    if length_of_head(headers) > LONGEST_HEAD || has_lengths_at_odds(headers) {
        return None;
    }
    let is_part = status == StatusCode::PARTIAL_CONTENT;
    let piece = if is_part { Some(piece(asked, request, headers, &directives)?) } else { None };
    let terms = terms(status, headers, &directives, policy)?;
    let sets_cookie = [SET_COOKIE, HeaderName::from_static("set-cookie2")]
        .iter()
        .any(|name| headers.contains_key(name) && !directives.withheld.contains(name));
    let as_user = !asked.is_authorized || terms.is_for_all;
    let as_visitor = !asked.has_cookie || terms.is_for_cookies || policy.shares_cookies;
    if !(policy.is_private || as_user && as_visitor) || sets_cookie && !policy.shares_cookies {
        return None;
    }
    let selectors = selectors(request, headers, terms.is_personal, policy)?;
    Some(Storable { status, headers: to_store(headers, &directives), piece, selectors, terms })
}

impl Storable {
    /// With its body.
    pub(in crate::http) fn with_body(self, body: Bytes) -> Option<Stored> {
        let Self { status, headers, piece, selectors, terms } = self;
        let told = headers.get(CONTENT_LENGTH).map(|length| length.to_str().ok().and_then(|text| text.parse().ok()));
        let is_whole = told.is_none_or(|told| told == Some(body.len())) || status == StatusCode::NO_CONTENT;
        let fits = piece.as_ref().is_none_or(|piece| piece.fits(body.len()));
        (is_whole && fits).then_some(Stored { status, headers, body, piece, selectors, terms })
    }

    /// The length of the body, where the response tells.
    pub(in crate::http) fn length(&self) -> Option<usize> {
        self.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }
}

impl Stored {
    /// With other headers, those that the validation by a request brought; `None` where a response with these would not be stored.
    pub(super) fn with_headers(
        &self,
        asked: &Asked,
        request: &HeaderMap,
        headers: HeaderMap,
        policy: &Policy,
    ) -> Option<Self> {
        let (mut response, ()) = Response::new(()).into_parts();
        // What part of the whole it is has not changed.
        response.status = if self.piece.is_some() { StatusCode::OK } else { self.status };
        response.headers = headers;
        let Storable { headers, selectors, terms, .. } = storable(asked, request, &response, policy)?;
        Some(Self { headers, selectors, terms, ..self.clone() })
    }
}

/// Whether a response says itself how long it is fresh.
pub(in crate::http) fn is_explicit(headers: &HeaderMap, policy: &Policy) -> bool {
    explicit(headers, &directives(headers, policy)).is_some()
}

fn directives(headers: &HeaderMap, policy: &Policy) -> CacheControl {
    let directives = CacheControl::of(headers);
    if policy.is_private { directives.for_private_cache() } else { directives }
}

/// What part of a whole a response is; `None` where it is of no use to anybody else.
fn piece(asked: &Asked, request: &HeaderMap, response: &HeaderMap, directives: &CacheControl) -> Option<Piece> {
    let may_be_used = asked.method == Method::Get && explicit(response, directives).is_some() && !directives.no_cache;
    may_be_used.then(|| Piece::of(request, response)).flatten()
}

fn is_forbidden(status: StatusCode, directives: &CacheControl) -> bool {
    let is_understood =
        matches!(status.as_u16(), 200..=205 | 300..=308 | 400..=417 | 421..=429 | 431 | 451 | 500..=505);
    if directives.must_understand {
        // `no-store` beside it is for caches that do not know `must-understand` (section 5.2.2.3).
        return directives.private || !is_understood;
    }
    directives.private || directives.no_store
}

/// `None`: the response says nothing that allows to store it.
fn terms(status: StatusCode, headers: &HeaderMap, directives: &CacheControl, policy: &Policy) -> Option<Terms> {
    let lifetime = lifetime(status, headers, directives, policy);
    let can_be_validated = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
    let is_said = explicit(headers, directives).is_some() || directives.public || directives.no_cache;
    let says_so = is_said || policy.is_heuristic && is_heuristically_cacheable(status) && can_be_validated;
    let lifetime = lifetime.unwrap_or_default();
    let late = directives.stale_while_revalidate.or(directives.stale_if_error).unwrap_or_default();
    let is_of_use = can_be_validated || !lifetime.is_zero() || !late.is_zero();
    (says_so && is_of_use).then(|| Terms {
        lifetime,
        no_cache: directives.no_cache,
        forbids_stale: directives.forbids_stale(),
        is_for_all: directives.is_for_all(),
        is_for_cookies: directives.public
            || directives.s_maxage.is_some()
            || members(headers, &VARY).any(|name| name.eq_ignore_ascii_case(COOKIE.as_str().as_bytes())),
        is_personal: policy.is_private && !directives.public,
        stale_while_revalidate: directives.stale_while_revalidate.unwrap_or_default(),
        stale_if_error: directives.stale_if_error,
    })
}

/// The fields that are stored (section 3.1).
fn to_store(headers: &HeaderMap, directives: &CacheControl) -> HeaderMap {
    let mut headers = headers.clone();
    strip_hop_by_hop(&mut headers);
    headers.remove(AGE);
    for name in &directives.withheld {
        headers.remove(name);
    }
    for name in OURS {
        headers.remove(name);
    }
    headers.entry(DATE).or_insert_with(|| imf(std::time::SystemTime::now()));
    headers
}

fn length_of_head(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// Whether there is more than one length: then nobody knows which part of a stream the body is.
fn has_lengths_at_odds(headers: &HeaderMap) -> bool {
    let mut lengths = members(headers, &CONTENT_LENGTH);
    let first = lengths.next();
    lengths.any(|other| Some(other) != first)
}
