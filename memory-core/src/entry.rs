//! A cached value with its life.

use std::{
    any::Any,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    backend::Group,
    print::Print,
    time::{Expiry, Tick},
};

/// A value in this process and everything the engine needs to judge it. Cloning it shares the value.
///
/// It is small, because a store keeps a million of them: what most entries have nothing to say about is elsewhere, and a plain
/// number needs no allocation of its own.
pub struct Entry {
    /// From here on it is no longer fresh.
    pub expires: Tick,
    /// No group invalidation up to this epoch of the cache covers the entry. Begins as the epoch when the run that made
    /// it began, and is raised by reads that checked.
    pub epoch: AtomicU64,
    body: Body,
}

/// An entry, and what it counts towards a bound in bytes.
pub struct Weighed {
    /// The entry.
    pub entry: Entry,
    /// Its weight.
    pub weight: u64,
}

impl Deref for Weighed {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

/// The value, and when it was made.
#[derive(Clone)]
enum Body {
    /// A plain number, which has lived from so many milliseconds before its expiry.
    Number { life: u32, number: Number },
    /// The same of any value.
    Value { life: u32, value: Stored },
    /// Any value with any life.
    Full(Arc<Full>),
}

struct Full {
    born: Tick,
    value: Stored,
    rest: Option<Rest>,
}

type Stored = Arc<dyn Value>;

/// What can be stored.
trait Value: Any + Send + Sync {
    /// The name of the type, for the warning when another one is asked for.
    fn type_name(&self) -> &'static str;
}

impl<T: Any + Send + Sync> Value for T {
    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

struct Rest {
    groups: Box<[Group]>,
    idle: Option<Idle>,
    late: Late,
    /// From here on a read asks for a refresh.
    due: Tick,
    /// Nobody is asked to refresh it before this moment.
    rests_until: AtomicU64,
    /// When it came into this process, where it is a copy of what a shared store holds.
    copied: Option<Tick>,
    /// How the value looks to HTTP clients, once one has asked.
    print: OnceLock<Option<Arc<Print>>>,
}

/// Time to idle: expires `limit` after the last read.
struct Idle {
    limit: Duration,
    last_read: AtomicU64,
}

/// For how long after its expiry a value is of use, and for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// It is answered at once, and refreshed behind the answer (`stale_while_revalidate`).
    pub answers: Duration,
    /// It is answered when its refresh fails (`stale_if_error`).
    pub excuses: Duration,
    /// It is answered when its refresh takes too long (`soft_timeout`).
    pub bridges: Duration,
}

impl Late {
    /// For how long it is of any use.
    pub fn longest(&self) -> Duration {
        self.answers.max(self.excuses).max(self.bridges)
    }
}

/// What an entry is good for at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Answer it.
    Fresh,
    /// Answer it, and have it refreshed.
    Due,
    /// Past its expiry. Answer it.
    Stale,
    /// Past its expiry. Answer it, and have it refreshed.
    StaleDue,
    /// Past its expiry. Run the body; the value is there in case that fails or takes too long.
    Fallback,
    /// Of no use.
    Over,
}

impl Standing {
    /// Whether it is within its expiry.
    pub fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh | Self::Due)
    }

    /// Whether a call answers it without running the body.
    pub fn answers(self) -> bool {
        matches!(self, Self::Fresh | Self::Due | Self::Stale | Self::StaleDue)
    }

    /// Whether an answer with it asks for a refresh.
    pub fn is_due(self) -> bool {
        matches!(self, Self::Due | Self::StaleDue)
    }
}

impl Entry {
    /// An entry that lives from `born` for `expiry`.
    pub fn new<T: Any + Send + Sync>(value: Arc<T>, born: Tick, expiry: Expiry) -> Self {
        let life = expiry.duration();
        let expires = life.map_or(Tick::NEVER, |life| born.after(life));
        let short = life.filter(|life| born.after(*life).since(born) == *life).and_then(milliseconds);
        let body = match (short, Number::of(&*value)) {
            (Some(life), Some(number)) => Body::Number { life, number },
            (Some(life), None) => Body::Value { life, value },
            (None, _) => Body::Full(Arc::new(Full { born, value, rest: None })),
        };
        Self { expires, epoch: AtomicU64::new(0), body }
    }

