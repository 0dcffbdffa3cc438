//! Where the randomness of jitter comes from: a small generator that can be seeded.

use std::hash::{BuildHasher, Hasher, RandomState};

/// SplitMix64: uniform enough to spread retries, never for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Entropy(u64);

impl Entropy {
    /// Different in every process and for every call.
    pub(crate) fn fresh() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    /// The same draws for the same seed.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, from 0 up to but not including 1.
    pub(crate) fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The upper 53 bits fill the mantissa of an f64 exactly.
        #[allow(clippy::cast_precision_loss)]
        let fraction = (mixed >> 11) as f64;
        fraction / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_in_the_unit_interval_and_repeat_with_the_seed() {
        let draws: Vec<f64> = std::iter::repeat_with({
            let mut entropy = Entropy::seeded(7);
            move || entropy.draw()
        })
        .take(10_000)
        .collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!((Entropy::seeded(7).draw() - draws[0]).abs() < f64::EPSILON);
    }

    #[test]
    fn two_fresh_sources_differ() {
        assert!((Entropy::fresh().draw() - Entropy::fresh().draw()).abs() > 0.0);
    }
}
