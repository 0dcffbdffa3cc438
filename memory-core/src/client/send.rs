//! The attempt loop: what is sent again, and when.

use std::{sync::Arc, time::Duration};

use reqwest::Request;
use tokio::time::Instant;

use super::{
    Shared,
    error::FmClientError,
    repeat::{Repeats, is_harmless},
    response::sealed::Read,
    stats::{UnderWay, Watch},
    transport::Limits,
};
use crate::retry::pause;

/// A request as it goes out, as often as needed.
pub(crate) struct Outgoing {
    /// Sent once, if its body can't be had twice.
    pub(crate) request: Request,
    /// How long each attempt may take.
    pub(crate) timeout: Duration,
    /// How long all of them may.
    pub(crate) deadline: Option<Duration>,
    /// How often it is sent at most.
    pub(crate) attempts: u32,
    /// Method and URL as errors show them.
    pub(crate) target: Arc<str>,
}

/// Sends until there is an answer, an error that stays, or no attempt left.
pub(crate) async fn send<A: Read>(shared: &Shared, outgoing: Outgoing) -> Result<A, FmClientError> {
    let target = Arc::clone(&outgoing.target);
    let watch = Watch::begin(&shared.counters, &target);
    let ended = attempts(shared, outgoing, &watch).await;
    watch.end(ended.as_ref().is_ok_and(A::is_success));
    ended
}

async fn attempts<A: Read>(shared: &Shared, outgoing: Outgoing, watch: &Watch<'_>) -> Result<A, FmClientError> {
    let Outgoing { attempts, deadline, .. } = outgoing;
    let repeats = Repeats { attempts, deadline, ..shared.settings.repeats };
    let mut attempts = repeats.begin(shared.budget.clone());
    let mut request = outgoing.request;
    let harmless = is_harmless(&request);
    loop {
        let copy = request.try_clone();
        let timeout = attempts.left().map_or(outgoing.timeout, |left| left.min(outgoing.timeout));
        let error = match attempt(shared, request, &outgoing.target, timeout, attempts.made() + 1, watch).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        attempts.count();
        if !error.is_retryable() {
            return Err(error);
        }
        let next = match copy {
            None => Err("body"),
            Some(_) if !harmless && !error.never_left() => Err("method"),
            Some(copy) => attempts.wait_or_why(error.retry_after()).map(|wait| (copy, wait)),
        };
        match next {
            Ok((copy, wait)) => {
                watch.waits(attempts.made(), wait, Some(&error));
                pause(wait).await;
                request = copy;
            }
            Err(why) => {
                watch.refuses(why, Some(&error));
                return Err(error);
            }
        }
    }
}

async fn attempt<A: Read>(
    shared: &Shared,
    request: Request,
    target: &Arc<str>,
    timeout: Duration,
    number: u32,
    watch: &Watch<'_>,
) -> Result<A, FmClientError> {
    let sent = || async {
        let started = Instant::now();
        let transport = shared.transport()?;
        watch.sends(number);
        let under_way = UnderWay::begin(watch);
        let limits = Limits { timeout, settings: &shared.settings, takes: A::takes };
        let ended = match transport.exchange(request, target, limits).await {
            Ok(response) => A::read(response).await,
            Err(error) => Err(error),
        };
        let error = ended.as_ref().err();
        let status = error.and_then(FmClientError::status).map(|status| status.as_u16());
        under_way.is_over(number, started.elapsed(), error.map_or("answer", FmClientError::name), status);
        ended
    };
    let refused = |error| FmClientError::by_policy(target, error);
    shared.settings.guards.run(sent, FmClientError::is_failure, refused).await
}
