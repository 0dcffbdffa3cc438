//! Whether a request that failed for now may be sent again, and when.

use std::time::Duration;

use reqwest::{Method, Request};

use super::request::IDEMPOTENCY_KEY;
use crate::retry::{Attempts, Plan, RetryBudget, exponential_backoff, stop_after_retries};

/// How often a request is repeated, and how long that may take.
#[derive(Clone, Debug)]
pub(crate) struct Repeats {
    /// How often it is sent at most.
    pub(crate) attempts: u32,
    pub(crate) wait_min: Duration,
    pub(crate) wait_max: Duration,
    pub(crate) longest_retry_after: Duration,
    /// How long all attempts and waits may take.
    pub(crate) deadline: Option<Duration>,
    /// What the repetitions are paid from; `None`: nobody counts them.
    pub(crate) budget: Option<RetryBudget>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            attempts: 3,
            wait_min: Duration::from_secs(2),
            wait_max: Duration::from_secs(10),
            longest_retry_after: Duration::from_secs(300),
            deadline: None,
            budget: None,
        }
    }
}

impl Repeats {
    /// Begins with a request whose attempts may take this long each.
    pub(crate) fn begin(self, attempt_timeout: Option<Duration>) -> Attempts {
        let plan = Plan {
            deadline: self.deadline,
            attempt_timeout,
            budget: self.budget.unwrap_or_else(RetryBudget::unlimited),
            longest_delay: self.longest_retry_after,
            ..Plan::new(stop_after_retries(self.attempts), exponential_backoff().min(self.wait_min).max(self.wait_max))
        };
        plan.begin()
    }

    /// How long to wait before the next attempt, or why there is none. The upstream's own word goes before the backoff.
    pub(crate) fn after(attempts: &mut Attempts, retry_after: Option<Duration>) -> Result<Duration, &'static str> {
        attempts.next_wait(retry_after).map_err(|why| match why {
            "stop" => "attempts",
            "delay" => "retry_after",
            other => other,
        })
    }
}

/// Sent twice, it has the effect of sent once (RFC 9110 §9.2.2), or the upstream can tell.
pub(crate) fn is_harmless(request: &Request) -> bool {
    matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE
    ) || request.headers().contains_key(&IDEMPOTENCY_KEY)
}
