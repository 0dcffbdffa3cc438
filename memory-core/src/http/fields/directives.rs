//! Lists of directives: names, some with an argument (RFC 9111, section 5.2).

use axum::http::{HeaderMap, HeaderName};

use super::list::members;

/// The directives of a field: their names as written, and what is behind the `=`, without quotes.
pub(in crate::http) fn directives<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
    members(headers, name).map(|member| match member.iter().position(|byte| *byte == b'=') {
        Some(at) => (member[..at].trim_ascii_end(), Some(unquoted(member[at + 1..].trim_ascii_start()))),
        None => (member, None),
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header::CACHE_CONTROL};

    use super::*;

    #[test]
    fn directives_come_one_by_one_whatever_is_quoted() {
        let mut headers = HeaderMap::new();
        for line in ["max-age = 5 ,, x=\"a, private\\\", b\"", "No-Cache"] {
            headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
        }
        let read: Vec<_> = directives(&headers, &CACHE_CONTROL).collect();
        let expected: [(&[u8], Option<&[u8]>); 3] =
            [(b"max-age", Some(b"5")), (b"x", Some(b"a, private\\\", b")), (b"No-Cache", None)];
        assert_eq!(read, expected);
    }
}
