//! Which retried call the code at hand runs in.
//!
//! Known to the thread while an attempt is polled. That an attempt is under way costs a mark; what it is, a [`Nest`], is made when
//! somebody asks: a retry inside of it, or whatever takes its surroundings along into another task.

use std::cell::Cell;

use super::nest::Nest;

/// The retried call around, while it is put away.
#[derive(Default)]
pub(crate) enum Around {
    /// None.
    #[default]
    Nothing,
    /// One with no other around, in its first attempt. Nobody has asked for it.
    Unnamed,
    /// This one.
    Named(Nest),
}

/// What is in force.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Nothing,
    Unnamed,
    Named,
}

thread_local! {
    // Two, because one that is without a destructor is the cheaper one by far.
    static MARK: Cell<Mark> = const { Cell::new(Mark::Nothing) };
    static NAMED: Cell<Option<Nest>> = const { Cell::new(None) };
}

impl Around {
    /// Whether there is a retried call around here.
    #[inline]
    pub(crate) fn is_something() -> bool {
        MARK.get() != Mark::Nothing
    }

    /// The retried call around here.
    pub(crate) fn here() -> Option<Nest> {
        if !Self::is_something() {
            return None;
        }
        let nest = match Self::Nothing.exchange() {
            Self::Nothing => return None,
            Self::Unnamed => Nest::inside(None),
            Self::Named(nest) => nest,
        };
        Self::Named(nest.clone()).exchange();
        Some(nest)
    }

    /// A retried call that begins here, to be put around its attempts.
    #[inline]
    pub(crate) fn beginning() -> Self {
        if Self::is_something() { Self::beginning_inside() } else { Self::Unnamed }
    }

    #[cold]
    fn beginning_inside() -> Self {
        Self::here().map_or(Self::Unnamed, |outer| Self::Named(Nest::inside(Some(outer))))
    }

    /// Whether this is part of the repetition of another call.
    pub(crate) fn is_repetition(&self) -> bool {
        matches!(self, Self::Named(nest) if nest.is_repetition())
    }

    /// The retried call.
    pub(crate) fn name(&mut self) -> Nest {
        let nest = match std::mem::take(self) {
            Self::Named(nest) => nest,
            Self::Nothing | Self::Unnamed => Nest::inside(None),
        };
        *self = Self::Named(nest.clone());
        nest
    }

    /// Does a piece of work inside of it.
    #[inline]
    pub(crate) fn enter<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let outer = std::mem::take(self).exchange();
        let _entered = Entered { inner: self, outer };
        work()
    }

    /// Puts it in force, and what was in force away.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn exchange(self) -> Self {
        let outer = match MARK.get() {
            Mark::Nothing => Self::Nothing,
            Mark::Unnamed => Self::Unnamed,
            Mark::Named => Self::take_named(),
        };
        MARK.set(match self {
            Self::Nothing => Mark::Nothing,
            Self::Unnamed => Mark::Unnamed,
            Self::Named(nest) => Self::put_named(nest),
        });
        outer
    }

    #[cold]
    fn take_named() -> Self {
        NAMED.try_with(Cell::take).ok().flatten().map_or(Self::Nothing, Self::Named)
    }

    #[cold]
    fn put_named(nest: Nest) -> Mark {
        // A thread that ends has no more to say.
        NAMED.try_with(|named| named.set(Some(nest))).map_or(Mark::Nothing, |()| Mark::Named)
    }
}

/// Puts away what is in force, also when the work panics: it may have been named meanwhile.
struct Entered<'a> {
    inner: &'a mut Around,
    outer: Around,
}

impl Drop for Entered<'_> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn drop(&mut self) {
        *self.inner = std::mem::take(&mut self.outer).exchange();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_call_is_known_by_one_name_however_often_it_is_left_and_entered() {
        assert!(Around::here().is_none());
        let mut outer = Around::beginning();
        let first = outer.enter(Around::here).expect("inside");
        let again = outer.enter(|| {
            let mut inner = Around::beginning();
            let inside = inner.enter(Around::here).expect("inside");
            assert!(!inside.is(&first) && inside.is(&inner.name()));
            Around::here().expect("inside still")
        });
        assert!(first.is(&again) && first.is(&outer.name()));
        assert!(!Around::is_something(), "and it is left behind");
    }

    #[test]
    fn a_panic_leaves_it_too() {
        let mut outer = Around::beginning();
        let panicked = catch_unwind(AssertUnwindSafe(|| outer.enter(|| panic!("in an attempt"))));
        assert!(panicked.is_err() && !Around::is_something());
    }
}
