//! How long to wait before the next call.

use std::{ops::Add, time::Duration};

use super::{
    entropy::Entropy,
    number::{IntoSeconds, lenient, to_duration},
};
use crate::time::IntoDuration;

/// The largest exponential wait where none was asked for: 2^62 seconds, as tenacity has it.
const LONGEST: Duration = Duration::from_secs(1 << 62);

/// How long to wait after each call that is to be repeated.
///
/// All building blocks make this one type, so they can be chosen at run time and added up. After call `k` the wait is
/// `max(min, min(multiplier · shape(k), max))`, in whole nanoseconds: `min` beats `max`, and nothing is ever negative
/// or too large for a [`Duration`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use memory_core::{exponential_backoff, fixed, random_between};
///
/// let wait = exponential_backoff().multiplier(1).min(2).max(10);
/// let seconds: Vec<u64> = wait.iter().take(5).map(|wait| wait.as_secs()).collect();
/// assert_eq!(seconds, [2, 2, 4, 8, 10]);
///
/// let spread = fixed(1) + random_between(0, 0.5);
/// assert!(spread.iter().take(100).all(|wait| wait <= Duration::from_millis(1500)));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a wait does nothing until a retry uses it"]
pub struct Wait {
    shape: Shape,
    multiplier: f64,
    min: Duration,
    max: Duration,
    jitter: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Fixed(Duration),
    Exponential { base: f64, spread: Jitter },
    Incrementing { start: f64, increment: f64 },
    Between(Duration, Duration),
    Chain(Vec<Wait>),
    Sum(Vec<Wait>),
}

/// How the waits of a policy are spread, so that callers who failed together do not come back together.
///
/// # Default
///
/// `None`: the waits are exactly what they are said to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// No spreading.
    #[default]
    None,
    /// Anything from zero to the wait.
    Full,
    /// Anything from the first wait to three times the last one, up to the largest wait.
    Decorrelated,
}

/// The call that was just made, as a wait sees it.
#[derive(Clone, Copy)]
struct Moment {
    attempt: u32,
    previous: Option<Duration>,
    draw: f64,
}

/// No wait at all.
pub const fn no_wait() -> Wait {
    Wait::of(Shape::Fixed(Duration::ZERO))
}

/// 1 s, 2 s, 4 s, …: `multiplier · 2^(k-1)` seconds after call `k`.
///
/// # Default
///
/// `multiplier` 1, `min` 0, `max` 2^62 s, `exp_base` 2. A negative or NaN argument counts as 0; a negative base
/// alternates the sign, and where the product is below zero the wait is `min`.
///
/// # Examples
///
/// ```
/// # use memory_core::exponential_backoff;
/// let wait = exponential_backoff().multiplier(2).min(2).max(30);
/// assert_eq!(wait.iter().take(5).map(|wait| wait.as_secs()).collect::<Vec<_>>(), [2, 4, 8, 16, 30]);
/// ```
pub const fn exponential_backoff() -> Wait {
    exponential(Jitter::None)
}

/// The same wait after every call.
pub fn fixed(wait: impl IntoDuration) -> Wait {
    Wait::of(Shape::Fixed(lenient(wait)))
}

/// `start`, then `increment` more after every call, up to `max`; a negative increment counts down to zero.
pub fn incrementing(start: impl IntoSeconds, increment: impl IntoSeconds, max: impl IntoDuration) -> Wait {
    Wait::of(Shape::Incrementing { start: start.into_seconds(), increment: increment.into_seconds() }).max(max)
}

/// Anything between the two, anew after every call.
pub fn random_between(a: impl IntoDuration, b: impl IntoDuration) -> Wait {
    Wait::of(Shape::Between(lenient(a), lenient(b)))
}

/// Anything from `min` to what [`exponential_backoff`] with the same settings would wait.
///
/// # Examples
///
/// ```
/// # use memory_core::full_jitter;
/// let wait = full_jitter().multiplier(0.5).max(60);
/// assert!(wait.iter().nth(9).is_some_and(|wait| wait.as_secs() <= 60));
/// ```
pub const fn full_jitter() -> Wait {
    exponential(Jitter::Full)
}

/// Anything from `multiplier` seconds to three times the last wait, never below `min` nor above `max`.
pub const fn decorrelated_jitter() -> Wait {
    exponential(Jitter::Decorrelated)
}

/// The first wait after the first call, the second after the second, and so on; the last one repeats.
///
/// Each wait still sees the number of the call: `chain([fixed(1), exponential_backoff()])` waits 1 s, 2 s, 4 s, ….
pub fn chain(waits: impl IntoIterator<Item = Wait>) -> Wait {
    Wait::of(Shape::Chain(waits.into_iter().collect()))
}

