//! The clock of the server, estimated from its last answer and our own monotonic clocks.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::real_time;

#[derive(Debug)]
pub(crate) struct ServerClock {
    reading: Mutex<Reading>,
}

/// What the server's clock showed, and when that was, on each of our clocks.
#[derive(Clone, Copy, Debug)]
struct Reading {
    real: (Duration, Instant),
    /// Tokio's clock is the real one, unless a test has paused it and moves it by hand.
    tokio: (Duration, tokio::time::Instant),
    answered: bool,
}

impl ServerClock {
    /// Shows this machine's wall clock until the server has answered.
    pub(crate) fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let reading =
            Reading { real: (wall, Instant::now()), tokio: (wall, tokio::time::Instant::now()), answered: false };
        Self { reading: Mutex::new(reading) }
    }

    /// Notes that the server's clock showed `server` in an answer that took `round_trip`.
    pub(crate) fn note(&self, server: Duration, round_trip: Duration) {
        let server = server + round_trip / 2;
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.real = (server, Instant::now());
        // The time that a test has let pass on a paused clock must stay passed: the server knows nothing of it.
        if !reading.answered || !real_time::stands_still() {
            reading.tokio = (server, tokio::time::Instant::now());
        }
        reading.answered = true;
    }

    /// Milliseconds since the Unix epoch, for the lives of entries: moves with tokio's clock.
    pub(crate) fn now_ms(&self) -> u64 {
        let (server, at) = self.reading().tokio;
        millis(server + at.elapsed())
    }

    /// The same for what the server itself compares with its clock: real time, always.
    pub(crate) fn real_ms(&self) -> u64 {
        let (server, at) = self.reading().real;
        millis(server + at.elapsed())
    }

    fn reading(&self) -> Reading {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole milliseconds, saturating.
pub(crate) fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Duration = Duration::from_secs(1_000_000);

    #[test]
    fn the_server_decides_what_time_it_is() {
        let clock = ServerClock::new();
        clock.note(SERVER, Duration::from_millis(20));
        let shown = 1_000_000_010..1_000_001_000;
        assert!(shown.contains(&clock.now_ms()) && shown.contains(&clock.real_ms()));
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_a_test_lets_pass_stays_passed_when_the_server_answers_again() {
        let clock = ServerClock::new();
        clock.note(SERVER, Duration::ZERO);
        tokio::time::advance(Duration::from_secs(60)).await;
        clock.note(SERVER + Duration::from_millis(1), Duration::ZERO);
        assert_eq!(clock.now_ms(), 1_000_060_000);
        assert!(clock.real_ms() < 1_000_030_000);
    }
}
