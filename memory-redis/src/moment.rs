//! Moments: what the clock of invalidations shows, and what a group notes when it is invalidated.
//!
//! The clock counts the invalidations of all groups under one prefix. A run notes it when it begins, and a group notes it
//! when it is invalidated; so whether a value was overtaken can be told for groups that are known only once the value
//! is there. The count is never behind the server's time in milliseconds: a replica that takes over with an older
//! clock does not give the same moment twice.

use crate::generation::random;

/// The length of a moment, in Redis and in every frame.
pub(crate) const LENGTH: usize = INCARNATION + COUNT;
const INCARNATION: usize = 8;
const COUNT: usize = 12;

/// Twenty hex digits: eight of a clock's incarnation, twelve of its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    incarnation: [u8; INCARNATION],
    count: u64,
}

impl Moment {
    /// From bytes; `None` for anything else.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != LENGTH || !bytes.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let (incarnation, count) = bytes.split_first_chunk()?;
        let count = u64::from_str_radix(std::str::from_utf8(count).ok()?, 16).ok()?;
        Some(Self { incarnation: *incarnation, count })
    }

    /// As it lies in Redis.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.incarnation.to_vec();
        bytes.extend_from_slice(format!("{:0COUNT$x}", self.count).as_bytes());
        bytes
    }

    /// Whether both were shown by the same clock, which has not been lost in between.
    pub(crate) fn is_comparable_to(self, other: Self) -> bool {
        self.incarnation == other.incarnation
    }

    /// Whether a run that began at this moment knows of an invalidation at `other`.
    pub(crate) fn knows(self, other: Self) -> bool {
        self.is_comparable_to(other) && other.count <= self.count
    }
}

/// An incarnation that no clock had before.
pub(crate) fn fresh_incarnation() -> String {
    format!("{:08x}", random() >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        Moment::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_moment_comes_back_as_it_went_and_junk_is_none() {
        let text = b"0123abcd00000000beef";
        assert_eq!(Moment::parse(text).unwrap().to_bytes(), text);
        for junk in [&b""[..], b"junk", b"0123abcd00000000bee", b"0123abcd00000000beef0", b"--------------------"] {
            assert_eq!(Moment::parse(junk), None);
        }
        assert_eq!(Moment::parse(b"0123abcd+0000000beef"), None);
    }

    #[test]
    fn a_run_knows_what_was_invalidated_before_it_by_the_same_clock() {
        let run = moment("0123abcd000000000010");
        assert!(run.knows(run) && run.knows(moment("0123abcd00000000000f")));
        assert!(!run.knows(moment("0123abcd000000000011")));
        assert!(!run.knows(moment("0123abce00000000000f")), "another clock");
    }

    #[test]
    fn incarnations_are_unique_and_as_long_as_they_have_to_be() {
        let (one, other) = (fresh_incarnation(), fresh_incarnation());
        assert_ne!(one, other);
        assert_eq!(one.len(), INCARNATION);
    }
}
