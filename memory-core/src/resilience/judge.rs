//! Which errors tell a circuit breaker that the upstream is unwell.

use std::error::Error;

use crate::{
    error::{FmError, Kind},
    retry::classify::{chain, find, status_of},
};

/// Every error but the caller's own mistakes: HTTP 4xx (without 408 and 429) and what was never sent.
pub(crate) fn is_failure(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "client")]
    if let Some(error) = chain(error).find_map(find::<crate::client::FmClientError>) {
        return error.is_failure();
    }
    match status_of(error) {
        Some(status) => is_failing(status),
        None => !chain(error).any(is_callers_mistake),
    }
}

/// Whether an answer of this HTTP status tells that the upstream is unwell.
pub(crate) fn is_failing(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 429)
}

fn is_callers_mistake(error: &(dyn Error + 'static)) -> bool {
    find::<FmError>(error).is_some_and(|error| error.kind() == Kind::Config)
}
