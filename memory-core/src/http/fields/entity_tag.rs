//! Entity tags (RFC 9110, section 8.8.3).

use axum::http::HeaderValue;

use super::list::Members;

/// An entity tag, as it stands in its field.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct EntityTag<'a>(&'a [u8]);

impl<'a> EntityTag<'a> {
    /// The tag in an `ETag` field.
    pub(in crate::http) fn of(value: &'a HeaderValue) -> Self {
        Self(value.as_bytes().trim_ascii())
    }

    /// Whether the lines of `If-None-Match` name it, or anything there is (RFC 9110, section 13.1.2).
    pub(in crate::http) fn is_known<'b>(
        this: Option<Self>,
        none_match: impl IntoIterator<Item = &'b HeaderValue>,
    ) -> bool {
        let mut members = none_match.into_iter().flat_map(|line| Members(line.as_bytes()));
        members.any(|member| member == b"*" || this.is_some_and(|tag| tag.is_equivalent(EntityTag(member))))
    }

    /// Whether it promises no more than equivalence.
    fn is_weak(self) -> bool {
        self.0.starts_with(b"W/")
    }

    /// Weak comparison, for `If-None-Match` (section 8.8.3.2).
    fn is_equivalent(self, other: EntityTag<'_>) -> bool {
        self.opaque() == other.opaque()
    }

    /// Strong comparison, for `If-Range`.
    pub(in crate::http) fn is_same(self, other: EntityTag<'_>) -> bool {
        !self.is_weak() && self.0 == other.0
    }

    fn opaque(self) -> &'a [u8] {
        self.0.strip_prefix(b"W/").unwrap_or(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(lines: &[&'static str], tag: &'static str) -> bool {
        let lines: Vec<HeaderValue> = lines.iter().map(|line| HeaderValue::from_static(line)).collect();
        EntityTag::is_known(Some(EntityTag::of(&HeaderValue::from_static(tag))), &lines)
    }

    #[test]
    fn tags_match_weakly_and_in_lists() {
        for known in ["\"a,b\"", "W/\"a,b\"", "\"x\" , \"a,b\"", "*"] {
            assert!(is_known(&[known], "\"a,b\""), "{known}");
        }
        for unknown in ["\"a\", \"b\"", "a,b", "", "\"*\"", "w/\"a,b\""] {
            assert!(!is_known(&[unknown], "\"a,b\""), "{unknown}");
        }
        assert!(is_known(&["\"x\"", "\"y\""], "W/\"y\""));
    }
}