    /// When the value was made, in this process or another.
    #[inline]
    pub fn born(&self) -> Tick {
        match &self.body {
            Body::Number { life, .. } | Body::Value { life, .. } => {
                self.expires.before(Duration::from_millis((*life).into()))
            }
            Body::Full(full) => full.born,
        }
    }

    /// The value, if it is a `T`.
    #[inline]
    pub fn value<T: Any>(&self) -> Option<&T> {
        match &self.body {
            Body::Number { number, .. } => number.get(),
            Body::Value { value, .. } => (&**value as &dyn Any).downcast_ref(),
            Body::Full(full) => (&*full.value as &dyn Any).downcast_ref(),
        }
    }

    /// Whether at `now` nothing but its expiry and its epoch says what it is good for.
    #[inline]
    pub fn is_plain(&self, now: Tick) -> bool {
        self.rest().is_none_or(|rest| rest.idle.is_none() && now < rest.due)
    }

    /// The name of the value's type.
    pub fn type_name(&self) -> &'static str {
        match &self.body {
            Body::Number { number, .. } => number.type_name(),
            Body::Value { value, .. } => (**value).type_name(),
            Body::Full(full) => (*full.value).type_name(),
        }
    }

    /// Whether it is the same one, or cannot be told from it.
    pub fn is(&self, other: &Self) -> bool {
        self.expires == other.expires
            && match (&self.body, &other.body) {
                (Body::Number { life, number }, Body::Number { life: others, number: other }) => {
                    life == others && number == other
                }
                (Body::Value { value, .. }, Body::Value { value: other, .. }) => Arc::ptr_eq(value, other),
                (Body::Full(full), Body::Full(other)) => Arc::ptr_eq(full, other),
                _ => false,
            }
    }

    /// Also expires `limit` after the last read, of which `now` is the first.
    #[must_use]
    pub fn idle_after(self, limit: Duration, now: Tick) -> Self {
        self.with(|rest| rest.idle = Some(Idle { limit, last_read: AtomicU64::new(now.as_nanos()) }))
    }

    /// In these groups.
    #[must_use]
    pub fn in_groups(self, groups: Box<[Group]>) -> Self {
        if groups.is_empty() { self } else { self.with(|rest| rest.groups = groups) }
    }

    /// Of use past its expiry, too.
    #[must_use]
    pub fn of_use_late(self, late: Late) -> Self {
        if late == Late::default() { self } else { self.with(|rest| rest.late = late) }
    }

    /// To be refreshed from `due` on, before it expires.
    #[must_use]
    pub fn due_at(self, due: Tick) -> Self {
        self.with(|rest| rest.due = due)
    }

    /// A copy of what a shared store held at `moment`.
    #[must_use]
    pub fn copied_at(self, moment: Tick) -> Self {
        self.with(|rest| rest.copied = Some(moment))
    }

    /// What it is good for at `now`.
    #[inline]
    pub fn standing(&self, now: Tick) -> Standing {
        match self.rest() {
            None if now < self.expires => Standing::Fresh,
            None => Standing::Over,
            Some(rest) => rest.standing(self.expires, now),
        }
    }

    /// Whether it may be answered as a fresh value at `now`.
    pub fn is_fresh(&self, now: Tick) -> bool {
        self.standing(now).is_fresh()
    }

    /// Whether it may stand in for a failure at `now`.
    pub fn excuses(&self, now: Tick) -> bool {
        self.is_late_within(now, |late| late.answers.max(late.excuses))
    }

    /// Whether it may stand in for a body that takes too long at `now`.
    pub fn bridges(&self, now: Tick) -> bool {
        self.is_late_within(now, Late::longest)
    }

    fn is_late_within(&self, now: Tick, limit: impl FnOnce(&Late) -> Duration) -> bool {
        match self.standing(now) {
            Standing::Fresh | Standing::Due => true,
            Standing::Over => false,
            _ => self.rest().is_some_and(|rest| now.since(self.expires) < limit(&rest.late)),
        }
    }

    /// From this moment on it is of no use, reads apart.
    pub fn ends(&self) -> Tick {
        self.rest().map_or(self.expires, |rest| self.expires.after(rest.late.longest()))
    }

    /// Notes a read at `now`.
    #[inline]
    pub fn touch(&self, now: Tick) {
        if let Some(idle) = self.rest().and_then(|rest| rest.idle.as_ref()) {
            idle.last_read.fetch_max(now.as_nanos(), Ordering::Relaxed);
        }
    }

    /// Nobody is asked to refresh it before `moment`.
    pub fn rest_until(&self, moment: Tick) {
        if let Some(rest) = self.rest() {
            rest.rests_until.fetch_max(moment.as_nanos(), Ordering::Relaxed);
        }
    }

    /// With room for how the value looks to HTTP clients, which may be known.
    #[must_use]
    pub(crate) fn printed(self, print: Option<Arc<Print>>) -> Self {
        self.with(|rest| rest.print = print.map_or_else(OnceLock::new, |print| OnceLock::from(Some(print))))
    }

    /// How the value looks to HTTP clients. Found out once where there is room to keep it.
    pub(crate) fn print(&self, find: impl FnOnce() -> Option<Arc<Print>>) -> Option<Arc<Print>> {
        match self.rest() {
            Some(rest) => rest.print.get_or_init(find).clone(),
            None => find(),
        }
    }

    /// Of what use it is past its expiry.
    pub(crate) fn late(&self) -> Late {
        self.rest().map(|rest| rest.late).unwrap_or_default()
    }

    /// The groups it is in.
    pub fn groups(&self) -> &[Group] {
        self.rest().map_or(&[], |rest| &rest.groups)
    }

    /// When it was copied from a shared store, if it was.
    pub fn copied(&self) -> Option<Tick> {
        self.rest().and_then(|rest| rest.copied)
    }

    #[inline]
    fn rest(&self) -> Option<&Rest> {
        match &self.body {
            Body::Full(full) => full.rest.as_ref(),
            Body::Number { .. } | Body::Value { .. } => None,
        }
    }

    /// The same with more to say.
    fn with(self, say: impl FnOnce(&mut Rest)) -> Self {
        let (born, Self { expires, epoch, body }) = (self.born(), self);
        let (value, mut rest) = match body {
            Body::Number { number, .. } => (number.into_stored(), Rest::default()),
            Body::Value { value, .. } => (value, Rest::default()),
            // What is being made is shared with nobody.
            Body::Full(full) => match Arc::try_unwrap(full) {
                Ok(Full { value, rest, .. }) => (value, rest.unwrap_or_default()),
                Err(shared) => (shared.value.clone(), Rest::default()),
            },
        };
        say(&mut rest);
        Self { expires, epoch, body: Body::Full(Arc::new(Full { born, value, rest: Some(rest) })) }
    }
}

