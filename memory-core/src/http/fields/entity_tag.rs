//! Entity tags (RFC 9110, section 8.8.3).

use axum::http::HeaderValue;

/// An entity tag, as it stands in its field.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct EntityTag<'a>(&'a [u8]);

impl<'a> EntityTag<'a> {
    /// The tag in an `ETag` field.
    pub(in crate::http) fn of(value: &'a HeaderValue) -> Self {
        Self(value.as_bytes().trim_ascii())
    }

    /// One member of an `If-None-Match` field.
    pub(in crate::http) fn member(member: &'a [u8]) -> Self {
        Self(member)
    }

    /// Whether it promises no more than equivalence.
    pub(in crate::http) fn is_weak(self) -> bool {
        self.0.starts_with(b"W/")
    }

    /// Weak comparison, for `If-None-Match` (section 8.8.3.2).
    pub(in crate::http) fn is_equivalent(self, other: EntityTag<'_>) -> bool {
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