const fn exponential(spread: Jitter) -> Wait {
    let mut wait = Wait::of(Shape::Exponential { base: 2.0, spread });
    wait.max = LONGEST;
    wait
}

impl Wait {
    const fn of(shape: Shape) -> Self {
        Self { shape, multiplier: 1.0, min: Duration::ZERO, max: Duration::MAX, jitter: 0.0 }
    }

    /// Multiplies the wait; for an exponential one these are the seconds after the first call.
    pub fn multiplier(mut self, multiplier: impl IntoSeconds) -> Self {
        self.multiplier = multiplier.into_seconds();
        self
    }

    /// Never waits shorter than this, not even where `max` is below it.
    pub fn min(mut self, min: impl IntoDuration) -> Self {
        self.min = lenient(min);
        self
    }

    /// Never waits longer than this.
    pub fn max(mut self, max: impl IntoDuration) -> Self {
        self.max = lenient(max);
        self
    }

    /// What the wait of an exponential grows by with every call; other waits have no base, and stay as they are.
    pub fn exp_base(mut self, exp_base: impl IntoSeconds) -> Self {
        if let Shape::Exponential { base, .. } = &mut self.shape {
            *base = exp_base.into_seconds();
        }
        self
    }

    /// Adds anything up to this much, within `max`.
    pub fn jitter(mut self, jitter: impl IntoSeconds) -> Self {
        self.jitter = jitter.into_seconds();
        self
    }

    /// The waits after call 1, 2, 3, …, without end.
    pub fn iter(&self) -> Backoff {
        Backoff::new(self.clone(), Jitter::None, Entropy::fresh())
    }

    /// As [`iter`](Wait::iter), with the same random draws for the same seed.
    pub fn iter_seeded(&self, seed: u64) -> Backoff {
        Backoff::new(self.clone(), Jitter::None, Entropy::seeded(seed))
    }

    /// The wait after call `attempt` (from 1) where every random draw comes out as `draw`, from 0 to 1.
    ///
    /// For tests that compare the lower bound, the middle and the upper bound of a random wait.
    #[doc(hidden)]
    pub fn at_draw(&self, attempt: u32, draw: f64) -> Duration {
        self.evaluate(attempt, None, &mut || draw)
    }

    fn evaluate(&self, attempt: u32, previous: Option<Duration>, draw: &mut dyn FnMut() -> f64) -> Duration {
        match &self.shape {
            Shape::Fixed(wait) if self.is_plain() => *wait,
            Shape::Chain(waits) => {
                let at = (attempt.max(1) as usize - 1).min(waits.len().saturating_sub(1));
                let wait = waits.get(at).map_or(Duration::ZERO, |wait| wait.evaluate(attempt, previous, draw));
                self.scaled(wait, draw)
            }
            Shape::Sum(waits) => {
                let sum = waits.iter().map(|wait| wait.evaluate(attempt, previous, draw));
                let sum = sum.fold(Duration::ZERO, Duration::saturating_add);
                self.scaled(sum, draw)
            }
            _ => self.simple(Moment { attempt, previous, draw: draw() }),
        }
    }

    /// The wait of a shape that is not made of others, and so draws once.
    fn simple(&self, moment: Moment) -> Duration {
        let draw = moment.draw;
        let shape = match self.shape {
            Shape::Exponential { spread: Jitter::Full, .. } => return between(self.min, self.high(moment), draw),
            Shape::Exponential { spread: Jitter::Decorrelated, .. } => {
                let first = self.bounded(to_duration(self.multiplier));
                return self.bounded(decorrelated(first, moment));
            }
            Shape::Exponential { base, .. } => power(base, moment.attempt),
            Shape::Incrementing { start, increment } => start + increment * f64::from(moment.attempt.max(1) - 1),
            Shape::Between(a, b) => between(a, b, draw).as_secs_f64(),
            Shape::Fixed(wait) => wait.as_secs_f64(),
            Shape::Chain(_) | Shape::Sum(_) => 0.0,
        };
        self.bounded(to_duration(times(self.multiplier, shape) + self.jitter * draw))
    }

    /// Where the draws of a fully jittered exponential end.
    fn high(&self, moment: Moment) -> Duration {
        let Shape::Exponential { base, .. } = self.shape else { return self.max };
        self.bounded(to_duration(times(self.multiplier, power(base, moment.attempt))))
    }

    /// Multiplies, spreads and bounds a wait made of others.
    fn scaled(&self, wait: Duration, draw: &mut dyn FnMut() -> f64) -> Duration {
        if self.is_plain() {
            return wait;
        }
        let jitter = if self.jitter == 0.0 { 0.0 } else { self.jitter * draw() };
        self.bounded(to_duration(self.multiplier * wait.as_secs_f64() + jitter))
    }

    fn bounded(&self, wait: Duration) -> Duration {
        wait.min(self.max).max(self.min)
    }

