//! Requests as they come: few keys often, many seldom.

/// So many requests for `keys` keys, by Zipf's law with this exponent, the same for the same seed.
pub(crate) fn requests(keys: usize, exponent: f64, count: usize, seed: u64) -> Vec<u64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(seed);
    let rank = |at: f64| sums.partition_point(|until| *until < at).min(keys - 1) as u64;
    // Neighbours in rank are no neighbours as keys.
    (0..count).map(|_| rank(random.f64() * sum).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20).collect()
}