impl Clone for Entry {
    fn clone(&self) -> Self {
        Self { expires: self.expires, epoch: self.epoch.load(Ordering::Relaxed).into(), body: self.body.clone() }
    }
}

/// As many whole milliseconds, if that is what it is.
fn milliseconds(life: Duration) -> Option<u32> {
    let whole = life.subsec_nanos().is_multiple_of(1_000_000);
    whole.then(|| u32::try_from(life.as_millis()).ok()).flatten()
}

macro_rules! numbers {
    ($($variant:ident: $ty:ty,)*) => {
        /// A value that needs no allocation.
        #[derive(Clone, Copy, PartialEq)]
        enum Number {$( $variant($ty), )*}

        impl Number {
            fn of(value: &dyn Any) -> Option<Self> {
                $( if let Some(number) = value.downcast_ref() {
                    return Some(Self::$variant(*number));
                } )*
                None
            }

            #[inline]
            fn get<T: Any>(&self) -> Option<&T> {
                match self {$( Self::$variant(number) => (number as &dyn Any).downcast_ref(), )*}
            }

            fn type_name(&self) -> &'static str {
                match self {$( Self::$variant(_) => std::any::type_name::<$ty>(), )*}
            }

            fn into_stored(self) -> Stored {
                match self {$( Self::$variant(number) => Arc::new(number), )*}
            }
        }
    };
}
numbers! {
    Unit: (), Bool: bool, Char: char, U8: u8, U16: u16, U32: u32, U64: u64, Usize: usize, I8: i8, I16: i16, I32: i32, I64: i64,
    Isize: isize, F32: f32, F64: f64,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            groups: Box::default(),
            idle: None,
            late: Late::default(),
            due: Tick::NEVER,
            rests_until: AtomicU64::new(0),
            copied: None,
            print: OnceLock::new(),
        }
    }
}

