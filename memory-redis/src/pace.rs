//! How often a connection is made: full jitter between tries, and never more than five in a second.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::generation::random;

const SHORTEST: Duration = Duration::from_millis(50);
const FIRST_CEILING: Duration = Duration::from_millis(200);
const LAST_CEILING: Duration = Duration::from_secs(1);
/// A connection that lived this long was a good one: the next waits begin short again.
const GOOD_LIFE: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(1);
const TRIES_PER_WINDOW: usize = 5;

/// The waits between tries; has no clock of its own.
#[derive(Debug)]
pub(crate) struct Pace {
    ceiling: Duration,
    tries: VecDeque<Instant>,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { ceiling: FIRST_CEILING, tries: VecDeque::with_capacity(TRIES_PER_WINDOW) }
    }

    /// Notes a try that begins at `now`.
    pub(crate) fn tried(&mut self, now: Instant) {
        if self.tries.len() == TRIES_PER_WINDOW {
            self.tries.pop_front();
        }
        self.tries.push_back(now);
    }

    /// Notes that a connection was in use for `life`.
    pub(crate) fn lived(&mut self, life: Duration) {
        if life >= GOOD_LIFE {
            self.ceiling = FIRST_CEILING;
        }
    }

    /// How long to wait at `now` before the next try.
    pub(crate) fn next(&mut self, now: Instant) -> Duration {
        let jittered = SHORTEST + random_below(self.ceiling - SHORTEST);
        self.ceiling = (self.ceiling * 2).min(LAST_CEILING);
        jittered.max(self.until_the_window_opens(now))
    }

    fn until_the_window_opens(&self, now: Instant) -> Duration {
        match self.tries.front() {
            Some(oldest) if self.tries.len() == TRIES_PER_WINDOW => {
                WINDOW.saturating_sub(now.saturating_duration_since(*oldest))
            }
            _ => Duration::ZERO,
        }
    }
}

fn random_below(bound: Duration) -> Duration {
    let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random() % nanos.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_are_jittered_between_50_ms_and_a_second() {
        let (mut pace, now) = (Pace::new(), Instant::now());
        let waits: Vec<_> = (0..1_000).map(|_| pace.next(now)).collect();
        assert!(waits.iter().all(|wait| (SHORTEST..=LAST_CEILING).contains(wait)));
        assert!(waits[3..].iter().any(|wait| *wait < Duration::from_millis(200)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(800)));
        assert!(waits[0] < FIRST_CEILING);
    }

    #[test]
    fn no_second_sees_more_than_five_tries() {
        let (mut pace, mut now) = (Pace::new(), Instant::now());
        let mut tries = Vec::new();
        for _ in 0..200 {
            pace.tried(now);
            tries.push(now);
            // Connections that live long keep the waits short: the window alone must hold.
            pace.lived(GOOD_LIFE);
            now += pace.next(now);
        }
        assert!(tries.windows(6).all(|six| six[5].duration_since(six[0]) >= WINDOW));
    }

    #[test]
    fn a_connection_that_dies_young_does_not_shorten_the_waits() {
        let (mut pace, now) = (Pace::new(), Instant::now());
        (0..5).for_each(|_| {
            pace.next(now);
        });
        pace.lived(Duration::from_secs(1));
        assert!((0..100).map(|_| pace.next(now)).any(|wait| wait > FIRST_CEILING));
        pace.lived(GOOD_LIFE);
        assert!(pace.next(now) <= FIRST_CEILING);
    }
}
