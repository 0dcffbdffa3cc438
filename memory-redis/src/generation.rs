//! Generations of single keys: unique tokens that every removal changes; and what a run notes when it begins.

use std::hash::{BuildHasher, Hasher, RandomState};

use memory_core::backend::Stamp;

use crate::moment::{self, Moment};

/// The length of a generation.
const LENGTH: usize = 16;

/// One generation: sixteen printable bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation([u8; LENGTH]);

impl Generation {
    /// Nothing was removed, as far as Redis remembers.
    pub(crate) const NONE: Self = Self(*b"----------------");

    /// One that no process has used before.
    pub(crate) fn fresh() -> Self {
        let mut bits = random();
        Self(std::array::from_fn(|_| {
            let digit = b"0123456789abcdef"[(bits & 15) as usize];
            bits >>= 4;
            digit
        }))
    }

    /// From as many bytes as one has.
    pub(crate) fn from(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// From bytes; anything that is not a generation counts as none.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        bytes.try_into().map_or(Self::NONE, Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// 64 random bits, seeded by the operating system.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// What a run notes when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The generation of its key.
    pub(crate) key: Generation,
    /// The clock of invalidations; `None` where the server has none and can't begin one.
    pub(crate) clock: Option<Moment>,
    /// When they were read, in milliseconds on the clock of [`now_ms`](crate::clock::ServerClock::now_ms).
    pub(crate) read_ms: u64,
}

impl Noted {
    pub(crate) fn to_stamp(self) -> Stamp {
        let clock = self.clock.map_or_else(|| vec![b'-'; moment::LENGTH], Moment::to_bytes);
        Stamp([self.key.as_bytes(), &clock, &self.read_ms.to_be_bytes()].concat().into_boxed_slice())
    }

    /// `None` for a stamp that this store has not given.
    pub(crate) fn from_stamp(stamp: &Stamp) -> Option<Self> {
        let (key, rest) = stamp.0.split_at_checked(LENGTH)?;
        let (clock, rest) = rest.split_at_checked(moment::LENGTH)?;
        Some(Self {
            key: Generation::from_bytes(key),
            clock: Moment::parse(clock),
            read_ms: u64::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_unique_and_printable() {
        let (one, other) = (Generation::fresh(), Generation::fresh());
        assert_ne!(one, other);
        assert!(one.as_bytes().iter().all(u8::is_ascii_hexdigit));
        assert_ne!(one, Generation::NONE);
    }

    #[test]
    fn a_stamp_gives_back_what_it_was_made_of() {
        for clock in [Moment::parse(b"0123abcd00000000beef"), None] {
            let noted = Noted { key: Generation::fresh(), clock, read_ms: 7 };
            assert_eq!(Noted::from_stamp(&noted.to_stamp()), Some(noted));
        }
        assert_eq!(Noted::from_stamp(&Stamp::default()), None);
        assert_eq!(Noted::from_stamp(&Stamp(vec![0; 45].into())), None);
    }
}