    // Nothing to do to the shape's own wait, so that no rounding through seconds touches it.
    #[allow(clippy::float_cmp)]
    fn is_plain(&self) -> bool {
        self.multiplier == 1.0 && self.jitter == 0.0 && self.min.is_zero() && self.max == Duration::MAX
    }

    /// The longest wait there can be, as far as the settings say.
    fn ceiling(&self) -> Duration {
        let shape = match &self.shape {
            Shape::Fixed(wait) => *wait,
            Shape::Exponential { .. } | Shape::Incrementing { .. } => return self.max.max(self.min),
            Shape::Between(a, b) => *a.max(b),
            Shape::Chain(waits) => waits.iter().map(Self::ceiling).max().unwrap_or_default(),
            Shape::Sum(waits) => waits.iter().map(Self::ceiling).fold(Duration::ZERO, Duration::saturating_add),
        };
        if self.is_plain() {
            return shape;
        }
        self.bounded(to_duration(self.multiplier * shape.as_secs_f64() + self.jitter.max(0.0)))
    }
}

impl Add for Wait {
    type Output = Self;

    /// Both waits, one after the other.
    fn add(self, other: Self) -> Self {
        Self::of(Shape::Sum(vec![self, other]))
    }
}

impl std::iter::Sum for Wait {
    fn sum<I: Iterator<Item = Self>>(waits: I) -> Self {
        Self::of(Shape::Sum(waits.collect()))
    }
}

impl IntoIterator for Wait {
    type Item = Duration;
    type IntoIter = Backoff;

    fn into_iter(self) -> Backoff {
        Backoff::new(self, Jitter::None, Entropy::fresh())
    }
}

impl IntoIterator for &Wait {
    type Item = Duration;
    type IntoIter = Backoff;

    fn into_iter(self) -> Backoff {
        self.iter()
    }
}

/// The waits of one retried call, in order: an endless iterator.
#[derive(Clone, Debug)]
pub struct Backoff {
    wait: Wait,
    jitter: Jitter,
    entropy: Entropy,
    attempt: u32,
    previous: Option<Duration>,
}

impl Backoff {
    pub(crate) const fn new(wait: Wait, jitter: Jitter, entropy: Entropy) -> Self {
        Self { wait, jitter, entropy, attempt: 0, previous: None }
    }

    /// Spreads the unjittered wait as the policy asks.
    fn spread(&mut self, wait: Duration) -> Duration {
        match self.jitter {
            Jitter::None => wait,
            Jitter::Full => between(Duration::ZERO, wait, self.entropy.draw()),
            Jitter::Decorrelated => {
                let first = if self.attempt == 1 { wait } else { self.first() };
                let moment = Moment { attempt: self.attempt, previous: self.previous, draw: self.entropy.draw() };
                decorrelated(first, moment).min(self.wait.ceiling())
            }
        }
    }

    fn first(&mut self) -> Duration {
        let entropy = &mut self.entropy;
        self.wait.evaluate(1, None, &mut || entropy.draw())
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.attempt = self.attempt.saturating_add(1);
        let entropy = &mut self.entropy;
        let wait = self.wait.evaluate(self.attempt, self.previous, &mut || entropy.draw());
        let wait = self.spread(wait);
        self.previous = Some(wait);
        Some(wait)
    }
}

/// `base^(attempt-1)`.
fn power(base: f64, attempt: u32) -> f64 {
    base.powf(f64::from(attempt.max(1) - 1))
}

/// The product, zero where the multiplier is: nothing of what overflowed is nothing, and no NaN.
fn times(multiplier: f64, shape: f64) -> f64 {
    if multiplier == 0.0 { 0.0 } else { multiplier * shape }
}

/// Between the two, `draw` of the way; exactly either end at 0 and 1.
fn between(a: Duration, b: Duration, draw: f64) -> Duration {
    if b >= a { a.saturating_add((b - a).mul_f64_saturating(draw)) } else { a - (a - b).mul_f64_saturating(draw) }
}

fn decorrelated(first: Duration, moment: Moment) -> Duration {
    let last = moment.previous.unwrap_or(first).max(first);
    between(first, last.saturating_mul(3), moment.draw)
}

trait MulSaturating {
    fn mul_f64_saturating(self, factor: f64) -> Duration;
}

