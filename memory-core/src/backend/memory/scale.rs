//! Two bounds as one.

/// How the two bounds become one capacity, and bytes weights that are 32 bits wide.
///
/// With both bounds given, an entry weighs no less than its share of the capacity, so that neither bound is exceeded.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) capacity: u64,
    /// What an entry weighs at least.
    lightest: u64,
    /// The bytes that fill the capacity; `None`: entries count, not bytes.
    bytes: Option<u64>,
}

impl Scale {
    /// Wide enough for fine shares, and narrow enough for an entry that is heavier than the whole capacity.
    const WIDEST: u64 = u32::MAX as u64 - 1;

    pub(super) fn new(max_entries: Option<u64>, max_bytes: Option<u64>) -> Self {
        let (capacity, lightest) = match (max_entries, max_bytes) {
            (Some(0), _) | (_, Some(0)) => (0, 1),
            (entries, None) => (entries.unwrap_or(u64::MAX), 1),
            (None, Some(bytes)) => (bytes.min(Self::WIDEST), 1),
            (Some(entries), Some(_)) => {
                let share = (Self::WIDEST / entries).max(1);
                (entries.saturating_mul(share), share)
            }
        };
        Self { capacity, lightest, bytes: max_bytes }
    }

    /// What an entry of so many bytes weighs.
    pub(super) fn units(&self, bytes: u64) -> u32 {
        let units = match self.bytes {
            None => 1,
            Some(full) => u128::from(bytes) * u128::from(self.capacity) / u128::from(full.max(1)),
        };
        u32::try_from(units.max(self.lightest.into())).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::memory::{DEFAULT_MAX_BYTES, DEFAULT_MAX_ENTRIES};

    /// How many entries of so many bytes fit.
    fn room(max_entries: Option<u64>, max_bytes: Option<u64>, bytes: u64) -> u64 {
        let scale = Scale::new(max_entries, max_bytes);
        scale.capacity / u64::from(scale.units(bytes))
    }

    #[test]
    fn both_bounds_hold_whichever_comes_first() {
        assert_eq!((room(Some(100), Some(1000), 1), room(Some(100), Some(1000), 100)), (100, 10));
        assert_eq!(room(Some(600), Some(1000), 1), 600, "a share need not be whole bytes");
        assert_eq!((room(Some(100), None, 1 << 40), room(None, Some(1000), 100)), (100, 10));
        assert_eq!((room(Some(0), Some(1000), 1), room(Some(5), Some(0), 1)), (0, 0));
        let default = |bytes| room(Some(DEFAULT_MAX_ENTRIES), Some(DEFAULT_MAX_BYTES), bytes);
        assert_eq!((default(8), default(1 << 20), default(257 << 20)), (DEFAULT_MAX_ENTRIES, 256, 0));
    }

    #[test]
    fn bounds_and_values_beyond_four_gibibytes_hold() {
        const GIB: u64 = 1 << 30;
        assert_eq!(room(Some(100), Some(1024 * GIB), 1), 100);
        assert_eq!(room(Some(100), Some(1024 * GIB), 128 * GIB), 8);
        assert_eq!(room(None, Some(64 * GIB), 16 * GIB), 4);
        assert_eq!(room(None, Some(GIB), u64::MAX), 0);
    }
}
