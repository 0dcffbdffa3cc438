//! What a request says about caching.

use std::time::Duration;

use axum::http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{CACHE_CONTROL, IF_MODIFIED_SINCE, IF_NONE_MATCH, PRAGMA},
};

use super::Settings;
use crate::{
    cache::{Exchange, Wish},
    http::fields::{directives, is_credential},
};

/// One request.
#[derive(Debug)]
pub(super) struct Asked {
    exchange: Exchange,
    pub(super) method: Asking,
    pub(super) audience: Audience,
    /// `If-None-Match`: empty where it is absent.
    pub(super) none_match: Vec<HeaderValue>,
    pub(super) modified_since: Option<HeaderValue>,
}

/// What a method asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// The response.
    Get,
    /// The response without its body.
    Head,
    /// Something else.
    Else,
}

/// Who may keep a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everybody, by the rules of HTTP.
    Usual,
    /// Everybody, as the service has said.
    Public,
    /// The client only.
    Private,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>, settings: Settings) -> Self {
        let headers = request.headers();
        let method = match *request.method() {
            Method::GET => Asking::Get,
            Method::HEAD => Asking::Head,
            _ => Asking::Else,
        };
        let wish = match method {
            Asking::Else => Wish { bypass: true, ..Wish::default() },
            _ if settings.client_bypass => wish(headers),
            _ => Wish::default(),
        };
        let has_credentials = headers.keys().any(is_credential);
        Self {
            exchange: Exchange::new(wish),
            method,
            audience: match settings.is_public {
                true => Audience::Public,
                false if has_credentials => Audience::Private,
                false => Audience::Usual,
            },
            none_match: headers.get_all(IF_NONE_MATCH).iter().cloned().collect(),
            modified_since: headers.get(IF_MODIFIED_SINCE).cloned(),
        }
    }

    pub(super) fn exchange(&self) -> Exchange {
        self.exchange.clone()
    }

    /// Whether the client takes only what is cached, and there is nothing.
    pub(super) fn is_refused(&self) -> bool {
        self.exchange.is_refused()
    }
}

/// What the client takes (RFC 9111, section 5.2.1). What makes no sense is not there.
fn wish(headers: &HeaderMap) -> Wish {
    let mut wish = Wish::default();
    for (name, value) in directives(headers, &CACHE_CONTROL) {
        match &*name.to_ascii_lowercase() {
            b"no-store" => wish.bypass = true,
            b"no-cache" => wish.refresh = true,
            b"only-if-cached" => wish.only_if_cached = true,
            b"max-age" => wish.max_age = seconds(value).or(wish.max_age),
            b"min-fresh" => wish.min_fresh = seconds(value).or(wish.min_fresh),
            b"max-stale" if value.is_none() => wish.max_stale = Some(Duration::MAX),
            b"max-stale" => wish.max_stale = seconds(value).or(wish.max_stale),
            _ => {}
        }
    }
    if !headers.contains_key(CACHE_CONTROL) {
        wish.refresh |= directives(headers, &PRAGMA).any(|(name, _)| name.eq_ignore_ascii_case(b"no-cache"));
    }
    // Who wants no run gets none.
    wish.bypass &= !wish.only_if_cached;
    wish
}

fn seconds(value: Option<&[u8]>) -> Option<Duration> {
    let digits = value.filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit))?;
    // More than fits is as good as for ever (RFC 9111, section 1.2.2).
    Some(std::str::from_utf8(digits).ok()?.parse().map_or(Duration::MAX, Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish_of(name: &'static str, value: &'static str) -> Wish {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        wish(&headers)
    }

    #[test]
    fn every_directive_of_a_request_is_a_wish() {
        let none = Wish::default();
        assert_eq!(wish_of("cache-control", "No-Cache"), Wish { refresh: true, ..none });
        assert_eq!(wish_of("pragma", "no-cache"), Wish { refresh: true, ..none });
        assert_eq!(wish_of("cache-control", "no-store"), Wish { bypass: true, ..none });
        assert_eq!(wish_of("cache-control", "no-store, only-if-cached"), Wish { only_if_cached: true, ..none });
        let second = Duration::from_secs;
        let bounds = Wish { max_age: Some(second(5)), min_fresh: Some(second(2)), max_stale: Some(second(7)), ..none };
        assert_eq!(wish_of("cache-control", "max-age=5, min-fresh=\"2\", max-stale=7"), bounds);
        assert_eq!(wish_of("cache-control", "max-stale").max_stale, Some(Duration::MAX));
        assert_eq!(wish_of("cache-control", "max-age=99999999999999999999").max_age, Some(Duration::MAX));
        assert_eq!(wish_of("cache-control", "max-age=-1, min-fresh=x, max-age=, max-stale=1.5"), none);
    }
}
