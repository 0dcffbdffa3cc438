//! The retries of the client as a `tower` layer, for programs that have a client of their own.
//!
//! It stands on `reqwest::Request` and not on `http::Request`: only the former knows whether its body can be had twice,
//! a [`reqwest::Client`] is a service of it as it is, and `tower-service` and `tower-layer`, which `reqwest` needs anyway,
//! are all it takes. `reqwest-middleware` would be another crate, with a client type of its own around everything.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use reqwest::{Request, Response, Url};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    repeat::{Repeats, is_harmless},
    retry_after,
    stats::{Counters, FmClientStats, UnderWay, Watch},
    url,
};
use crate::{
    error::FmError,
    resilience::{CircuitBreaker, CircuitBreakerBuilder, is_failing, is_failure},
    retry::{RetryBudget, causes, is_retryable_error, pause},
    time::IntoDuration,
};

type BoxError = Box<dyn Error + Send + Sync>;

/// Repeats the requests of another client, by the rules of [`FmResilientClient`](super::FmResilientClient).
///
/// A layer over any service of [`reqwest::Request`], such as a [`reqwest::Client`]: what failed for now (network, timeout,
/// 5xx) is sent again where that is harmless: GET, HEAD, PUT, DELETE, OPTIONS, TRACE, a request with an
/// `Idempotency-Key`, or one for which no connection was made. `Retry-After` is obeyed. A body that can't be had twice is
/// sent once. At the end the last answer or error is given as it is. An answer counts from its headers on: a body that
/// breaks off later is not asked for again.
///
/// # Default
///
/// 3 attempts in all, with waits of 2 s to 10 s between them; a `Retry-After` of up to 300 s is waited for; no deadline. Each
/// upstream (scheme, host and port) has a [`RetryBudget`] of its own: retries of 20 % of the recent requests, and a reserve
/// of 100. No circuit breakers.
///
/// # Examples
///
/// ```no_run
/// use memory_core::{FmRetryLayer, reqwest};
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let client = reqwest::Client::new();
/// let request = client.get("http://api.example.com:8080/data").build()?;
/// let mut client = FmRetryLayer::new().attempts(5).deadline(20).layer(client);
/// let answer = client.call(request).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct FmRetryLayer {
    repeats: Repeats,
    upstreams: Arc<Upstreams>,
    counters: Arc<Counters>,
}

/// What is known of each upstream, so that one which is down takes nothing from the others.
#[derive(Default)]
struct Upstreams {
    by_origin: Mutex<HashMap<String, Upstream>>,
    /// What their breakers are like.
    breaker: Option<CircuitBreaker>,
}

#[derive(Clone, Default)]
struct Upstream {
    budget: RetryBudget,
    breaker: Option<CircuitBreaker>,
}

/// Those that come after these many share one budget and have no breaker, for who calls whatever his users say must not fill
/// the memory.
const MOST_UPSTREAMS: usize = 1_000;

impl Upstreams {
    fn of(&self, url: &Url) -> Upstream {
        let mut upstreams = self.by_origin.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = upstreams.len() >= MOST_UPSTREAMS;
        let origin = url.origin().ascii_serialization();
        if is_full && !upstreams.contains_key(&origin) {
            return upstreams.entry(String::new()).or_default().clone();
        }
        let anew =
            || Upstream { budget: RetryBudget::default(), breaker: self.breaker.as_ref().map(CircuitBreaker::anew) };
        upstreams.entry(origin).or_insert_with(anew).clone()
    }
}

/// What [`FmRetryLayer`] makes of a service.
#[derive(Clone)]
pub struct FmRetryService<S> {
    inner: S,
    layer: FmRetryLayer,
}

