//! The attempt loop: what is sent again, and when.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, Request, header::HeaderMap};
use tokio::time::Instant;

use super::{
    Shared,
    error::FmClientError,
    request::IDEMPOTENCY_KEY,
    response::sealed::Read,
    stats::{UnderWay, Watch},
    transport::Limits,
};
use crate::retry::{Attempts, Jitter, Plan, exponential_backoff, pause, stop_after_retries};

/// A request as it goes out, as often as needed.
pub(crate) struct Outgoing {
    /// Sent once, if its body can't be had twice.
    pub(crate) request: Request,
    /// How long each attempt may take.
    pub(crate) timeout: Duration,
    /// How long all of them may.
    pub(crate) deadline: Option<Duration>,
    /// Method and URL as errors show them.
    pub(crate) target: Arc<str>,
}

/// Sends until there is an answer, an error that stays, or no attempt left.
pub(crate) async fn send<A: Read>(shared: &Shared, outgoing: Outgoing) -> Result<A, FmClientError> {
    let target = Arc::clone(&outgoing.target);
    let watch = Watch::begin(shared, &target);
    let ended = attempts(shared, outgoing, &watch).await;
    watch.end(&ended);
    ended
}

async fn attempts<A: Read>(shared: &Shared, outgoing: Outgoing, watch: &Watch<'_>) -> Result<A, FmClientError> {
    let mut attempts = plan(shared, &outgoing).begin();
    let may_repeat = is_idempotent(&outgoing.request);
    let mut next = Some(outgoing.request);
    while let Some(request) = next.take() {
        next = request.try_clone();
        let error = match attempt(shared, request, &outgoing.target, &attempts, watch).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        attempts.count();
        if !error.is_retryable() {
            return Err(error);
        }
        if next.is_none() {
            watch.refuses("body", &error);
            return Err(error);
        }
        if !may_repeat && !error.never_left() {
            watch.refuses("method", &error);
            return Err(error);
        }
        match next_wait(&mut attempts, &error, shared, outgoing.deadline) {
            Ok(wait) => {
                watch.waits(attempts.made(), wait, &error);
                pause(wait).await;
            }
            Err(why) => {
                watch.refuses(why, &error);
                return Err(error);
            }
        }
    }
    Err(FmClientError::InvalidRequest("its body can be sent once only"))
}

async fn attempt<A: Read>(
    shared: &Shared,
    request: Request,
    target: &Arc<str>,
    attempts: &Attempts,
    watch: &Watch<'_>,
) -> Result<A, FmClientError> {
    let started = Instant::now();
    let timeout = attempts.limit().map_or(Duration::MAX, |(timeout, _)| timeout);
    let transport = shared.transport()?;
    watch.sends(attempts.made() + 1);
    let under_way = UnderWay::begin(watch);
    let limits = Limits { timeout, settings: &shared.settings };
    let ended = match transport.exchange(request, target, limits).await {
        Ok(response) => A::read(response).await,
        Err(error) => Err(error),
    };
    under_way.is_over(attempts.made() + 1, started.elapsed(), ended.as_ref().err());
    ended
}

fn plan(shared: &Shared, outgoing: &Outgoing) -> Plan {
    let settings = &shared.settings;
    Plan {
        stop: stop_after_retries(settings.attempts),
        wait: exponential_backoff().min(settings.wait_min).max(settings.wait_max),
        jitter: Jitter::None,
        deadline: outgoing.deadline,
        attempt_timeout: Some(outgoing.timeout),
        seed: None,
    }
}

/// How long to wait before the next attempt, or why there is none. The upstream's own word goes before the backoff.
fn next_wait(
    attempts: &mut Attempts,
    error: &FmClientError,
    shared: &Shared,
    deadline: Option<Duration>,
) -> Result<Duration, &'static str> {
    let spent = attempts.made() >= shared.settings.attempts;
    let backoff = attempts.next_wait().ok_or(if spent { "attempts" } else { "deadline" })?;
    let Some(wait) = error.retry_after() else { return Ok(backoff) };
    if wait > shared.settings.longest_retry_after {
        return Err("retry_after");
    }
    let ends = attempts.elapsed().saturating_add(wait);
    if deadline.is_some_and(|deadline| ends >= deadline) { Err("deadline") } else { Ok(wait) }
}

/// Sent twice, these have the effect of sent once (RFC 9110 §9.2.2).
fn is_idempotent(request: &Request) -> bool {
    let (method, headers): (&Method, &HeaderMap) = (request.method(), request.headers());
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE)
        || headers.contains_key(&IDEMPOTENCY_KEY)
}
