//! Lists in header fields (RFC 9110, section 5.6.1).

use axum::http::HeaderValue;

/// The directives of `Cache-Control` fields: their names as written, and what is behind the `=`, without quotes.
pub(in crate::http) fn directives<'a>(
    fields: impl IntoIterator<Item = &'a HeaderValue>,
) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
    fields.into_iter().flat_map(|field| Members(field.as_bytes())).map(|member| {
        match member.iter().position(|byte| *byte == b'=') {
            Some(at) => (member[..at].trim_ascii_end(), Some(unquoted(member[at + 1..].trim_ascii_start()))),
            None => (member, None),
        }
    })
}

/// Whether one of the entity tags in `If-None-Match` fields, or `*`, is `etag`, by weak comparison (RFC 9110, section 8.8.3.2).
pub(super) fn any_match<'a>(fields: impl IntoIterator<Item = &'a HeaderValue>, etag: &HeaderValue) -> bool {
    let opaque = |tag: &'a [u8]| tag.strip_prefix(b"W/").unwrap_or(tag);
    let etag = etag.as_bytes();
    let etag = etag.strip_prefix(b"W/").unwrap_or(etag);
    fields.into_iter().flat_map(|field| Members(field.as_bytes())).any(|tag| tag == b"*" || opaque(tag) == etag)
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// The members of a list, which commas outside of quotes separate; empty ones are left out.
struct Members<'a>(&'a [u8]);

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            let end = end_of_member(self.0);
            let (member, rest) = self.0.split_at(end);
            self.0 = rest.get(1..).unwrap_or_default();
            if !member.trim_ascii().is_empty() {
                return Some(member.trim_ascii());
            }
        }
        None
    }
}

fn end_of_member(list: &[u8]) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    list.iter()
        .position(|byte| {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_quoted => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                _ => {}
            }
            *byte == b',' && !is_quoted
        })
        .unwrap_or(list.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    #[test]
    fn directives_come_one_by_one_whatever_is_quoted() {
        let fields = [field("max-age = 5 ,, x=\"a, private\\\", b\""), field("No-Cache")];
        let read: Vec<_> = directives(&fields).collect();
        let expected: [(&[u8], Option<&[u8]>); 3] =
            [(b"max-age", Some(b"5")), (b"x", Some(b"a, private\\\", b")), (b"No-Cache", None)];
        assert_eq!(read, expected);
    }

    #[test]
    fn tags_match_weakly_and_in_lists() {
        let matches = |fields: &'static str| any_match([&field(fields)], &field("\"a,b\""));
        assert!(matches("\"a,b\"") && matches("W/\"a,b\"") && matches("\"x\" , \"a,b\"") && matches("*"));
        assert!(
            !matches("\"a\", \"b\"") && !matches("a,b") && !matches("") && !matches("\"*\"") && !matches("w/\"a,b\"")
        );
        assert!(any_match([&field("\"x\""), &field("\"y\"")], &field("W/\"y\"")));
    }
}
