//! What a user can set, with its defaults.

use std::time::Duration;

/// The settings of one store.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The longest payload that is stored, in bytes.
    pub(crate) payload_limit: usize,
    /// For one round trip.
    pub(crate) response_timeout: Duration,
    /// For one call, with everything it waits for.
    pub(crate) deadline: Duration,
    /// How many removals of single keys wait for Redis before they become one removal of everything.
    pub(crate) removal_queue: usize,
    /// Whether keys may lie on different nodes, so that no command and no script may touch those of two slots.
    pub(crate) spread: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            payload_limit: 1 << 20,
            response_timeout: Duration::from_millis(100),
            deadline: Duration::from_millis(120),
            removal_queue: 10_000,
            spread: false,
        }
    }
}
