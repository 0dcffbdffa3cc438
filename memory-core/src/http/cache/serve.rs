//! Answers made of stored responses (RFC 9111, sections 4.3.2 and 5.1; RFC 9110, section 13.2).

use std::{ops::Range, time::Duration};

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT_RANGES, AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, DATE, ETAG, EXPIRES,
            IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, SET_COOKIE, VARY,
        },
    },
};

use super::{
    super::fields::{EntityTag, moment},
    Asked, Method,
    range::{Part, Piece, part},
    shelf::Variant,
    stored::Stored,
};

/// A response that is there in whole.
#[derive(Debug)]
pub(in crate::http) struct Plain {
    pub(in crate::http) status: StatusCode,
    pub(in crate::http) headers: HeaderMap,
    pub(in crate::http) body: Bytes,
}

/// The answer to a request that a stored response is for: itself, a part of it, or that the client has it already.
pub(in crate::http) fn serve(asked: &Asked, request: &HeaderMap, variant: &Variant) -> Plain {
    let stored = &variant.response;
    let mut plain = if is_unmodified(request, stored) {
        not_modified(stored)
    } else if let Some(piece) = &stored.piece {
        of_piece(request, stored, piece)
    } else if asked.has_range && asked.method == Method::Get && stored.status == StatusCode::OK {
        in_part(request, stored)
    } else {
        whole(stored)
    };
    if asked.method == Method::Head && plain.status != StatusCode::NOT_MODIFIED {
        plain.headers.entry(CONTENT_LENGTH).or_insert_with(|| number(plain.body.len()));
        plain.body = Bytes::new();
    }
    plain.headers.insert(AGE, seconds(variant.age));
    plain
}

fn whole(stored: &Stored) -> Plain {
    Plain { status: stored.status, headers: stored.headers.clone(), body: stored.body.clone() }
}

/// Whether the client has it already. `If-None-Match` beats `If-Modified-Since` (RFC 9110, section 13.2.2).
fn is_unmodified(request: &HeaderMap, stored: &Stored) -> bool {
    if stored.status != StatusCode::OK {
        return false;
    }
    if request.contains_key(IF_NONE_MATCH) {
        return EntityTag::is_known(stored.headers.get(ETAG).map(EntityTag::of), request.get_all(IF_NONE_MATCH));
    }
    let Ok(Some(since)) = moment(request, &IF_MODIFIED_SINCE) else { return false };
    // What has no date of modification was not modified after it was made (RFC 9111, section 4.3.2).
    let modified = [LAST_MODIFIED, DATE].iter().find_map(|name| moment(&stored.headers, name).ok().flatten());
    modified.is_some_and(|modified| modified <= since)
}

fn not_modified(stored: &Stored) -> Plain {
    let names = [CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, LAST_MODIFIED, SET_COOKIE, VARY];
    let mut headers = HeaderMap::with_capacity(names.len() + 3);
    let is_sent = |name: &HeaderName| names.contains(name);
    for (name, value) in stored.headers.iter().filter(|(name, _)| is_sent(name)) {
        headers.append(name, value.clone());
    }
    Plain { status: StatusCode::NOT_MODIFIED, headers, body: Bytes::new() }
}

/// As much of a stored part as a request wants.
fn of_piece(request: &HeaderMap, stored: &Stored, piece: &Piece) -> Plain {
    match piece.part(request, stored) {
        Some(range) if range.len() < stored.body.len() => {
            let told = piece.told(&range);
            cut(whole(stored), range, told)
        }
        _ => whole(stored),
    }
}

fn in_part(request: &HeaderMap, stored: &Stored) -> Plain {
    let length = stored.body.len();
    let mut plain = whole(stored);
    match part(request, stored) {
        Part::Whole => {
            plain.headers.entry(ACCEPT_RANGES).or_insert(HeaderValue::from_static("bytes"));
        }
        Part::Bytes(range) => {
            let told = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
            return cut(plain, range, told);
        }
        Part::Beyond => {
            plain.status = StatusCode::RANGE_NOT_SATISFIABLE;
            plain.headers.insert(CONTENT_LENGTH, number(0));
            plain.headers.insert(CONTENT_RANGE, text(format!("bytes */{length}")));
            plain.body = Bytes::new();
        }
    }
    plain
}

fn cut(mut plain: Plain, range: Range<usize>, told: String) -> Plain {
    plain.status = StatusCode::PARTIAL_CONTENT;
    plain.headers.insert(CONTENT_LENGTH, number(range.len()));
    plain.headers.insert(CONTENT_RANGE, text(told));
    plain.body = plain.body.slice(range);
    plain
}

fn seconds(age: Duration) -> HeaderValue {
    HeaderValue::from(age.as_secs())
}

fn number(number: usize) -> HeaderValue {
    HeaderValue::from(number)
}

fn text(text: String) -> HeaderValue {
    // Digits, letters and punctuation.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
