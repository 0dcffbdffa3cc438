//! Hashing while a key is built.

use std::{
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

/// A running hash: each word is folded in by one full multiplication, as in wyhash and foldhash.
///
/// Start and multiplier are secrets of this process, so that nobody outside can aim for one shard. The hash is
/// never used across processes.
#[derive(Clone, Copy)]
pub(super) struct Mix {
    state: u64,
    multiplier: u64,
}

impl Mix {
    #[inline]
    pub(super) fn new() -> Self {
        static SECRETS: OnceLock<Mix> = OnceLock::new();
        *SECRETS.get_or_init(Self::random)
    }

    #[inline]
    pub(super) fn add(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.multiplier);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }

    #[inline]
    pub(super) fn finish(self) -> u64 {
        self.state
    }

    #[cold]
    fn random() -> Self {
        let random = RandomState::new();
        // An odd multiplier with both halves populated spreads every input bit over the product.
        Self { state: random.hash_one(0), multiplier: random.hash_one(1) | 0x8000_0000_8000_0001 }
    }
}
