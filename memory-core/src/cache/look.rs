//! Looking into memory.

use std::{
    any::{Any, type_name},
    sync::{Arc, atomic::Ordering},
};

use super::{
    Core,
    epoch::Epochs,
    report::{FmTier, Provenance},
};
use crate::{
    backend::Plain,
    entry::{Entry, Standing},
    key::KeyRef,
    time::Tick,
};

/// What a look into memory found.
pub(crate) enum Look<R> {
    /// What became of the value.
    Value(R),
    /// A value of another type, by the name of its type.
    OtherType { stored: &'static str },
    /// Nothing that will do.
    Nothing,
}

/// What a call finds in memory.
pub(crate) enum Hit<R> {
    /// The answer.
    Answer(R),
    /// The answer, which wants to be refreshed.
    Due(R),
    /// Nothing to answer with.
    Nothing,
}

impl<R> Look<R> {
    pub(crate) fn value(self) -> Option<R> {
        match self {
            Self::Value(value) => Some(value),
            Self::OtherType { .. } | Self::Nothing => None,
        }
    }
}

impl Core {
    /// Answers from memory, and counts it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn hit<T: Any, R>(&self, key: KeyRef<'_>, see: impl FnOnce(&T) -> R) -> Hit<R> {
        let Some(local) = self.local.as_ref().filter(|_| !self.is_closed()) else { return Hit::Nothing };
        let now = Tick::now();
        let (hash, words) = key.parts();
        // Looked at where it is: moving it would cost as much as finding it.
        match &local.plain(hash, words, now, self.checked_epoch(now)) {
            Plain::Fresh(entry) => match entry.value::<T>() {
                Some(value) => {
                    let seen = see(value);
                    self.note_hit(key, entry, now);
                    Hit::Answer(seen)
                }
                None => self.hit_after_all(key, now, see),
            },
            Plain::Unclear => self.hit_after_all(key, now, see),
            Plain::Absent => Hit::Nothing,
        }
    }

    #[inline(never)]
    fn hit_after_all<T: Any, R>(&self, key: KeyRef<'_>, now: Tick, see: impl FnOnce(&T) -> R) -> Hit<R> {
        self.hit_where(key, now, |entry| entry.standing(now).answers(), |_, value| see(value))
    }

    /// The same with what `will_do`.
    pub(crate) fn hit_where<T: Any, R>(
        &self,
        key: KeyRef<'_>,
        now: Tick,
        will_do: impl Fn(&Entry) -> bool,
        see: impl FnOnce(&Entry, &T) -> R,
    ) -> Hit<R> {
        let looked = self.look_at(key, now, will_do, |entry, value| {
            let what = Provenance::of_entry(entry, FmTier::Memory, now);
            (see(entry, value), what, entry.standing(now).is_due())
        });
        match looked {
            Look::Value((seen, what, is_due)) => {
                self.note(key, what);
                if is_due { Hit::Due(seen) } else { Hit::Answer(seen) }
            }
            Look::OtherType { stored } => {
                self.warn_of_type(key, stored, type_name::<T>());
                Hit::Nothing
            }
            Look::Nothing => Hit::Nothing,
        }
    }

    /// Shows the value under `key` to `see`, when it is in memory, a `T`, and of a standing that `will_do`; counted nowhere.
    pub(crate) fn look<T: Any, R>(
        &self,
        key: KeyRef<'_>,
        will_do: impl Fn(Standing) -> bool,
        see: impl FnOnce(&Entry, &T) -> R,
    ) -> Look<R> {
        let now = Tick::now();
        self.look_at(key, now, |entry| will_do(entry.standing(now)), see)
    }

    /// The value in memory that may stand in for a failure.
    pub(crate) fn excuse<T: Any + Clone>(&self, key: KeyRef<'_>, now: Tick) -> Option<(Arc<T>, Provenance)> {
        let see =
            |entry: &Entry, value: &T| (Arc::new(value.clone()), Provenance::of_entry(entry, FmTier::Memory, now));
        self.look_at(key, now, |entry| entry.excuses(now), see).value()
    }

    /// Sees to it that no call asks for a refresh of what is in memory for a while.
    pub(crate) fn rest(&self, key: KeyRef<'_>) {
        if let Some(local) = &self.local {
            let until = Tick::now().after(self.defaults.throttle);
            local.visit(key, &mut |entry| entry.rest_until(until));
        }
    }

    /// The epoch at which an entry must have been checked, so that nothing but its life has to be asked at `now`.
    #[inline]
    pub(super) fn checked_epoch(&self, now: Tick) -> u64 {
        match &self.coherence {
            Some(coherence) if !coherence.vouches(now) => Epochs::UNCHECKED,
            _ => self.epochs.current(),
        }
    }

    /// Whether nobody has invalidated the entry, as far as can be known at `now`. If so, that is noted in the entry.
    #[inline]
    pub(crate) fn is_valid(&self, entry: &Entry, now: Tick) -> bool {
        let epoch = self.epochs.current();
        let is_trusted = || self.coherence.as_ref().is_none_or(|coherence| coherence.trusts(entry, now));
        let is_valid = !self.epochs.covers_entry(entry) && is_trusted();
        if is_valid && entry.epoch.load(Ordering::Relaxed) < epoch {
            entry.epoch.fetch_max(epoch, Ordering::Relaxed);
        }
        is_valid
    }

    pub(super) fn look_at<T: Any, R>(
        &self,
        key: KeyRef<'_>,
        now: Tick,
        will_do: impl Fn(&Entry) -> bool,
        see: impl FnOnce(&Entry, &T) -> R,
    ) -> Look<R> {
        let Some(local) = self.local.as_ref().filter(|_| !self.is_closed()) else { return Look::Nothing };
        let mut found = None;
        local.visit(key, &mut |entry| {
            if will_do(entry) && self.is_valid(entry, now) {
                found = Some(entry.clone());
            }
        });
        let Some(entry) = found else { return Look::Nothing };
        // Only now may the user's code run: before, there may have been a lock.
        match entry.value::<T>() {
            Some(value) => {
                entry.touch(now);
                Look::Value(see(&entry, value))
            }
            None => Look::OtherType { stored: entry.type_name() },
        }
    }
}
