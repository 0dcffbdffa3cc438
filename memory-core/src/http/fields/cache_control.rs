//! `Cache-Control`, of requests and responses (RFC 9111, section 5.2; RFC 5861).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, header::CACHE_CONTROL};

use super::{directives::directives, list::Members};

/// The directives of all `Cache-Control` lines of a message.
///
/// Where one stands more than once, the stricter holds; a number that is none counts as zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct CacheControl {
    pub(in crate::http) max_age: Option<Duration>,
    pub(in crate::http) s_maxage: Option<Duration>,
    pub(in crate::http) min_fresh: Option<Duration>,
    /// [`Duration::MAX`] where no limit is given.
    pub(in crate::http) max_stale: Option<Duration>,
    pub(in crate::http) stale_while_revalidate: Option<Duration>,
    pub(in crate::http) stale_if_error: Option<Duration>,
    pub(in crate::http) no_cache: bool,
    pub(in crate::http) no_store: bool,
    pub(in crate::http) private: bool,
    pub(in crate::http) public: bool,
    pub(in crate::http) must_revalidate: bool,
    pub(in crate::http) proxy_revalidate: bool,
    pub(in crate::http) must_understand: bool,
    pub(in crate::http) only_if_cached: bool,
    /// The fields that `private` and `no-cache` name: a shared cache leaves them out of what it stores.
    pub(in crate::http) withheld: Vec<HeaderName>,
}

impl CacheControl {
    /// The directives of a message.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for (name, value) in self::directives(headers, &CACHE_CONTROL) {
            directives.add(name, value);
        }
        directives
    }

    /// As a private cache reads them: what is said to shared ones is not there.
    pub(in crate::http) fn for_private_cache(self) -> Self {
        Self { s_maxage: None, proxy_revalidate: false, private: false, ..self }
    }

    fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        match &*name.to_ascii_lowercase() {
            b"max-age" => shorten(&mut self.max_age, seconds(value)),
            b"s-maxage" => shorten(&mut self.s_maxage, seconds(value)),
            b"min-fresh" => self.min_fresh = Some(seconds(value)),
            b"max-stale" => shorten(&mut self.max_stale, value.map_or(Duration::MAX, |value| seconds(Some(value)))),
            b"stale-while-revalidate" => shorten(&mut self.stale_while_revalidate, seconds(value)),
            b"stale-if-error" => shorten(&mut self.stale_if_error, seconds(value)),
            b"no-store" => self.no_store = true,
            b"public" => self.public = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"only-if-cached" => self.only_if_cached = true,
            b"no-cache" => self.no_cache |= !self.withhold(value),
            b"private" => self.private |= !self.withhold(value),
            _ => {}
        }
    }

    /// Notes the fields that a directive is limited to; whether it is.
    fn withhold(&mut self, fields: Option<&[u8]>) -> bool {
        let Some(fields) = fields else { return false };
        let names: Option<Vec<HeaderName>> = Members(fields).map(|name| HeaderName::from_bytes(name).ok()).collect();
        // What can't be read is not limited.
        let Some(names) = names.filter(|names| !names.is_empty()) else { return false };
        self.withheld.extend(names);
        true
    }

    /// Whether a response with these directives says that a shared cache may share it whoever asked (RFC 9111, section 3.5).
    pub(in crate::http) fn is_for_all(&self) -> bool {
        self.public || self.s_maxage.is_some() || self.must_revalidate
    }

    /// Whether a response with these directives may not be used past its freshness (RFC 9111, section 4.2.4).
    pub(in crate::http) fn forbids_stale(&self) -> bool {
        self.no_cache || self.must_revalidate || self.proxy_revalidate || self.s_maxage.is_some()
    }
}

fn shorten(limit: &mut Option<Duration>, given: Duration) {
    *limit = Some(limit.map_or(given, |limit| limit.min(given)));
}

/// Delta-seconds (RFC 9111, section 1.2.2).
fn seconds(value: Option<&[u8]>) -> Duration {
    let digits = value.filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit));
    digits.map_or(Duration::ZERO, |digits| {
        let number =
            digits.iter().try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        Duration::from_secs(number.unwrap_or(u64::MAX).min(FOREVER))
    })
}

/// More seconds than this are this many.
const FOREVER: u64 = 1 << 31;

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn parse(value: &'static str) -> CacheControl {
        CacheControl::of(&HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(value))]))
    }

    #[test]
    fn the_stricter_holds_and_what_is_no_number_is_zero() {
        assert_eq!(parse("max-age=9, MAX-AGE=\"3\"").max_age, Some(Duration::from_secs(3)));
        for none in ["max-age='9'", "max-age=-1", "max-age=1.5", "max-age=", "max-age"] {
            assert_eq!(parse(none).max_age, Some(Duration::ZERO), "{none}");
        }
        assert_eq!(parse("max-age=99999999999999999999999").max_age, Some(Duration::from_secs(FOREVER)));
        assert_eq!(parse("x=\"max-age=100, no-store\"").max_age, None);
        assert_eq!(parse("max-stale").max_stale, Some(Duration::MAX));
    }

    #[test]
    fn fields_limit_private_and_no_cache_only_where_they_can_be_read() {
        let limited = parse("private=\"set-cookie, x-user\", no-cache=x-token");
        assert!(!limited.private && !limited.no_cache);
        assert_eq!(limited.withheld, ["set-cookie", "x-user", "x-token"]);
        assert!(parse("private=\"\"").private && parse("private=\"a b\"").private);
    }
}
