//! How long a response is fresh, and how old it is (RFC 9111, section 4.2).

use std::time::{Duration, SystemTime};

use axum::http::{
    HeaderMap, StatusCode,
    header::{AGE, DATE, EXPIRES, LAST_MODIFIED},
};

use super::{
    super::fields::{CacheControl, moment},
    Policy,
};

/// More than any lifetime.
const TOO_OLD: Duration = Duration::from_secs(1 << 33);

/// How long a response is fresh, counted from its generation (section 4.2.1), and whether it says so itself.
pub(super) fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    directives: &CacheControl,
    policy: &Policy,
) -> Option<Duration> {
    if let Some(explicit) = explicit(headers, directives) {
        return Some(explicit);
    }
    let may_guess = policy.is_heuristic && (is_heuristically_cacheable(status) || directives.public);
    if may_guess { heuristic(headers) } else { None }
}

/// The lifetime that a response says it has.
pub(super) fn explicit(headers: &HeaderMap, directives: &CacheControl) -> Option<Duration> {
    directives.s_maxage.or(directives.max_age).or_else(|| {
        let expires = moment(headers, &EXPIRES).transpose()?;
        let date = moment(headers, &DATE).ok().flatten().unwrap_or_else(SystemTime::now);
        // An invalid date, such as `0`, is in the past (section 5.3).
        Some(expires.ok().and_then(|expires| expires.duration_since(date).ok()).unwrap_or_default())
    })
}

/// A tenth of the time since the last modification, and no more than a day (section 4.2.2).
fn heuristic(headers: &HeaderMap) -> Option<Duration> {
    let modified = moment(headers, &LAST_MODIFIED).ok().flatten()?;
    let date = moment(headers, &DATE).ok().flatten().unwrap_or_else(SystemTime::now);
    let unchanged = date.duration_since(modified).ok()?;
    Some((unchanged / 10).min(Duration::from_secs(86_400)))
}

/// RFC 9110, section 15.1, without the partial content that is not stored.
pub(super) fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// How old a response was when it came in (section 4.2.3); `delay` is the time since its request was sent.
///
/// An `Age` that is no number makes it older than any lifetime.
pub(in crate::http) fn age_of(headers: &HeaderMap, received: SystemTime, delay: Duration) -> Duration {
    let apparent = moment(headers, &DATE).ok().flatten().and_then(|date| received.duration_since(date).ok());
    let told = told(headers).map_or(Duration::ZERO, |age| age.saturating_add(delay));
    // Dates have whole seconds.
    let apparent = Duration::from_secs(apparent.unwrap_or_default().as_secs());
    apparent.max(told)
}

/// The first member of the one line, when nothing but digits and commas is there (section 5.1); anything else is too old.
fn told(headers: &HeaderMap) -> Option<Duration> {
    let mut lines = headers.get_all(AGE).into_iter();
    let line = lines.next()?.to_str().ok().filter(|_| lines.next().is_none());
    let is_age = |age: &str| !age.is_empty() && age.bytes().all(|byte| byte.is_ascii_digit());
    let first = line.filter(|line| line.split(',').all(is_age)).and_then(|line| line.split(',').next()?.parse().ok());
    Some(first.map_or(TOO_OLD, Duration::from_secs).min(TOO_OLD))
}
