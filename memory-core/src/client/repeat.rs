//! Whether a request that failed for now may be sent again, and when.

use std::time::Duration;

use reqwest::{Method, Request};

use super::{builder::Settings, request::IDEMPOTENCY_KEY};
use crate::retry::Attempts;

/// What is known of a request before it is sent.
#[derive(Clone, Copy)]
pub(crate) struct Repetition {
    /// Sent twice, it has the effect of sent once (RFC 9110 §9.2.2), or the upstream can tell.
    harmless: bool,
    /// How often it is sent at most.
    attempts: u32,
    longest_retry_after: Duration,
    deadline: Option<Duration>,
}

impl Repetition {
    pub(crate) fn of(request: &Request, settings: &Settings, deadline: Option<Duration>) -> Self {
        let is_idempotent = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE
        );
        let harmless = is_idempotent || request.headers().contains_key(&IDEMPOTENCY_KEY);
        Self { harmless, attempts: settings.attempts, longest_retry_after: settings.longest_retry_after, deadline }
    }

    /// How long to wait before the next attempt, or why there is none. The upstream's own word goes before the backoff.
    pub(crate) fn after(
        self,
        attempts: &mut Attempts,
        never_left: bool,
        retry_after: Option<Duration>,
    ) -> Result<Duration, &'static str> {
        if !self.harmless && !never_left {
            return Err("method");
        }
        if attempts.made() >= self.attempts {
            return Err("attempts");
        }
        let backoff = attempts.next_wait().ok_or("deadline")?;
        let Some(wait) = retry_after else { return Ok(backoff) };
        if wait > self.longest_retry_after {
            return Err("retry_after");
        }
        let ends = attempts.elapsed().saturating_add(wait);
        if self.deadline.is_some_and(|deadline| ends >= deadline) { Err("deadline") } else { Ok(wait) }
    }
}
