//! The `Retry-After` header: seconds, or a date.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How long the upstream asks to be left alone; `None` when it does not say, or says nonsense.
pub(crate) fn read(headers: &HeaderMap) -> Option<Duration> {
    let mut values = headers.get_all(RETRY_AFTER).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    parse(value.to_str().ok()?.trim(), SystemTime::now())
}

fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    if value.is_empty() {
        return None;
    }
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    // A date that has passed asks for no wait.
    httpdate::parse_http_date(value).ok().map(|date| date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn seconds_and_all_three_forms_of_dates_are_read() {
        let seconds = Duration::from_secs;
        assert_eq!(parse("1", at(0)), Some(seconds(1)));
        assert_eq!(parse("0", at(0)), Some(seconds(0)));
        assert_eq!(parse("9999999999", at(0)), Some(seconds(9_999_999_999)));
        assert_eq!(parse("99999999999999999999999", at(0)), Some(Duration::MAX));
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(date, at(784_111_770)), Some(seconds(7)), "{date}");
            assert_eq!(parse(date, at(784_111_999)), Some(seconds(0)), "{date}");
        }
    }

    #[test]
    fn junk_is_no_wait_at_all() {
        for junk in ["", "soon", "-1", "1.5", "1, 2", "+1", "0x10", "1 s", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse(junk, at(0)), None, "{junk}");
        }
    }

    #[test]
    fn two_headers_contradict_each_other_and_count_as_none() {
        let mut headers = HeaderMap::new();
        headers.append(RETRY_AFTER, "1".parse().unwrap());
        assert_eq!(read(&headers), Some(Duration::from_secs(1)));
        headers.append(RETRY_AFTER, "2".parse().unwrap());
        assert_eq!(read(&headers), None);
    }
}
