//! Writes whose fate is unknown, and until when they could still take place.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A write is refused by the server when it arrives later than this after it was sent: its caller has been told long
/// ago that it failed, and something newer may have been written since.
pub(crate) const WRITE_VALIDITY: Duration = Duration::from_millis(250);

/// Keeps count of the writes under way.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    writes: Mutex<Writes>,
}

#[derive(Debug, Default)]
struct Writes {
    under_way: usize,
    last_sent: Option<Instant>,
    last_lost: Option<Instant>,
}

/// A write under way. Dropped before it was answered, it is in doubt.
#[must_use]
pub(crate) struct Doubt<'a> {
    all: &'a Doubts,
    sent: Instant,
    answered: bool,
}

impl Doubts {
    /// Notes that a write is being sent.
    pub(crate) fn sending(&self) -> Doubt<'_> {
        let sent = Instant::now();
        let mut writes = self.lock();
        writes.under_way += 1;
        writes.last_sent = Some(sent);
        Doubt { all: self, sent, answered: false }
    }

    /// How long it takes until no write that was sent so far can take place any more, wherever its bytes are.
    pub(crate) fn left(&self) -> Duration {
        let writes = self.lock();
        let last = if writes.under_way > 0 { writes.last_sent } else { writes.last_lost };
        last.map_or(Duration::ZERO, |sent| WRITE_VALIDITY.saturating_sub(sent.elapsed()))
    }

    fn lock(&self) -> MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doubt<'_> {
    /// The server has answered: whatever became of the write, it will not happen later.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        let mut writes = self.all.lock();
        writes.under_way -= 1;
        if !self.answered {
            writes.last_lost = writes.last_lost.max(Some(self.sent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_without_an_answer_are_in_doubt() {
        let doubts = Doubts::default();
        assert!(doubts.left().is_zero());
        let answered = doubts.sending();
        assert!(!doubts.left().is_zero(), "under way");
        answered.answered();
        assert!(doubts.left().is_zero());
        drop(doubts.sending());
        assert!(!doubts.left().is_zero(), "lost");
    }
}
