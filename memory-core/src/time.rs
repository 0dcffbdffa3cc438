//! Durations as users write them, and the one monotonic clock.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::error::{FmError, Kind};

/// A time to live: a length of time, or [`FOREVER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(Length);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Length {
    For(Duration),
    Forever,
}

/// No expiry: the entry stays until it is removed or evicted.
///
/// # Examples
///
/// ```
/// # use memory_core::{Expiry, FOREVER};
/// assert_eq!(FOREVER.duration(), None);
/// assert_ne!(FOREVER, Expiry::after(std::time::Duration::MAX));
/// ```
pub const FOREVER: Expiry = Expiry(Length::Forever);

impl Expiry {
    /// Expires after `life`; zero means "do not store".
    pub const fn after(life: Duration) -> Self {
        Self(Length::For(life))
    }

    /// The length, or `None` for [`FOREVER`].
    pub const fn duration(self) -> Option<Duration> {
        match self.0 {
            Length::For(life) => Some(life),
            Length::Forever => None,
        }
    }

    /// Whether nothing is stored at all (a zero expiry).
    pub const fn is_zero(self) -> bool {
        matches!(self.0, Length::For(life) if life.is_zero())
    }
}

/// What can be given as a length of time: whole seconds of any integer type, fractional seconds, or a [`Duration`].
///
/// # Errors
///
/// Negative numbers and NaN are refused; numbers too large for a [`Duration`] saturate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a length of time",
    label = "give seconds (`60`, `0.5`) or a `Duration`"
)]
pub trait IntoDuration {
    /// The length of time, saturating at [`Duration::MAX`].
    fn into_duration(self) -> Result<Duration, FmError>;
}

/// What can be given as an expiry: whatever is a length of time, or [`FOREVER`].
///
/// # Errors
///
/// As [`IntoDuration`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an expiry",
    label = "give seconds (`60`, `0.5`), a `Duration` or `FOREVER`"
)]
pub trait IntoExpiry {
    /// The expiry.
    fn into_expiry(self) -> Result<Expiry, FmError>;
}

impl IntoExpiry for Expiry {
    fn into_expiry(self) -> Result<Expiry, FmError> {
        Ok(self)
    }
}

impl IntoDuration for Duration {
    fn into_duration(self) -> Result<Duration, FmError> {
        Ok(self)
    }
}

macro_rules! seconds {
    ($method:ident: $($ty:ty)*) => {$(
        impl IntoDuration for $ty {
            fn into_duration(self) -> Result<Duration, FmError> {
                $method(self as _)
            }
        }
    )*};
}
macro_rules! expiries {
    ($($ty:ty)*) => {$(
        impl IntoExpiry for $ty {
            fn into_expiry(self) -> Result<Expiry, FmError> {
                self.into_duration().map(Expiry::after)
            }
        }
    )*};
}
seconds!(from_unsigned: u8 u16 u32 u64 u128 usize);
seconds!(from_signed: i8 i16 i32 i64 i128 isize);
seconds!(from_float: f32 f64);
expiries!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 Duration);

fn from_unsigned(seconds: u128) -> Result<Duration, FmError> {
    Ok(u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs))
}

fn from_signed(seconds: i128) -> Result<Duration, FmError> {
    u128::try_from(seconds).map_or_else(|_| Err(refused(&seconds)), from_unsigned)
}

fn from_float(seconds: f64) -> Result<Duration, FmError> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(refused(&seconds));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn refused(seconds: &dyn std::fmt::Display) -> FmError {
    FmError::new(Kind::Config, format!("{seconds} is not a length of time: give zero or more seconds, or a Duration"))
}

/// Whether every moment is read from tokio's clock.
const IS_PRECISE: bool = cfg!(debug_assertions);
/// Set once and for all when anything is stored while tokio's time stands still.
static TIME_WAS_PAUSED: AtomicBool = AtomicBool::new(false);
/// Keeps the moments of the first day after a boot apart from those before it.
const SLACK: u64 = 86_400 * 1_000_000_000;

/// A moment on the monotonic clock, in nanoseconds since some moment before this process began.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// Later than every moment that is ever reached.
    pub const NEVER: Self = Self(u64::MAX);

    /// Now. Where nobody has paused tokio's time this is read from a clock that is coarse (a few milliseconds) and costs a fifth
    /// of a precise one; from then on, it is tokio's clock, so that paused time moves it.
    ///
    /// A debug build always reads tokio's clock: its tests may pause time whenever they like.
    #[inline]
    pub fn now() -> Self {
        if IS_PRECISE || TIME_WAS_PAUSED.load(Ordering::Relaxed) { Self::by_tokio() } else { Self::coarse() }
    }

    /// Looks whether time is paused, before something is kept whose life would have to move with it.
    pub fn notice_paused_time() {
        if !IS_PRECISE && !TIME_WAS_PAUSED.load(Ordering::Relaxed) && may_pause() && Self::stands_still() {
            TIME_WAS_PAUSED.store(true, Ordering::Relaxed);
        }
    }

    #[inline]
    fn coarse() -> Self {
        let ticks = coarsetime::Instant::now_without_cache_update().as_ticks();
        Self(SLACK + coarsetime::Duration::from_ticks(ticks).as_nanos())
    }

    fn by_tokio() -> Self {
        static BASE: OnceLock<(std::time::Instant, u64)> = OnceLock::new();
        let (instant, nanos_then) = BASE.get_or_init(|| (std::time::Instant::now(), Self::coarse().0));
        let now = tokio::time::Instant::now().into_std();
        // A runtime may have paused its time before the first call here.
        match now.checked_duration_since(*instant) {
            Some(since) => Self(nanos_then.saturating_add(nanos(since))),
            None => Self(nanos_then.saturating_sub(nanos(instant.duration_since(now)))),
        }
    }

    /// Whether time is paused: then a moment asked for twice is the same one.
    pub fn stands_still() -> bool {
        let first = tokio::time::Instant::now();
        (0..4).all(|_| tokio::time::Instant::now() == first)
    }

    /// This moment plus `length`, saturating at [`Tick::NEVER`].
    #[must_use]
    pub fn after(self, length: Duration) -> Self {
        Self(self.0.saturating_add(nanos(length)))
    }

    /// This moment less `length`, at the earliest the first moment.
    #[must_use]
    pub fn before(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(length)))
    }

    /// How long after `earlier` this moment is; zero when it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The raw nanoseconds, for storing a moment in an atomic.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment behind [`as_nanos`](Tick::as_nanos).
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }
}

/// Whether somebody may pause the time here: tokio lets only a runtime of one thread do that.
fn may_pause() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread)
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_type_is_taken_and_bad_ones_are_refused() {
        assert_eq!(60u8.into_duration().unwrap(), Duration::from_secs(60));
        assert_eq!(60i32.into_duration().unwrap(), Duration::from_secs(60));
        assert_eq!(0.5f32.into_duration().unwrap(), Duration::from_millis(500));
        assert_eq!(u128::MAX.into_duration().unwrap(), Duration::MAX);
        assert_eq!(f64::INFINITY.into_duration().unwrap(), Duration::MAX);
        assert_eq!(u64::MAX.into_expiry().unwrap().duration(), Some(Duration::from_secs(u64::MAX)));
        for refused in [(-1i8).into_duration(), (-0.1f64).into_duration(), f32::NAN.into_duration()] {
            assert!(refused.unwrap_err().is_config());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn paused_time_moves_the_clock() {
        let start = Tick::now();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(Tick::now().since(start), Duration::from_secs(7));
        assert_eq!(start.after(Duration::MAX), Tick::NEVER);
    }
}
