//! Parts of a stored response (RFC 9110, section 14).

use std::ops::Range;

use axum::http::{
    HeaderMap,
    header::{DATE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE},
};

use super::{
    super::fields::{EntityTag, moment},
    stored::Stored,
};

/// Which part of a stored response a request wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// These bytes.
    Bytes(Range<usize>),
    /// None that there is.
    Beyond,
}

/// Which part of a stored response a request wants. More than one, or what can't be read, is all of it.
pub(super) fn part(asked: &HeaderMap, stored: &Stored) -> Part {
    let wanted = asked.get(RANGE).filter(|_| holds(asked, stored));
    let spec = wanted.and_then(|wanted| wanted.to_str().ok()).and_then(|wanted| wanted.strip_prefix("bytes="));
    let Some((first, last)) = spec.filter(|spec| !spec.contains(',')).and_then(|spec| spec.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    let length = stored.body.len();
    match (number(first), number(last)) {
        (None, Some(suffix)) if first.is_empty() => match suffix.min(length) {
            0 => Part::Beyond,
            suffix => Part::Bytes(length - suffix..length),
        },
        (Some(first), _) if first >= length => Part::Beyond,
        (Some(first), None) if last.is_empty() => Part::Bytes(first..length),
        (Some(first), Some(last)) if last >= first => Part::Bytes(first..last.saturating_add(1).min(length)),
        _ => Part::Whole,
    }
}

fn number(digits: &str) -> Option<usize> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Whether `If-Range`, where it is there, names this very response (section 13.1.5).
fn holds(asked: &HeaderMap, stored: &Stored) -> bool {
    let Some(condition) = asked.get(IF_RANGE) else { return true };
    let tag = EntityTag::of(condition);
    if condition.as_bytes().contains(&b'"') {
        return stored.headers.get(ETAG).is_some_and(|stored| EntityTag::of(stored).is_same(tag));
    }
    // A date is strong only when the response was made at least a second later (section 8.8.2.2).
    let modified = moment(&stored.headers, &LAST_MODIFIED).ok().flatten();
    let date = moment(&stored.headers, &DATE).ok().flatten();
    let is_strong = modified.zip(date).is_some_and(|(modified, date)| modified < date);
    is_strong && stored.headers.get(LAST_MODIFIED) == Some(condition)
}
