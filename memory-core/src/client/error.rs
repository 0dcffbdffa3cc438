//! Why a request failed.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use reqwest::StatusCode;

use crate::{
    error::{FmError, Kind},
    resilience::is_failing,
    retry::{Known, Retryable, causes, refused_certificate},
};

/// Why a request of [`FmResilientClient`](super::FmResilientClient) failed: the cause itself.
///
/// Cloning is one reference count. Neither `Display` nor `Debug` nor any [`source`](Error::source) prints query strings,
/// credentials, headers or bodies; method, host and path are named. Where the network failed or the upstream answered
/// 4xx or 5xx, `source()` is the [`reqwest::Error`] (without its URL).
///
/// # Examples
///
/// ```
/// # use memory_core::FmClientError;
/// fn explain(error: &FmClientError) -> String {
///     match error {
///         FmClientError::Closed => "shutting down".into(),
///         FmClientError::Status(failure) => format!("the upstream said {:?}", failure.status()),
///         other if other.is_network() => format!("unreachable: {other}"),
///         other => other.to_string(),
///     }
/// }
///
/// assert_eq!(explain(&FmClientError::Closed), "shutting down");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FmClientError {
    /// The client was closed with [`aclose`](super::FmResilientClient::aclose).
    Closed,
    /// The path would leave the base URL, or could be read so; nothing was sent. Says what is wrong with it.
    InvalidPath(&'static str),
    /// A header, the body or the query parameters can't be sent; nothing was sent. Says which.
    InvalidRequest(&'static str),
    /// The upstream answered with another status than 2xx.
    Status(FmFailure),
    /// No answer: the upstream could not be reached, broke off, or took longer than the timeout.
    Request(FmFailure),
    /// The decoded body is longer than the limit, and was cut.
    TooLarge(FmFailure),
    /// The body can't be decompressed, or is not what was asked for.
    Decode(FmFailure),
    /// The client's circuit breaker, rate limit or bulkhead let nothing through; nothing was sent. Says which.
    Refused(FmError),
}

/// What is known about a request that was sent and failed.
///
/// # Examples
///
/// ```
/// # use memory_core::FmClientError;
/// # use std::time::Duration;
/// fn wait(error: &FmClientError) -> Option<Duration> {
///     match error {
///         FmClientError::Status(failure) if failure.status().is_some_and(|status| status == 503) => failure.retry_after(),
///         _ => None,
///     }
/// }
/// # assert_eq!(wait(&FmClientError::Closed), None);
/// ```
#[derive(Clone)]
pub struct FmFailure {
    inner: Arc<Inner>,
}

struct Inner {
    /// Method and URL, without credentials and query.
    target: String,
    what: String,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    cause: Option<Cause>,
}

enum Cause {
    Http(reqwest::Error),
    Io(std::io::Error),
}

impl FmClientError {
    /// The status that the upstream answered, if that is what failed.
    pub fn status(&self) -> Option<StatusCode> {
        self.failure().and_then(FmFailure::status)
    }

    /// How long the upstream asked to be left alone (`Retry-After`), where it did.
    ///
    /// A delay beyond the client's bound is not waited for: the error comes at once and carries it here.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after(),
            _ => self.failure().and_then(FmFailure::retry_after),
        }
    }

    /// The client's circuit breaker is open: nothing was sent.
    pub fn is_circuit_open(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_circuit_open())
    }

    /// The network failed: there was no (complete) answer.
    pub fn is_network(&self) -> bool {
        matches!(self, Self::Request(_))
    }

    /// The timeout passed before the answer was complete.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Request(failure) if failure.inner.cause.as_ref().is_some_and(Cause::is_timeout))
    }

    /// The client was closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Whether the same request may fare better later: the network failed (but not because a certificate was not accepted), or
    /// the upstream answered 5xx.
    ///
    /// Whether it may be *sent* again is another question, which the method and the idempotency key answer.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Request(failure) => failure.inner.cause.as_ref().is_none_or(Cause::is_passing),
            Self::Status(failure) => failure.status().is_some_and(|status| status.is_server_error()),
            _ => false,
        }
    }

    /// Whether it tells a circuit breaker that the upstream is unwell: it is no mistake of the caller's.
    pub(crate) fn is_failure(&self) -> bool {
        match self.status() {
            Some(status) => is_failing(status.as_u16()),
            None => !matches!(self, Self::Closed | Self::InvalidPath(_) | Self::InvalidRequest(_) | Self::Refused(_)),
        }
    }

    /// The upstream has surely not seen the request: no connection was made, so that any method may be sent again.
    pub(crate) fn never_left(&self) -> bool {
        matches!(self, Self::Request(failure) if failure.inner.cause.as_ref().is_some_and(Cause::never_left))
    }

    /// What failed, as events name it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::InvalidPath(_) | Self::InvalidRequest(_) => "invalid",
            Self::Status(_) => "status",
            Self::Request(_) if self.is_timeout() => "timeout",
            Self::Request(_) => "network",
            Self::TooLarge(_) => "too_large",
            Self::Decode(_) => "undecodable",
            Self::Refused(_) => "refused",
        }
    }

    fn failure(&self) -> Option<&FmFailure> {
        match self {
            Self::Closed | Self::InvalidPath(_) | Self::InvalidRequest(_) | Self::Refused(_) => None,
            Self::Status(failure) | Self::Request(failure) | Self::TooLarge(failure) | Self::Decode(failure) => {
                Some(failure)
            }
        }
    }
}

