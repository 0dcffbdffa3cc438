//! How long things live in Redis.

use std::time::Duration;

use memory_core::backend::Group;

use crate::clock::millis;

/// How long a removal is remembered: a run that takes longer than this is never stored, since it can no longer be
/// known whether something was removed since it began.
pub(crate) const TOMBSTONE: Duration = Duration::from_secs(600);

/// How long at least it is remembered when a tag was invalidated. There may be as many tags as entries, so they go when
/// the entries do; one that is forgotten early takes its entries along.
const TAG: Duration = Duration::from_secs(86_400);

/// A hundred years. Longer lives are shortened to it, since Redis refuses what it can't count; it is also the life of
/// the clock of invalidations and of the groups that are few, so that we leave nothing behind for ever.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A life as Redis takes it: at least one millisecond, at most [`LONGEST`].
pub(crate) fn in_millis(life: Duration) -> u64 {
    millis(life.min(LONGEST)).max(1)
}

/// How long it is remembered when a group was invalidated that guards an entry with this life (`None`: for ever).
pub(crate) fn of_group(group: &Group, entry: Option<Duration>) -> u64 {
    in_millis(match group {
        Group::All | Group::Namespace(_) => LONGEST,
        Group::Tag(_) => entry.unwrap_or(LONGEST).max(TAG),
    })
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

    #[test]
    fn a_tag_is_remembered_for_as_long_as_its_entries_live() {
        let (tag, day) = (Group::Tag("t".into()), in_millis(TAG));
        assert_eq!(of_group(&tag, Some(Duration::from_secs(1))), day);
        assert_eq!(of_group(&tag, Some(2 * TAG)), 2 * day);
        assert_eq!(of_group(&tag, None), in_millis(LONGEST));
        assert_eq!(of_group(&Group::All, Some(Duration::from_secs(1))), in_millis(LONGEST));
    }
}