impl FmRetryLayer {
    /// A layer with the [default](Self#default) settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many times a request is sent at most, the first time included; 0 counts as 1. 3 by default.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.repeats.attempts = attempts.max(1);
        self
    }

    /// The shortest and the longest wait between attempts. 2 s and 10 s by default; a negative time or NaN counts as 0.
    #[must_use]
    pub fn waits(mut self, min: impl IntoDuration, max: impl IntoDuration) -> Self {
        self.repeats.wait_min = min.into_duration().unwrap_or_default();
        self.repeats.wait_max = max.into_duration().unwrap_or_default();
        self
    }

    /// The longest `Retry-After` that is waited for. 300 s by default; a negative time or NaN counts as 0.
    #[must_use]
    pub fn max_retry_after(mut self, wait: impl IntoDuration) -> Self {
        self.repeats.longest_retry_after = wait.into_duration().unwrap_or_default();
        self
    }

    /// How long attempts, waits and the body may take in all. None by default; a negative time or NaN counts as 0.
    #[must_use]
    pub fn deadline(mut self, deadline: impl IntoDuration) -> Self {
        self.repeats.deadline = Some(deadline.into_duration().unwrap_or_default());
        self
    }

    /// Sends nothing to an upstream (scheme, host and port) whose requests fail: each has a circuit breaker of its own with these
    /// settings. An answer of 5xx, 408 or 429 counts as a failure, as does an error of the network. What is refused is an
    /// [`FmError`] that [`is_circuit_open`](FmError::is_circuit_open), and is not repeated.
    ///
    /// # Errors
    ///
    /// As [`CircuitBreakerBuilder::build`].
    ///
    /// # Examples
    ///
    /// ```
    /// use memory_core::{CircuitBreaker, FmRetryLayer};
    ///
    /// # fn main() -> Result<(), memory_core::FmError> {
    /// let breaker = CircuitBreaker::builder().failure_rate(0.5).open_for(10).name("upstreams");
    /// let layer = FmRetryLayer::new().circuit_breakers(breaker)?;
    /// # Ok(()) }
    /// ```
    pub fn circuit_breakers(mut self, settings: CircuitBreakerBuilder) -> Result<Self, FmError> {
        let breaker = Some(settings.build()?);
        self.upstreams = Arc::new(Upstreams { breaker, ..Upstreams::default() });
        Ok(self)
    }

    /// What the services of this layer and of its clones have done so far. An answer of status 5xx is a success here: it
    /// is given as it is.
    pub fn stats(&self) -> FmClientStats {
        self.counters.snapshot()
    }

    async fn run<S>(self, mut inner: S, mut request: Request) -> Result<Response, BoxError>
    where
        S: Service<Request, Response = Response>,
        S::Error: Into<BoxError>,
    {
        let target = format!("{} {}", request.method(), url::shown(request.url()));
        let watch = Watch::begin(&self.counters, &target);
        let Upstream { budget, breaker } = self.upstreams.of(request.url());
        let mut attempts = self.repeats.begin(budget);
        let harmless = is_harmless(&request);
        loop {
            let copy = request.try_clone();
            if let Some(left) = attempts.left() {
                let timeout = request.timeout().map_or(left, |timeout| left.min(*timeout));
                *request.timeout_mut() = Some(timeout);
            }
            let admission = match breaker.as_ref().map(CircuitBreaker::enter).transpose() {
                Ok(admission) => admission,
                Err(refusal) => {
                    watch.end(false);
                    return Err(refusal.into());
                }
            };
            watch.sends(attempts.made() + 1);
            let (under_way, began) = (UnderWay::begin(&watch), Instant::now());
            let outcome = inner.call(request).await.map_err(Into::into);
            attempts.count();
            if let Some(admission) = admission {
                admission.settle(speaks_against_upstream(&outcome));
            }
            let failure = Failure::of(&outcome);
            let status = outcome.as_ref().ok().map(|answer| answer.status().as_u16());
            let name = failure.as_ref().map_or("answer", |failure| failure.name);
            under_way.is_over(attempts.made(), began.elapsed(), name, status);
            drop(under_way);
            let next = failure.map(|failure| match copy {
                None => Err("body"),
                Some(_) if !harmless && !failure.never_left => Err("method"),
                Some(copy) => attempts.wait_or_why(failure.retry_after).map(|wait| (copy, wait)),
            });
            let (copy, wait) = match next {
                Some(Ok(next)) => next,
                ended => {
                    if let Some(Err(why)) = ended {
                        watch.refuses(why, None);
                    }
                    watch.end(outcome.is_ok());
                    return outcome;
                }
            };
            watch.waits(attempts.made(), wait, None);
            // The connection of an answer that is not wanted is not kept waiting.
            drop(outcome);
            pause(wait).await;
            request = copy;
            if let Err(error) = poll_fn(|context| inner.poll_ready(context)).await {
                watch.end(false);
                return Err(error.into());
            }
        }
    }
}

fn speaks_against_upstream(outcome: &Result<Response, BoxError>) -> bool {
    match outcome {
        Ok(answer) => is_failing(answer.status().as_u16()),
        Err(error) => is_failure(&**error),
    }
}

/// An attempt that may fare better later.
struct Failure {
    name: &'static str,
    never_left: bool,
    retry_after: Option<Duration>,
}

impl Failure {
    fn of(outcome: &Result<Response, BoxError>) -> Option<Self> {
        match outcome {
            Ok(answer) if answer.status().is_server_error() => {
                Some(Self { name: "status", never_left: false, retry_after: retry_after::read(answer.headers()) })
            }
            Ok(_) => None,
            Err(error) => is_retryable_error(&**error).then(|| Self::network(&**error)),
        }
    }

    fn network(error: &(dyn Error + 'static)) -> Self {
        let cause = || causes(error).filter_map(|cause| cause.downcast_ref::<reqwest::Error>());
        Self {
            name: if cause().any(reqwest::Error::is_timeout) { "timeout" } else { "network" },
            never_left: cause().any(reqwest::Error::is_connect),
            retry_after: None,
        }
    }
}

impl<S> Layer<S> for FmRetryLayer {
    type Service = FmRetryService<S>;

    fn layer(&self, inner: S) -> FmRetryService<S> {
        FmRetryService { inner, layer: self.clone() }
    }
}

impl<S> Service<Request> for FmRetryService<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that was polled ready is the one that is called.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        Box::pin(self.layer.clone().run(ready, request))
    }
}

impl fmt::Debug for FmRetryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repeats.fmt(f)
    }
}

impl<S> fmt::Debug for FmRetryService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmRetryService").field("layer", &self.layer).finish_non_exhaustive()
    }
}