impl FmFailure {
    /// The status that the upstream answered, if that is what failed.
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// How long the upstream asked to be left alone (`Retry-After`), where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    fn new(target: &str, what: impl Into<String>, cause: Option<Cause>) -> Self {
        let inner = Inner { target: target.to_owned(), what: what.into(), status: None, retry_after: None, cause };
        Self { inner: Arc::new(inner) }
    }
}

/// How the transport reports; `target` is method and URL, without credentials and query.
impl FmClientError {
    pub(crate) fn answered(
        target: &str,
        status: StatusCode,
        wait: Option<Duration>,
        error: Option<reqwest::Error>,
    ) -> Self {
        let inner = Inner {
            target: target.to_owned(),
            what: format!("the upstream answered {status}"),
            status: Some(status),
            retry_after: wait,
            cause: error.map(|error| Cause::Http(error.without_url())),
        };
        Self::Status(FmFailure { inner: Arc::new(inner) })
    }

    pub(crate) fn transport(target: &str, error: reqwest::Error) -> Self {
        let cause = Cause::Http(error.without_url());
        if cause.is_undecodable() {
            return Self::Decode(FmFailure::new(target, "the body can't be decompressed", Some(cause)));
        }
        let what = match cause.refused_certificate() {
            Some(why) => format!(
                "the upstream's certificate is not accepted ({why}); \
                 `add_root_certificate` names an authority that this machine does not know"
            ),
            None if cause.is_timeout() => "no complete answer within the timeout".to_owned(),
            None => "the request failed".to_owned(),
        };
        Self::Request(FmFailure::new(target, what, Some(cause)))
    }

    pub(crate) fn no_connection(target: &str) -> Self {
        let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "all connections are in use");
        Self::Request(FmFailure::new(target, "no connection became free within the timeout", Some(Cause::Io(error))))
    }

    /// A policy refused the attempt, or `Chaos` put a fault in its place.
    pub(crate) fn by_policy(target: &str, error: FmError) -> Self {
        if error.is_refusal() {
            return Self::Refused(error);
        }
        let cause = Cause::Io(std::io::ErrorKind::ConnectionReset.into());
        Self::Request(FmFailure::new(target, error.to_string(), Some(cause)))
    }

    pub(crate) fn too_large(target: &str, limit: u64) -> Self {
        Self::TooLarge(FmFailure::new(target, format!("the decoded body is longer than {limit} bytes"), None))
    }

    pub(crate) fn undecodable(target: &str, unfit: super::body::Unfit) -> Self {
        Self::Decode(FmFailure::new(target, unfit.to_string(), None))
    }
}

impl Cause {
    fn is_timeout(&self) -> bool {
        match self {
            Self::Http(error) => error.is_timeout(),
            Self::Io(error) => error.kind() == std::io::ErrorKind::TimedOut,
        }
    }

    /// A body that broke off and one that is no gzip are both `is_decode`; only the former failed in the protocol below.
    fn is_undecodable(&self) -> bool {
        match self {
            Self::Http(error) => error.is_decode() && !error.is_timeout() && !broke_off(error),
            Self::Io(_) => false,
        }
    }

    fn is_passing(&self) -> bool {
        match self {
            Self::Http(error) => {
                !(error.is_builder()
                    || error.is_redirect()
                    || error.is_upgrade()
                    || self.refused_certificate().is_some())
            }
            Self::Io(_) => true,
        }
    }

    fn refused_certificate(&self) -> Option<&rustls::Error> {
        match self {
            Self::Http(error) => refused_certificate(error),
            Self::Io(_) => None,
        }
    }

    /// No connection was made, or none became free.
    fn never_left(&self) -> bool {
        match self {
            Self::Http(error) => error.is_connect(),
            Self::Io(error) => error.kind() == std::io::ErrorKind::TimedOut,
        }
    }

    fn as_error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Http(error) => error,
            Self::Io(error) => error,
        }
    }
}

fn broke_off(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.is::<hyper::Error>())
}

impl fmt::Display for FmClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the client is closed"),
            Self::InvalidPath(why) => write!(f, "the path is refused: {why}"),
            Self::InvalidRequest(why) => write!(f, "the request can't be sent: {why}"),
            Self::Refused(refusal) => fmt::Display::fmt(refusal, f),
            Self::Status(failure) | Self::Request(failure) | Self::TooLarge(failure) | Self::Decode(failure) => {
                fmt::Display::fmt(failure, f)
            }
        }
    }
}

/// Method, host and path, and what went wrong.
impl fmt::Display for FmFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.inner.target, self.inner.what)
    }
}

impl Error for FmClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failure()?.inner.cause.as_ref().map(Cause::as_error)
    }
}

impl Retryable for FmClientError {
    fn is_retryable(&self) -> bool {
        Self::is_retryable(self)
    }
}

impl Known for FmClientError {
    fn verdict(&self) -> Option<bool> {
        Some(self.is_retryable())
    }

    fn delay(&self) -> Option<Duration> {
        self.retry_after()
    }
}

impl fmt::Debug for FmFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("FmFailure");
        out.field("target", &self.inner.target).field("what", &self.inner.what);
        if let Some(wait) = self.inner.retry_after {
            out.field("retry_after", &wait);
        }
        if let Some(cause) = &self.inner.cause {
            out.field("cause", &cause.as_error());
        }
        out.finish()
    }
}

impl From<FmClientError> for FmError {
    fn from(error: FmClientError) -> Self {
        let kind = match &error {
            FmClientError::Refused(refusal) => return refusal.clone(),
            FmClientError::Closed => Kind::Closed,
            timeout if timeout.is_timeout() => Kind::Timeout,
            _ => Kind::Client,
        };
        Self::with_source(kind, error.to_string(), error)
    }
}
