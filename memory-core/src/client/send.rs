//! The attempt loop: what is sent again, and when.

use std::time::Duration;

use reqwest::{Method, header::HeaderMap};

use super::{
    Shared,
    builder::Settings,
    error::FmClientError,
    request::IDEMPOTENCY_KEY,
    transport::{Answer, Outgoing},
};
use crate::retry::{Attempts, Jitter, Plan, exponential_backoff, pause, stop_after_retries};

/// Sends until there is an answer, an error that stays, or no attempt left.
pub(crate) async fn send(shared: &Shared, outgoing: Outgoing) -> Result<Answer, FmClientError> {
    let mut attempts = plan(&shared.settings).begin();
    loop {
        let error = match shared.transport()?.exchange(&outgoing).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        attempts.count();
        let wait = match next_wait(&mut attempts, &error, shared.settings.longest_retry_after) {
            Some(wait) if may_repeat(&outgoing.method, &outgoing.headers) => wait,
            _ => return Err(error),
        };
        tracing::debug!(attempt = attempts.made(), ?wait, %error, "trying again");
        pause(wait).await;
    }
}

fn plan(settings: &Settings) -> Plan {
    Plan {
        stop: stop_after_retries(settings.attempts),
        wait: exponential_backoff().min(settings.wait_min).max(settings.wait_max),
        jitter: Jitter::None,
        deadline: None,
        attempt_timeout: None,
        seed: None,
    }
}

/// How long to wait before the next attempt; `None`: there is none. The upstream's own word goes before the backoff.
fn next_wait(attempts: &mut Attempts, error: &FmClientError, longest: Duration) -> Option<Duration> {
    if !error.is_retryable() {
        return None;
    }
    let backoff = attempts.next_wait()?;
    match error.retry_after() {
        Some(wait) => (wait <= longest).then_some(wait),
        None => Some(backoff),
    }
}

/// Sent twice, these have the effect of sent once.
fn may_repeat(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS)
        || headers.contains_key(&IDEMPOTENCY_KEY)
}
