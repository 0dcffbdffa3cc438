//! Generations: unique tokens that change with every invalidation, and what was known of them at one moment.

use std::hash::{BuildHasher, Hasher, RandomState};

use memory_core::backend::Stamp;

/// The length of a generation, in Redis and in every frame.
pub(crate) const LENGTH: usize = 16;

/// One generation: sixteen printable bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation([u8; LENGTH]);

impl Generation {
    /// Nothing was invalidated, as far as Redis remembers.
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

    /// From bytes; anything that is not a generation counts as none.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        bytes.try_into().map_or(Self::NONE, Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// 64 random bits, seeded by the operating system.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The generations that guard one key, read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generations {
    pub(crate) key: Generation,
    pub(crate) everything: Generation,
    /// [`Generation::NONE`] for a key without a namespace.
    pub(crate) namespace: Generation,
    /// When they were read, in milliseconds on the clock of [`now_ms`](crate::clock::ServerClock::now_ms).
    pub(crate) read_ms: u64,
}

impl Generations {
    pub(crate) fn to_stamp(self) -> Stamp {
        let parts = [self.key.as_bytes(), self.everything.as_bytes(), self.namespace.as_bytes()];
        Stamp([&parts.concat()[..], &self.read_ms.to_be_bytes()].concat().into_boxed_slice())
    }

    /// `None` for a stamp that this store has not given.
    pub(crate) fn from_stamp(stamp: &Stamp) -> Option<Self> {
        let (key, rest) = stamp.0.split_at_checked(LENGTH)?;
        let (everything, rest) = rest.split_at_checked(LENGTH)?;
        let (namespace, rest) = rest.split_at_checked(LENGTH)?;
        Some(Self {
            key: Generation::from_bytes(key),
            everything: Generation::from_bytes(everything),
            namespace: Generation::from_bytes(namespace),
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
        assert!(!one.is_none());
    }

    #[test]
    fn a_stamp_gives_back_what_it_was_made_of() {
        let noted = Generations {
            key: Generation::NONE,
            everything: Generation::fresh(),
            namespace: Generation::fresh(),
            read_ms: 7,
        };
        assert_eq!(Generations::from_stamp(&noted.to_stamp()), Some(noted));
        assert_eq!(Generations::from_stamp(&Stamp::default()), None);
        assert_eq!(Generations::from_stamp(&Stamp(vec![0; 57].into())), None);
    }
}
