//! Lists in header fields (RFC 9110, section 5.6.1).

use axum::http::{HeaderMap, HeaderName};

/// The members of a list field, whose lines count as one list; commas in quoted strings separate nothing, empty members are
/// left out.
pub(in crate::http) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).into_iter().flat_map(|line| Members(line.as_bytes()))
}

/// The members of one line.
pub(super) struct Members<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            let (member, rest) = self.0.split_at(end_of_member(self.0));
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
    let comma = list.iter().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        *byte == b',' && !is_quoted
    });
    comma.unwrap_or(list.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_separate_nothing() {
        let list = br#"a, ,b="c, \", d" ,,e"#;
        let members: Vec<&[u8]> = Members(list).collect();
        assert_eq!(members, [&b"a"[..], br#"b="c, \", d""#, b"e"]);
    }
}
