//! What a response says of the cache that it came through: `X-Fm-Cache` and `Cache-Status` (RFC 9211).

use std::{fmt::Write, iter::once};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};

use super::super::cache::{Asked, Plain, Variant, serve};
use crate::cache::FmOutcome;

const X_FM_CACHE: HeaderName = HeaderName::from_static("x-fm-cache");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// How a response came about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// From the cache, fresh.
    Hit,
    /// From the cache, past its freshness.
    Stale,
    /// From the origin, for this reason; with whether it was stored.
    Forwarded(Why, bool),
    /// From the origin, which another request had asked.
    Collapsed,
    /// From nowhere: the client wanted a stored response.
    Refused,
}

/// Why a request was forwarded (RFC 9211, section 2.2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Why {
    /// The request is not one that is answered from the cache.
    Bypass,
    /// Its method is not.
    Method,
    /// Nothing was stored.
    Miss,
    /// What was stored answers other requests.
    VaryMiss,
    /// What was stored had to be validated.
    Stale,
}

impl Told {
    fn short(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Stale => "STALE",
            Self::Forwarded(Why::Bypass | Why::Method, _) => "BYPASS",
            Self::Forwarded(..) | Self::Collapsed | Self::Refused => "MISS",
        }
    }

    /// For the statistics.
    pub(super) fn outcome(self) -> FmOutcome {
        match self {
            Self::Hit => FmOutcome::Hit,
            Self::Stale => FmOutcome::Stale,
            Self::Forwarded(Why::Bypass | Why::Method, _) => FmOutcome::Bypassed,
            Self::Forwarded(..) | Self::Refused => FmOutcome::Miss,
            Self::Collapsed => FmOutcome::Coalesced,
        }
    }

    fn long(self, prefix: &str, fresh_left: Option<u64>) -> String {
        let mut text = String::with_capacity(prefix.len() + 64);
        let name = prefix.chars().map(|symbol| if is_plain(symbol) { symbol } else { '_' });
        text.extend(once('"').chain(name).chain(once('"')));
        let written = match self {
            Self::Hit | Self::Stale => write!(text, "; hit"),
            Self::Collapsed => write!(text, "; fwd=miss; collapsed"),
            Self::Refused => write!(text, "; fwd=request"),
            Self::Forwarded(why, stored) => {
                let stored = if stored { "; stored" } else { "" };
                write!(text, "; fwd={}{stored}", why.token())
            }
        };
        let _ = written.and_then(|()| fresh_left.map_or(Ok(()), |left| write!(text, "; ttl={left}")));
        text
    }

    /// Says so in the headers of a response.
    pub(super) fn tell(self, headers: &mut HeaderMap, prefix: &str, fresh_left: Option<u64>) {
        headers.insert(X_FM_CACHE, HeaderValue::from_static(self.short()));
        if let Ok(status) = HeaderValue::try_from(self.long(prefix, fresh_left)) {
            headers.append(CACHE_STATUS, status);
        }
    }

    /// The answer to a request that a stored response is for.
    pub(super) fn answer(self, asked: &Asked, request: &HeaderMap, variant: &Variant, prefix: &str) -> Response {
        let Plain { status, mut headers, body } = serve(asked, request, variant);
        self.tell(&mut headers, prefix, Some(variant.fresh_left().as_secs()));
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// Whether a symbol stands for itself within the quotes of a structured field (RFC 9651, section 3.3.3).
fn is_plain(symbol: char) -> bool {
    symbol.is_ascii_graphic() && symbol != '"' && symbol != '\\'
}

impl Why {
    fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::Miss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
        }
    }
}
