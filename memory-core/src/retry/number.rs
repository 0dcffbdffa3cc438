//! Numbers as users write them: seconds with a sign, and how many calls.

use std::time::Duration;

use crate::time::IntoDuration;

/// A number of seconds that may be below zero or not whole: any integer or float, or a [`Duration`].
///
/// Where a whole wait comes out below zero, it counts as zero.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number of seconds",
    label = "give a number (`2`, `0.5`) or a `Duration`"
)]
pub trait IntoSeconds {
    /// The number, NaN as zero.
    fn into_seconds(self) -> f64;
}

/// A number of calls: any integer; a negative one counts as zero.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a number of calls", label = "give an integer, as in `5`")]
pub trait IntoCount {
    /// The number, saturating at [`u32::MAX`].
    fn into_count(self) -> u32;
}

impl IntoSeconds for Duration {
    fn into_seconds(self) -> f64 {
        self.as_secs_f64()
    }
}

macro_rules! seconds {
    ($($ty:ty)*) => {$(
        impl IntoSeconds for $ty {
            // Above 2^53 a number of seconds is rounded; a wait of that length never ends anyway.
            #[allow(clippy::cast_lossless, clippy::cast_precision_loss)]
            fn into_seconds(self) -> f64 {
                let seconds = self as f64;
                if seconds.is_nan() { 0.0 } else { seconds }
            }
        }
    )*};
}
macro_rules! counts {
    ($($ty:ty)*) => {$(
        impl IntoCount for $ty {
            fn into_count(self) -> u32 {
                // What does not fit is either below zero or too large.
                u32::try_from(self).unwrap_or(if self > 0 { u32::MAX } else { 0 })
            }
        }
    )*};
}
seconds!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);
counts!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

/// A length of time where a negative number and NaN count as zero.
pub(crate) fn lenient(length: impl IntoDuration) -> Duration {
    length.into_duration().unwrap_or(Duration::ZERO)
}

/// Seconds as a length of time: whole nanoseconds, zero for what is negative or no number, saturating.
pub(crate) fn to_duration(seconds: f64) -> Duration {
    if seconds > 0.0 { Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX) } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_numbers_saturate_or_count_as_zero() {
        assert_eq!(to_duration(f64::NAN), Duration::ZERO);
        assert_eq!(to_duration(-3.0), Duration::ZERO);
        assert_eq!(to_duration(f64::INFINITY), Duration::MAX);
        assert_eq!(lenient(-1), Duration::ZERO);
        assert!(f64::NAN.into_seconds().abs() < f64::EPSILON);
        assert_eq!((-1i8).into_count(), 0);
        assert_eq!(u64::MAX.into_count(), u32::MAX);
        assert_eq!(5usize.into_count(), 5);
    }
}
