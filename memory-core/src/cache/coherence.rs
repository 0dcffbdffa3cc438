//! How far copies in memory of what a shared store holds may be trusted.
//!
//! A copy is trusted while the stream of changes is known to be sound, and for a bounded time after. When the stream begins
//! anew, what was copied before that is not trusted any more.

use std::{
    sync::{
        Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Core, epoch::Epochs};
use crate::{
    backend::{Group, Watcher},
    entry::Entry,
    key::Key,
    time::Tick,
};

/// For how long a copy is trusted that nobody can vouch for.
pub(crate) const DEFAULT_TRUST: Duration = Duration::from_secs(5);

/// What is known of the stream of changes. Moments are [`Tick`]s.
pub(crate) struct Coherence {
    trust: Duration,
    /// Every change up to this moment has been heard of.
    heard: AtomicU64,
    /// The stream began at this moment.
    began: AtomicU64,
    /// How many messages have come.
    changes: AtomicU64,
}

impl Coherence {
    pub(crate) fn new(trust: Duration) -> Self {
        Self { trust, heard: AtomicU64::new(0), began: AtomicU64::new(0), changes: AtomicU64::new(0) }
    }

    /// Whether `entry` may be used at `now`. What is no copy always may.
    pub(crate) fn trusts(&self, entry: &Entry, now: Tick) -> bool {
        let Some(copied) = entry.copied() else { return true };
        let began = self.began.load(Ordering::Acquire);
        let vouched = copied.as_nanos().max(self.heard.load(Ordering::Acquire));
        copied.as_nanos() >= began && now < Tick::from_nanos(vouched).after(self.trust)
    }

    /// Whether at `now` a copy may be used of which nothing else is known than that it was made since the stream began.
    #[inline]
    pub(super) fn vouches(&self, now: Tick) -> bool {
        now < Tick::from_nanos(self.heard.load(Ordering::Acquire)).after(self.trust)
    }

    /// How many changes have been told so far: a copy that was read without a run to guard it is kept only if this has
    /// not moved meanwhile.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn heard(&self, moment: Tick) {
        self.heard.fetch_max(moment.as_nanos(), Ordering::AcqRel);
    }

    /// The stream begins, and every copy has to be looked at again; whether it has begun before.
    fn begin(&self, now: Tick, epochs: &Epochs) -> bool {
        let before = self.began.fetch_max(now.as_nanos(), Ordering::AcqRel);
        epochs.advance();
        self.heard(now);
        self.changed();
        before != 0
    }
}

/// Tells a cache what other processes change.
pub(super) struct Listener(pub(super) Weak<Core>);

impl Listener {
    fn tell(&self, tell: impl FnOnce(&Core, &Coherence)) {
        if let Some(core) = self.0.upgrade()
            && let Some(coherence) = &core.coherence
        {
            tell(&core, coherence);
        }
    }
}

impl Watcher for Listener {
    fn changed(&self, wire: &[u8]) {
        self.tell(|core, coherence| {
            coherence.changed();
            if let Some(key) = Key::from_wire(wire) {
                core.remove_local(key.as_key());
            }
        });
    }

    fn invalidated(&self, group: &Group) {
        self.tell(|core, coherence| {
            coherence.changed();
            core.clear_local(group);
        });
    }

    fn in_step(&self, ago: Duration) {
        self.tell(|_, coherence| coherence.heard(Tick::now().before(ago)));
    }

    fn resync(&self) {
        self.tell(|core, coherence| {
            // What a run makes that began before is not trusted here, and the shared store knows by itself whether it is
            // outdated. But after a break, calls should not join it. (In a process that starts, it would run twice.)
            if coherence.begin(Tick::now(), &core.epochs) {
                core.flights.invalidate_where(|_| true);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::time::FOREVER;

    fn at(seconds: u64) -> Tick {
        Tick::default().after(Duration::from_secs(seconds))
    }

    fn copy(moment: Tick) -> Entry {
        Entry::new(Arc::new(1), moment, FOREVER).copied_at(moment)
    }

    #[test]
    fn a_copy_is_trusted_while_somebody_vouches_for_it_and_a_bounded_time_after() {
        let coherence = Coherence::new(Duration::from_secs(5));
        let entry = copy(at(100));
        assert!(coherence.trusts(&entry, at(104)) && !coherence.trusts(&entry, at(105)));
        coherence.heard(at(110));
        assert!(coherence.trusts(&entry, at(114)) && !coherence.trusts(&entry, at(115)));
        let own = Entry::new(Arc::new(1), at(0), FOREVER);
        assert!(coherence.trusts(&own, at(1000)));
    }

    #[test]
    fn what_was_copied_before_the_stream_began_is_not_trusted() {
        let coherence = Coherence::new(Duration::from_secs(5));
        let (before, after) = (copy(at(100)), copy(at(102)));
        coherence.begin(at(101), &Epochs::default());
        assert!(!coherence.trusts(&before, at(102)) && coherence.trusts(&after, at(102)));
    }
}
