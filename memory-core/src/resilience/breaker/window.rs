//! The calls that a breaker judges by: the last so many, or those of the last so many seconds.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Parts of a window by time; it moves on by one of them at once.
pub(super) const BUCKETS: u64 = 10;

/// How one call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// How many calls went how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

impl Tally {
    pub(super) fn add(&mut self, verdict: Verdict) {
        self.calls = self.calls.saturating_add(1);
        self.failed = self.failed.saturating_add(u32::from(verdict.failed));
        self.slow = self.slow.saturating_add(u32::from(verdict.slow));
    }

    fn remove(&mut self, verdict: Verdict) {
        self.calls -= 1;
        self.failed -= u32::from(verdict.failed);
        self.slow -= u32::from(verdict.slow);
    }

    fn join(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            failed: self.failed.saturating_add(other.failed),
            slow: self.slow.saturating_add(other.slow),
        }
    }
}

/// What a window spans.
#[derive(Clone, Copy, Debug)]
pub(super) enum Span {
    Calls(u32),
    Time(Duration),
}

/// A sliding window of calls.
pub(super) enum Window {
    Calls { most: usize, verdicts: VecDeque<Verdict>, tally: Tally },
    Time { began: Instant, bucket: Duration, newest: u64, buckets: [Tally; BUCKETS as usize] },
}

impl Window {
    pub(super) fn new(span: Span) -> Self {
        match span {
            Span::Calls(most) => {
                Self::Calls { most: most as usize, verdicts: VecDeque::new(), tally: Tally::default() }
            }
            Span::Time(length) => Self::Time {
                began: Instant::now(),
                bucket: (length / BUCKETS as u32).max(Duration::from_nanos(1)),
                newest: 0,
                buckets: [Tally::default(); BUCKETS as usize],
            },
        }
    }

    /// Adds a call that ends now, and says what is in the window with it.
    pub(super) fn add(&mut self, verdict: Verdict, now: Instant) -> Tally {
        match self {
            Self::Calls { most, verdicts, tally } => {
                if verdicts.len() == *most {
                    verdicts.pop_front().into_iter().for_each(|oldest| tally.remove(oldest));
                }
                verdicts.push_back(verdict);
                tally.add(verdict);
                *tally
            }
            Self::Time { began, bucket, newest, buckets } => {
                let current =
                    u64::try_from(now.duration_since(*began).as_nanos() / bucket.as_nanos()).unwrap_or(u64::MAX);
                // Ends of calls are not noted in the order of their moments.
                for passed in 0..current.saturating_sub(*newest).min(BUCKETS) {
                    buckets[((current - passed) % BUCKETS) as usize] = Tally::default();
                }
                *newest = current.max(*newest);
                buckets[(*newest % BUCKETS) as usize].add(verdict);
                buckets.iter().copied().fold(Tally::default(), Tally::join)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call() -> impl Strategy<Value = (Verdict, u64)> {
        (any::<bool>(), any::<bool>(), prop_oneof![3 => Just(0u64), 2 => 0..1_500u64, 1 => 0..40_000u64])
            .prop_map(|(failed, slow, passed)| (Verdict { failed, slow }, passed))
    }

    fn tally<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> Tally {
        let mut tally = Tally::default();
        verdicts.for_each(|verdict| tally.add(*verdict));
        tally
    }

    proptest! {
        #[test]
        fn a_window_of_calls_holds_the_last_ones(calls in prop::collection::vec(call(), 1..200), most in 1u32..40) {
            let (mut window, mut all) = (Window::new(Span::Calls(most)), Vec::new());
            for (verdict, _) in calls {
                all.push(verdict);
                let model = tally(all.iter().rev().take(most as usize));
                prop_assert_eq!(window.add(verdict, Instant::now()), model);
            }
        }

        #[test]
        fn a_window_of_time_holds_the_calls_of_its_last_ten_parts(
            calls in prop::collection::vec(call(), 1..200),
            seconds in 1u64..40,
        ) {
            let (mut window, mut all) = (Window::new(Span::Time(Duration::from_secs(seconds))), Vec::new());
            let Window::Time { began, .. } = window else { unreachable!() };
            let mut at = 0;
            for (verdict, passed) in calls {
                at += passed;
                let part = at / (seconds * 100);
                all.push((part, verdict));
                let recent = all.iter().filter(|(of, _)| of + 10 > part).map(|(_, verdict)| verdict);
                let model = tally(recent);
                prop_assert_eq!(window.add(verdict, began + Duration::from_millis(at)), model);
            }
        }
    }
}
