//! How long things live in Redis.

use std::time::Duration;

use crate::clock::millis;

/// How long a removal is remembered: a run that takes longer than this is never stored, since it can no longer be
/// known whether something was removed since it began.
pub(crate) const TOMBSTONE: Duration = Duration::from_secs(600);

/// A hundred years. Longer lives are shortened to it, since Redis refuses what it can't count; it is also the life of
/// the generation of a group, so that we leave nothing behind for ever.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A life as Redis takes it: at least one millisecond, at most [`LONGEST`].
pub(crate) fn in_millis(life: Duration) -> u64 {
    millis(life.min(LONGEST)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_life_is_one_that_redis_takes() {
        assert_eq!(in_millis(Duration::ZERO), 1);
        assert_eq!(in_millis(Duration::from_micros(10)), 1);
        assert_eq!(in_millis(Duration::from_millis(1_500)), 1_500);
        assert_eq!(in_millis(Duration::MAX), 3_153_600_000_000);
    }
}