impl Rest {
    fn standing(&self, expires: Tick, now: Tick) -> Standing {
        // What nobody wanted is not kept for a failure either.
        if self.idle.as_ref().is_some_and(|idle| now >= idle.deadline()) {
            return Standing::Over;
        }
        let rests = now.as_nanos() < self.rests_until.load(Ordering::Relaxed);
        if now < expires {
            return if now >= self.due && !rests { Standing::Due } else { Standing::Fresh };
        }
        let late = now.since(expires);
        if late >= self.late.longest() {
            Standing::Over
        } else if rests {
            Standing::Stale
        } else if late < self.late.answers {
            Standing::StaleDue
        } else {
            Standing::Fallback
        }
    }
}

impl Idle {
    fn deadline(&self) -> Tick {
        Tick::from_nanos(self.last_read.load(Ordering::Relaxed)).after(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Tick {
        Tick::default().after(SECOND * seconds)
    }

    fn entry() -> Entry {
        Entry::new(Arc::new(1), at(0), Expiry::after(SECOND * 10))
    }

    #[test]
    fn a_life_is_fresh_then_due_then_stale_then_a_fallback_then_over() {
        let late = Late { answers: SECOND * 5, excuses: SECOND * 20, bridges: Duration::ZERO };
        let entry = entry().due_at(at(8)).of_use_late(late);
        let standings = [0, 8, 10, 15, 29, 30].map(|second| entry.standing(at(second)));
        use Standing::{Due, Fallback, Fresh, Over, StaleDue};
        assert_eq!(standings, [Fresh, Due, StaleDue, Fallback, Fallback, Over]);
        assert!(entry.excuses(at(29)) && !entry.excuses(at(30)) && entry.bridges(at(29)));
        assert_eq!(entry.ends(), at(30));
    }

    #[test]
    fn while_it_rests_it_is_answered_and_nobody_is_asked() {
        let entry = entry().due_at(at(8)).of_use_late(Late { excuses: SECOND * 20, ..Late::default() });
        entry.rest_until(at(16));
        assert_eq!(entry.standing(at(9)), Standing::Fresh);
        assert_eq!(entry.standing(at(12)), Standing::Stale);
        assert_eq!(entry.standing(at(16)), Standing::Fallback);
        assert!(!entry.is_fresh(at(12)));
    }

    #[test]
    fn what_bridges_a_wait_excuses_no_failure() {
        let entry = entry().of_use_late(Late { bridges: SECOND * 10, ..Late::default() });
        assert_eq!(entry.standing(at(11)), Standing::Fallback);
        assert!(entry.bridges(at(11)) && !entry.excuses(at(11)));
    }

    #[test]
    fn an_idle_entry_is_over_whatever_else_was_said() {
        let entry = entry().idle_after(SECOND * 3, at(0)).of_use_late(Late { answers: SECOND * 60, ..Late::default() });
        entry.touch(at(2));
        assert_eq!(entry.standing(at(4)), Standing::Fresh);
        assert_eq!(entry.standing(at(5)), Standing::Over);
        assert!(!entry.bridges(at(5)));
    }
}
