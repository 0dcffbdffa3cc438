//! The settings of a client, collected and checked.

use std::{fmt, time::Duration};

use super::{FmResilientClient, url::BaseUrl};
use crate::{
    error::{FmError, Kind},
    retry::RetryBudget,
    time::IntoDuration,
};

/// Collects the settings of a [`FmResilientClient`]; what is wrong with them is said by [`build`](Self::build).
///
/// Times are whole seconds, fractional seconds or a [`Duration`].
///
/// # Default
///
/// A timeout of 30 s for each attempt; 3 attempts in all, with waits of 2 s to 10 s between them; 100 connections, 20 of
/// which are kept open while idle; certificates are verified; answers of up to 10 MiB; a `Retry-After` of up to 300 s is
/// waited for; no redirects; retries of 20 % of the recent requests at most, and a reserve of 100.
///
/// # Examples
///
/// ```
/// # use memory_core::{FmError, FmResilientClient};
/// # fn main() -> Result<(), FmError> {
/// let upstream = FmResilientClient::builder()
///     .base_url("http://api.example.com:8080")
///     .timeout(30)
///     .retry_attempts(5)
///     .retry_wait_min(1)
///     .retry_wait_max(30)
///     .max_connections(20)
///     .max_keepalive_connections(10)
///     .verify(true)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct FmResilientClientBuilder {
    settings: Settings,
    base_url: String,
    /// The first argument that was refused.
    refused: Option<FmError>,
}

/// What a client does, apart from where it sends to.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) attempts: u32,
    pub(crate) wait_min: Duration,
    pub(crate) wait_max: Duration,
    pub(crate) longest_retry_after: Duration,
    pub(crate) connections: usize,
    pub(crate) idle_connections: usize,
    pub(crate) verify: bool,
    pub(crate) body_limit: u64,
    pub(crate) redirects: usize,
    /// `None`: a budget of its own for each client.
    pub(crate) budget: Option<RetryBudget>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            attempts: 3,
            wait_min: Duration::from_secs(2),
            wait_max: Duration::from_secs(10),
            longest_retry_after: Duration::from_secs(300),
            connections: 100,
            idle_connections: 20,
            verify: true,
            body_limit: 10 << 20,
            redirects: 0,
            budget: None,
        }
    }
}

impl FmResilientClientBuilder {
    pub(crate) fn new() -> Self {
        Self { settings: Settings::default(), base_url: String::new(), refused: None }
    }

    /// Where all requests go: `http://` or `https://`, a host, and perhaps a port and a path. Required.
    ///
    /// User and password in it are sent as basic authentication, and never shown.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// How long one attempt may take, from waiting for a connection to the last byte of the body. 30 s by default.
    pub fn timeout(self, timeout: impl IntoDuration) -> Self {
        self.length(timeout, |settings, timeout| settings.timeout = timeout)
    }

    /// How many times a request is sent at most, the first time included; 0 counts as 1. 3 by default.
    ///
    /// Only GET, HEAD, PUT, DELETE and OPTIONS are sent again, and requests with an idempotency key.
    pub fn retry_attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts = attempts.max(1);
        self
    }

    /// The shortest wait between attempts; beats [`retry_wait_max`](Self::retry_wait_max). 2 s by default.
    pub fn retry_wait_min(self, wait: impl IntoDuration) -> Self {
        self.length(wait, |settings, wait| settings.wait_min = wait)
    }

    /// The longest wait between attempts. 10 s by default.
    pub fn retry_wait_max(self, wait: impl IntoDuration) -> Self {
        self.length(wait, |settings, wait| settings.wait_max = wait)
    }

    /// What the retries are paid from. By default each client has a [`RetryBudget`] of its own: retries of 20 % of the
    /// recent requests, and a reserve of 100; clones of a budget are one.
    pub fn retry_budget(mut self, budget: impl Into<RetryBudget>) -> Self {
        self.settings.budget = Some(budget.into());
        self
    }

    /// The longest `Retry-After` that is waited for; beyond it the error comes at once. 300 s by default.
    pub fn max_retry_after(self, wait: impl IntoDuration) -> Self {
        self.length(wait, |settings, wait| settings.longest_retry_after = wait)
    }

    /// How many requests are under way at once; the others wait their turn, within their timeout. 100 by default.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.connections = connections;
        self
    }

    /// How many idle connections are kept open for the next request. 20 by default.
    pub fn max_keepalive_connections(mut self, connections: usize) -> Self {
        self.settings.idle_connections = connections;
        self
    }

    /// Whether the upstream's certificate is checked, against those the operating system trusts. `true` by default.
    ///
    /// With `false` anybody on the way can read and change what is sent.
    pub fn verify(mut self, verify: bool) -> Self {
        self.settings.verify = verify;
        self
    }

    /// The longest body that is read, in bytes after decompression. 10 MiB by default.
    pub fn max_body_bytes(mut self, bytes: u64) -> Self {
        self.settings.body_limit = bytes;
        self
    }

    /// How many redirects in a row are followed, if they stay on the upstream (same scheme, host and port). 0 by default.
    ///
    /// A redirect that is not followed is an error with its status; too many in a row are an error that is not retried.
    pub fn max_redirects(mut self, redirects: usize) -> Self {
        self.settings.redirects = redirects;
        self
    }

    /// Makes the client, ready for use. Does no I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// [`is_config`](FmError::is_config): no usable base URL, a negative time, no connections allowed; for an `https://`
    /// URL also when the operating system's certificates can't be loaded.
    pub fn build(self) -> Result<FmResilientClient, FmError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        if self.settings.connections == 0 {
            return Err(FmError::new(Kind::Config, "`max_connections(0)` lets no request through"));
        }
        FmResilientClient::open(BaseUrl::parse(&self.base_url)?, self.settings)
    }

    fn length(mut self, length: impl IntoDuration, set: impl FnOnce(&mut Settings, Duration)) -> Self {
        match length.into_duration() {
            Ok(length) => set(&mut self.settings, length),
            Err(error) => self.refused = self.refused.or(Some(error)),
        }
        self
    }
}

/// The base URL is left out, for it may hold credentials.
impl fmt::Debug for FmResilientClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmResilientClientBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
