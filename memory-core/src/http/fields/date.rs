//! Dates in header fields (RFC 9110, section 5.6.7).

use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The moment that a field names; `Err` where it is there and names none, or is there more than once with different values.
pub(in crate::http) fn moment(headers: &HeaderMap, name: &HeaderName) -> Result<Option<SystemTime>, ()> {
    let mut lines = headers.get_all(name).into_iter();
    let Some(first) = lines.next() else { return Ok(None) };
    if lines.any(|other| other != first) {
        return Err(());
    }
    let text = first.to_str().map_err(|_| ())?;
    httpdate::parse_http_date(text).map(Some).map_err(|_| ())
}

/// A moment in the format that is to be sent.
pub(in crate::http) fn imf(moment: SystemTime) -> HeaderValue {
    // The text is digits, letters, blanks, commas and colons.
    HeaderValue::try_from(httpdate::fmt_http_date(moment)).unwrap_or(HeaderValue::from_static(""))
}
