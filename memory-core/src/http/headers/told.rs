//! The words for what is known about an answer.

use std::{
    fmt::Write,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use axum::{body::Bytes, http::HeaderValue};

use super::asked::Audience;
use crate::{
    cache::{FmOutcome, Served},
    print::Words,
    time::{Expiry, Tick},
};

/// What never expires is said to be fresh for a year.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// `X-Fm-Cache`.
pub(super) fn verdict(outcome: FmOutcome) -> HeaderValue {
    HeaderValue::from_static(match outcome {
        FmOutcome::Hit => "HIT",
        FmOutcome::Stale => "STALE",
        FmOutcome::Bypassed => "BYPASS",
        FmOutcome::Computed | FmOutcome::Coalesced | FmOutcome::Miss => "MISS",
    })
}

/// What is said of a value that clients may keep, which changes once a second.
pub(super) fn words(audience: Audience, served: &Served, left: Expiry) -> Words {
    let seconds = |length: Option<Duration>| length.map_or(u64::MAX, |length| length.as_secs());
    let facts = [
        audience as u64,
        served.outcome as u64,
        seconds(left.duration()),
        seconds(served.age),
        served.stale_for.as_secs(),
        served.late.answers.as_secs(),
        served.late.excuses.as_secs(),
    ];
    let say = || Words {
        control: control(audience, left, served),
        age: served.age.map(|age| HeaderValue::from(age.as_secs())),
        status: status(served),
    };
    served.print.as_ref().map_or_else(say, |print| print.words(facts, say))
}

/// `Cache-Status` (RFC 9211).
pub(super) fn status(served: &Served) -> HeaderValue {
    let is_stored = served.left.is_some();
    match served.outcome {
        FmOutcome::Hit => match served.left.and_then(Expiry::duration) {
            Some(left) => written(64, |text| write!(text, "fm-cache; hit; ttl={}", left.as_secs())),
            None => HeaderValue::from_static("fm-cache; hit"),
        },
        FmOutcome::Stale => {
            written(64, |text| write!(text, "fm-cache; hit; ttl=-{}", served.stale_for.as_secs().max(1)))
        }
        FmOutcome::Bypassed => HeaderValue::from_static("fm-cache; fwd=bypass"),
        FmOutcome::Coalesced => HeaderValue::from_static("fm-cache; fwd=miss; collapsed"),
        FmOutcome::Computed | FmOutcome::Miss if is_stored => HeaderValue::from_static("fm-cache; fwd=miss; stored"),
        FmOutcome::Computed | FmOutcome::Miss => HeaderValue::from_static("fm-cache; fwd=miss"),
    }
}

/// `Cache-Control` (RFC 9111, section 5.2.2, and RFC 5861) of a value that is fresh for so long.
fn control(audience: Audience, left: Expiry, served: &Served) -> HeaderValue {
    let audience = match audience {
        Audience::Usual => "",
        Audience::Public => "public, ",
        Audience::Private => "private, ",
    };
    written(96, |text| {
        write!(text, "{audience}max-age={}", left.duration().unwrap_or(YEAR).as_secs())?;
        for (name, length) in [("stale-while-revalidate", served.late.answers), ("stale-if-error", served.late.excuses)]
        {
            if length.as_secs() > 0 {
                write!(text, ", {name}={}", length.as_secs())?;
            }
        }
        Ok(())
    })
}

/// `Last-Modified` of what was made so long ago.
pub(super) fn last_modified(age: Duration) -> HeaderValue {
    let made = wall_clock(age).clamp(SystemTime::UNIX_EPOCH, SystemTime::now().max(SystemTime::UNIX_EPOCH));
    written(32, |text| write!(text, "{}", httpdate::HttpDate::from(made)))
}

/// The time of day so long ago, by a clock that was set once: the same for one value whenever it is asked.
fn wall_clock(age: Duration) -> SystemTime {
    static SET: OnceLock<(Tick, SystemTime)> = OnceLock::new();
    let (tick, time) = *SET.get_or_init(|| (Tick::now(), SystemTime::now()));
    let made = Tick::now().before(age);
    let moved = if made < tick { time.checked_sub(tick.since(made)) } else { time.checked_add(made.since(tick)) };
    moved.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What is written is always a header value: visible ASCII.
fn written(capacity: usize, write: impl FnOnce(&mut String) -> std::fmt::Result) -> HeaderValue {
    let mut text = String::with_capacity(capacity);
    let _ = write(&mut text);
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}
