//! The error of `get_json` and its kin: what our own caller may be told.

use std::{error::Error, fmt, time::Duration};

use reqwest::StatusCode;

use super::error::FmClientError;
use crate::{
    error::{FmError, Kind},
    retry::{Known, Retryable},
};

/// The error of [`get_json`](super::FmResilientClient::get_json) and its kin, ready to be answered by an axum handler.
///
/// | what happened | status | `detail` |
/// |---|---|---|
/// | the upstream answered 4xx or 5xx | that status | `Upstream request failed` |
/// | the upstream answered 1xx or 3xx | 502 | `Upstream request failed` |
/// | the network failed, a timeout passed, the answer is of no use | 502 | `Upstream request error` |
/// | the client is closed, or a circuit breaker, rate limit or bulkhead refused | 503 | `Service Unavailable` |
/// | the path or the request was refused | 500 | `Internal Server Error` |
///
/// Nothing of the upstream's answer is passed on. With the feature `axum` it is an
/// `IntoResponse`. Cloning is cheap. It is not retried by default: the client has done that already.
///
/// # Examples
///
/// ```
/// use memory_core::{FmClientError, FmHttpError};
///
/// let error = FmHttpError::from(FmClientError::Closed);
/// assert_eq!(error.status(), 503);
/// assert!(!error.is_network());
/// ```
#[derive(Clone)]
pub struct FmHttpError {
    status: StatusCode,
    detail: &'static str,
    cause: Cause,
}

#[derive(Clone, Debug)]
enum Cause {
    Client(FmClientError),
    Other(FmError),
}

impl FmHttpError {
    /// The status of our answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The network failed: there was no (complete) answer of the upstream.
    pub fn is_network(&self) -> bool {
        self.client_error().is_some_and(FmClientError::is_network)
    }

    /// How long the upstream asked to be left alone (`Retry-After`), or the policy that refused the request.
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.cause {
            Cause::Client(error) => error.retry_after(),
            Cause::Other(error) => error.retry_after(),
        }
    }

    /// What the client ran into, where a client did.
    pub fn client_error(&self) -> Option<&FmClientError> {
        match &self.cause {
            Cause::Client(error) => Some(error),
            Cause::Other(_) => None,
        }
    }

    fn cause(&self) -> &(dyn Error + 'static) {
        match &self.cause {
            Cause::Client(error) => error,
            Cause::Other(error) => error,
        }
    }
}

impl From<FmClientError> for FmHttpError {
    fn from(error: FmClientError) -> Self {
        let (status, detail) = match &error {
            FmClientError::Closed | FmClientError::Refused(_) => unavailable(),
            FmClientError::InvalidPath(_) | FmClientError::InvalidRequest(_) => internal(),
            FmClientError::Status(failure) => (passed_on(failure.status()), "Upstream request failed"),
            FmClientError::Request(_) | FmClientError::TooLarge(_) | FmClientError::Decode(_) => {
                (StatusCode::BAD_GATEWAY, "Upstream request error")
            }
        };
        Self { status, detail, cause: Cause::Client(error) }
    }
}

/// An error of this client inside, as the waiters of a failed run get it, is brought out again.
impl From<FmError> for FmHttpError {
    fn from(error: FmError) -> Self {
        let mut inside: Option<&(dyn Error + 'static)> = error.source();
        while let Some(cause) = inside {
            if let Some(original) = cause.downcast_ref::<Self>() {
                return original.clone();
            }
            if let Some(original) = cause.downcast_ref::<FmClientError>() {
                return original.clone().into();
            }
            inside = cause.source();
        }
        let (status, detail) = match error.kind() {
            Kind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout"),
            Kind::Closed => unavailable(),
            _ if error.is_refusal() => unavailable(),
            _ => internal(),
        };
        Self { status, detail, cause: Cause::Other(error) }
    }
}

impl From<FmHttpError> for FmError {
    fn from(error: FmHttpError) -> Self {
        let kind = match &error.cause {
            Cause::Client(FmClientError::Closed) => Kind::Closed,
            Cause::Client(FmClientError::Refused(refusal)) => return refusal.clone(),
            // Never a timeout: those are retried by default, and the client has done that already.
            Cause::Client(_) => Kind::Client,
            Cause::Other(other) => return other.clone(),
        };
        Self::with_source(kind, error.to_string(), error)
    }
}

/// 1xx and 3xx would mean something else about our own answer.
fn passed_on(status: Option<StatusCode>) -> StatusCode {
    status.filter(|status| status.as_u16() >= 400).unwrap_or(StatusCode::BAD_GATEWAY)
}

fn unavailable() -> (StatusCode, &'static str) {
    (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
}

fn internal() -> (StatusCode, &'static str) {
    (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

impl fmt::Display for FmHttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.status)
    }
}

impl fmt::Debug for FmHttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmHttpError").field("status", &self.status).field("cause", &self.cause()).finish()
    }
}

impl Error for FmHttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause())
    }
}

/// The client has retried already; once more around it would multiply the attempts.
impl Retryable for FmHttpError {
    fn is_retryable(&self) -> bool {
        false
    }
}

impl Known for FmHttpError {
    fn verdict(&self) -> Option<bool> {
        Some(false)
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for FmHttpError {
    fn into_response(self) -> axum::response::Response {
        #[derive(serde::Serialize)]
        struct Detail {
            detail: &'static str,
        }
        (self.status, axum::Json(Detail { detail: self.detail })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> FmClientError {
        FmClientError::answered("GET http://h.example/x", StatusCode::from_u16(status).unwrap(), None, None)
    }

    #[test]
    fn only_errors_of_the_upstream_are_passed_on_as_our_own_status() {
        for (upstream, ours) in [(400, 400), (404, 404), (499, 499), (503, 503), (302, 502), (304, 502), (101, 502)] {
            assert_eq!(FmHttpError::from(answered(upstream)).status(), ours);
        }
        assert_eq!(FmHttpError::from(FmClientError::Closed).status(), 503);
        assert_eq!(FmHttpError::from(FmClientError::InvalidPath("")).status(), 500);
        assert_eq!(FmHttpError::from(FmClientError::no_connection("")).status(), 502);
    }

    #[test]
    fn a_run_that_failed_for_one_gives_its_waiters_the_same_status() {
        let first = FmHttpError::from(answered(404));
        let run = FmError::with_source(Kind::Run, "the run failed", FmError::from(first));
        assert_eq!(FmHttpError::from(run).status(), 404);
        let run = FmError::with_source(Kind::Run, "the run failed", answered(503));
        assert_eq!(FmHttpError::from(run).status(), 503);
        assert_eq!(FmHttpError::from(FmError::new(Kind::Timeout, "late")).status(), 504);
        assert_eq!(FmHttpError::from(FmError::new(Kind::Backend, "down")).status(), 500);
    }

    #[test]
    fn turning_into_the_common_error_keeps_the_kind_and_the_cause() {
        assert!(FmError::from(FmHttpError::from(FmClientError::Closed)).is_closed());
        assert!(FmError::from(FmClientError::Closed).is_closed());
        assert!(FmError::from(FmClientError::no_connection("")).is_timeout());
        let error = FmError::from(answered(500));
        let cause = error.source().and_then(|source| source.downcast_ref::<FmClientError>());
        assert_eq!(cause.and_then(FmClientError::status), Some(StatusCode::INTERNAL_SERVER_ERROR));
    }
}
