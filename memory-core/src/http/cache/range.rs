//! Parts of a stored response (RFC 9110, section 14).

use std::ops::Range;

use axum::http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_RANGE, DATE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE},
};
use serde::{Deserialize, Serialize};

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

/// The part of a whole that a stored body is (section 14.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::http) struct Piece {
    /// Where it begins.
    first: usize,
    /// How long the whole is.
    whole: usize,
    /// Whether it was said to go on to the end of the whole.
    is_last: bool,
    /// The `Range` that it was the answer to.
    range: Vec<u8>,
}

/// What a `Range` asks for.
enum Spec {
    From(usize),
    Within(usize, usize),
    Last(usize),
}

/// Which part of a stored response a request wants. More than one, or what can't be read, is all of it.
pub(super) fn part(asked: &HeaderMap, stored: &Stored) -> Part {
    let length = stored.body.len();
    match asked.get(RANGE).filter(|_| holds(asked, stored)).and_then(spec) {
        None => Part::Whole,
        Some(Spec::Last(0)) => Part::Beyond,
        Some(Spec::Last(suffix)) if length > 0 => Part::Bytes(length.saturating_sub(suffix)..length),
        Some(Spec::From(first)) if first < length => Part::Bytes(first..length),
        Some(Spec::Within(first, last)) if first < length => Part::Bytes(first..last.saturating_add(1).min(length)),
        Some(_) => Part::Beyond,
    }
}

impl Piece {
    /// What a 206 says that its body is; `None` where it is not one part of a whole of known length.
    pub(super) fn of(request: &HeaderMap, response: &HeaderMap) -> Option<Self> {
        let range = request.get(RANGE)?;
        let told = response.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
        let (bounds, whole) = told.split_once('/')?;
        let (first, last) = bounds.split_once('-')?;
        let (first, last, whole) = (number(first)?, number(last)?, number(whole)?);
        let is_valid = first <= last && last < whole;
        is_valid.then(|| Self { first, whole, is_last: last + 1 == whole, range: range.as_bytes().to_vec() })
    }

    /// Whether a body of this length is no more than the part.
    pub(super) fn fits(&self, length: usize) -> bool {
        length > 0 && length <= self.whole - self.first
    }

    /// Which bytes of the stored body answer a request; `None` where they do not.
    pub(super) fn part(&self, asked: &HeaderMap, stored: &Stored) -> Option<Range<usize>> {
        let wanted = asked.get(RANGE).filter(|_| holds(asked, stored))?;
        if wanted.as_bytes() == self.range {
            return Some(0..stored.body.len());
        }
        let end = self.first + stored.body.len();
        let (first, after) = match spec(wanted)? {
            Spec::Within(first, last) => (first, last.saturating_add(1).min(self.whole)),
            // As far as the origin has gone (section 15.3.7).
            Spec::From(first) if self.is_last => (first, end),
            Spec::From(first) => (first, self.whole),
            Spec::Last(suffix) => (self.whole.saturating_sub(suffix), self.whole),
        };
        let is_there = self.first <= first && first < after && after <= end;
        is_there.then(|| first - self.first..after - self.first)
    }

    /// `Content-Range` for these bytes of the stored body.
    pub(super) fn told(&self, range: &Range<usize>) -> String {
        format!("bytes {}-{}/{}", self.first + range.start, self.first + range.end - 1, self.whole)
    }
}

/// The one range that a `Range` asks for.
fn spec(range: &HeaderValue) -> Option<Spec> {
    let spec = range.to_str().ok()?.strip_prefix("bytes=").filter(|spec| !spec.contains(','))?;
    match spec.trim().split_once('-')? {
        ("", suffix) => number(suffix).map(Spec::Last),
        (first, "") => number(first).map(Spec::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::Within(first, last))
        }
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
