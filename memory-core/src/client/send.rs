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

/// Sends until there is an answer, an error that stays, or no attempt left.
pub(crate) async fn send(shared: &Shared, outgoing: Outgoing) -> Result<Answer, FmClientError> {
    let mut attempt = 1;
    loop {
        let error = match shared.transport()?.exchange(&outgoing).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(wait) = next_wait(&shared.settings, &outgoing, attempt, &error) else { return Err(error) };
        tracing::debug!(attempt, ?wait, %error, "trying again");
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

/// How long to wait before the next attempt; `None`: there is none.
fn next_wait(settings: &Settings, outgoing: &Outgoing, attempt: u32, error: &FmClientError) -> Option<Duration> {
    if attempt >= settings.attempts || !error.is_retryable() || !may_repeat(&outgoing.method, &outgoing.headers) {
        return None;
    }
    match error.retry_after() {
        Some(wait) => (wait <= settings.longest_retry_after).then_some(wait),
        None => Some(backoff(settings, attempt)),
    }
}

/// Sent twice, these have the effect of sent once.
fn may_repeat(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS)
        || headers.contains_key(&IDEMPOTENCY_KEY)
}

/// After attempt `k`: `2^(k-1)` seconds within the bounds, the lower one being stronger.
fn backoff(settings: &Settings, attempt: u32) -> Duration {
    let seconds = 1_u64.checked_shl(attempt - 1).unwrap_or(u64::MAX);
    Duration::from_secs(seconds).min(settings.wait_max).max(settings.wait_min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_bounds_at_any_attempt() {
        let settings = Settings { wait_min: Duration::ZERO, ..Settings::default() };
        let seconds = |attempt| backoff(&settings, attempt).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 64, 65, 1_000_000].map(seconds), [1, 2, 4, 8, 10, 10, 10, 10]);
    }
}
