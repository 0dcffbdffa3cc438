//! Hashing while a key is built.

use std::{
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};

/// A running hash: each word is folded in by one full multiplication, as in wyhash and foldhash, and one more ends it.
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
        self.state = fold(self.state ^ word, self.multiplier);
    }

    /// The hash of the words so far.
    ///
    /// After one multiplication by a secret, numbers in a row are an arithmetic progression, and with some secrets its
    /// steps crowd into a few of the ranges that choose a shard. Another multiplication breaks it up.
    #[inline]
    pub(super) fn finish(self) -> u64 {
        fold(self.state, GOLDEN)
    }

    #[cold]
    fn random() -> Self {
        let random = RandomState::new();
        // An odd multiplier with both halves populated spreads every input bit over the product.
        Self { state: random.hash_one(0), multiplier: random.hash_one(1) | 0x8000_0000_8000_0001 }
    }
}

/// 2⁶⁴ divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Both halves of the product, one over the other.
#[inline]
fn fold(word: u64, multiplier: u64) -> u64 {
    let product = u128::from(word) * u128::from(multiplier);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::Mix;

    /// 1,024 keys over 64 parts are 16 a part. Were they independent, a run of this test would see more than 50 in one of
    /// them once in 200,000 runs.
    #[test]
    fn whatever_the_secrets_numbers_in_a_row_are_spread_over_all_parts() {
        for draw in 0..500_u64 {
            let secrets = Mix::random();
            for step in [1, 2, 10, 64, 1000, 1 << 20, 1 << 32] {
                for shift in [0, 32, 58] {
                    let mut parts = [0_u32; 64];
                    for number in 0..1024 {
                        let mut mix = secrets;
                        mix.add(number * step);
                        parts[(mix.finish() >> shift) as usize % 64] += 1;
                    }
                    let fullest = parts.into_iter().max();
                    assert!(fullest <= Some(50), "draw {draw}, step {step}, shift {shift}: {parts:?}");
                }
            }
        }
    }
}
