//! Writes whose fate is unknown, and until when they could still take place.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::{error::FmError, sync::lock};

/// A write that arrives later than this after it was sent is refused.
pub(super) const WRITE_VALIDITY: Duration = Duration::from_millis(250);

/// Keeps count of the writes under way.
#[derive(Default)]
pub(super) struct Doubts(Mutex<Writes>);

#[derive(Default)]
struct Writes {
    under_way: usize,
    last_sent: Option<Instant>,
    last_lost: Option<Instant>,
}

/// A write under way. Dropped before it was answered, it is in doubt.
struct Doubt<'a> {
    all: &'a Doubts,
    sent: Instant,
    answered: bool,
}

impl Doubts {
    /// Runs a write and keeps count of it: one without an answer may still take place.
    pub(super) async fn writing<T>(&self, write: impl Future<Output = Result<T, FmError>>) -> Result<T, FmError> {
        let mut doubt = self.begin();
        let outcome = write.await;
        doubt.answered = outcome.is_ok();
        outcome
    }

    /// How long it takes until no write that was sent so far can take place any more.
    pub(super) fn left(&self) -> Duration {
        let writes = lock(&self.0);
        let last = if writes.under_way > 0 { writes.last_sent } else { writes.last_lost };
        last.map_or(Duration::ZERO, |sent| WRITE_VALIDITY.saturating_sub(sent.elapsed()))
    }

    fn begin(&self) -> Doubt<'_> {
        let sent = Instant::now();
        let mut writes = lock(&self.0);
        writes.under_way += 1;
        writes.last_sent = Some(sent);
        Doubt { all: self, sent, answered: false }
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        let mut writes = lock(&self.all.0);
        writes.under_way -= 1;
        if !self.answered {
            writes.last_lost = writes.last_lost.max(Some(self.sent));
        }
    }
}