impl MulSaturating for Duration {
    /// As `mul_f64`, which panics where the product, rounded up, is too large.
    fn mul_f64_saturating(self, factor: f64) -> Duration {
        to_duration(self.as_secs_f64() * factor).min(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(wait: &Wait, take: usize) -> Vec<f64> {
        wait.iter().take(take).map(|wait| wait.as_secs_f64()).collect()
    }

    #[test]
    fn the_wait_is_clamped_at_the_millionth_attempt() {
        for wait in [
            exponential_backoff().max(10),
            exponential_backoff().multiplier(f64::MAX).exp_base(f64::MAX).max(10),
            full_jitter().max(10),
            exponential_backoff().jitter(u64::MAX).max(10),
            incrementing(1, 1e300, 10),
        ] {
            for draw in [0.0, 0.5, 1.0] {
                assert!(wait.at_draw(1_000_000, draw) <= Duration::from_secs(10), "{wait:?}");
            }
            assert!(wait.at_draw(u32::MAX, 1.0) <= Duration::from_secs(10), "{wait:?}");
        }
    }

    proptest! {
        /// Against the formulas as they stand in the documentation, in seconds.
        #[test]
        fn backoffs_are_what_the_formulas_say(
            multiplier in 0.0..20.0_f64,
            base in 0.5..6.0_f64,
            min in 0.0..5.0_f64,
            max in 0.0..100.0_f64,
            attempt in 1..1_000_u32,
            draw in 0.0..=1.0_f64,
            seed: u64,
        ) {
            let bounded = |wait: f64| wait.min(max).max(min);
            let near = |wait: Duration, model: f64| (wait.as_secs_f64() - model).abs() <= 1e-6;
            let exponential = bounded(multiplier * base.powf(f64::from(attempt - 1)));
            let with = |wait: Wait| wait.multiplier(multiplier).min(min).max(max);
            prop_assert!(near(with(exponential_backoff()).exp_base(base).at_draw(attempt, draw), exponential));
            let full = min + (exponential - min) * draw;
            prop_assert!(near(with(full_jitter()).exp_base(base).at_draw(attempt, draw), full));

            let first = bounded(multiplier);
            let mut previous = first;
            for wait in with(decorrelated_jitter()).iter_seeded(seed).take(100) {
                let wait = wait.as_secs_f64();
                let longest = bounded(3.0 * previous);
                prop_assert!((first - 1e-6..=longest + 1e-6).contains(&wait), "{wait} of {first}..={longest}");
                previous = wait.max(first);
            }
        }
    }

    #[test]
    fn min_beats_max() {
        assert_eq!(seconds(&exponential_backoff().min(5).max(1), 2), [5.0, 5.0]);
    }

    #[test]
    fn a_multiplier_of_zero_leaves_the_jitter_however_many_calls_were_made() {
        let wait = exponential_backoff().multiplier(0).jitter(0.5);
        assert_eq!(wait.at_draw(2000, 0.5), Duration::from_millis(250));
        assert_eq!(wait.at_draw(3, 0.5), Duration::from_millis(250));
    }

    #[test]
    fn settings_apply_to_every_wait() {
        assert_eq!(seconds(&(fixed(1) + fixed(2)).multiplier(2).max(5), 1), [5.0]);
        assert_eq!(seconds(&fixed(1).min(3), 1), [3.0]);
        assert_eq!(seconds(&chain([fixed(1), fixed(2)]), 3), [1.0, 2.0, 2.0]);
        assert_eq!(seconds(&chain([]), 1), [0.0]);
        assert_eq!(fixed(Duration::MAX).at_draw(1, 0.0), Duration::MAX);
        assert_eq!((fixed(Duration::MAX) + fixed(1)).at_draw(1, 0.0), Duration::MAX);
    }

    #[test]
    fn decorrelated_waits_stay_between_the_first_and_the_largest() {
        let wait = decorrelated_jitter().multiplier(2).max(30);
        let waits: Vec<Duration> = wait.iter_seeded(1).take(1000).collect();
        assert!(waits.iter().all(|wait| (2..=30).contains(&wait.as_secs())));
        assert!(waits.iter().max() > Some(&Duration::from_secs(25)), "they grow");
        for pair in waits.windows(2) {
            assert!(pair[1] <= pair[0].saturating_mul(3), "at most three times the last one");
        }
    }

    #[test]
    fn jitter_of_a_policy_spreads_below_the_wait() {
        let wait = exponential_backoff().min(2).max(10);
        let full: Vec<Duration> = Backoff::new(wait.clone(), Jitter::Full, Entropy::seeded(3)).take(200).collect();
        assert!(full.iter().all(|wait| *wait <= Duration::from_secs(10)));
        assert!(full.iter().any(|wait| *wait < Duration::from_secs(1)), "down to zero");
        let apart = Backoff::new(wait, Jitter::Decorrelated, Entropy::seeded(3)).take(200);
        assert!(apart.into_iter().all(|wait| (2..=10).contains(&wait.as_secs())));
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let wait = random_between(0, 100);
        let waits = |seed| wait.iter_seeded(seed).take(5).collect::<Vec<_>>();
        assert_eq!(waits(9), waits(9));
        assert_ne!(waits(9), waits(10));
    }
}
