//! The attempt loop: what is sent again, and when.

use reqwest::{Method, header::HeaderMap};

use super::{
    Shared,
    builder::Settings,
    error::FmClientError,
    request::IDEMPOTENCY_KEY,
    transport::{Answer, Outgoing},
};
use crate::retry::{Plan, exponential_backoff, pause, stop_after_retries};

/// Sends until there is an answer, an error that stays, or no attempt left.
pub(crate) async fn send(shared: &Shared, outgoing: Outgoing) -> Result<Answer, FmClientError> {
    let mut attempts = plan(shared).begin();
    loop {
        let error = match shared.transport()?.exchange(&outgoing).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        attempts.count();
        if !error.is_retryable() || !may_repeat(&outgoing.method, &outgoing.headers) {
            return Err(error);
        }
        // The upstream's own word goes before the backoff.
        let Some(wait) = attempts.next_wait(error.retry_after()) else { return Err(error) };
        tracing::debug!(attempt = attempts.made(), ?wait, %error, "trying again");
        pause(wait).await;
    }
}

fn plan(shared: &Shared) -> Plan {
    let Settings { attempts, wait_min, wait_max, longest_retry_after, .. } = shared.settings;
    Plan {
        budget: shared.budget.clone(),
        longest_delay: longest_retry_after,
        ..Plan::new(stop_after_retries(attempts), exponential_backoff().min(wait_min).max(wait_max))
    }
}

/// Sent twice, these have the effect of sent once.
fn may_repeat(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS)
        || headers.contains_key(&IDEMPOTENCY_KEY)
}
