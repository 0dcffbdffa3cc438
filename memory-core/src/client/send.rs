//! The attempt loop: what is sent again, and when.

use std::{sync::Arc, time::Duration};

use reqwest::Request;
use tokio::time::Instant;

use super::{
    Shared,
    error::FmClientError,
    repeat::Repetition,
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
    let mut request = outgoing.request;
    let repetition = Repetition::of(&request, &shared.settings, outgoing.deadline);
    loop {
        let copy = request.try_clone();
        let error = match attempt(shared, request, &outgoing.target, &attempts, watch).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        attempts.count();
        if !error.is_retryable() {
            return Err(error);
        }
        match (copy, repetition.after(&mut attempts, error.never_left(), error.retry_after())) {
            (Some(copy), Ok(wait)) => {
                watch.waits(attempts.made(), wait, &error);
                pause(wait).await;
                request = copy;
            }
            (copy, ended) => {
                watch.refuses(if copy.is_none() { "body" } else { ended.err().unwrap_or_default() }, &error);
                return Err(error);
            }
        }
    }
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
