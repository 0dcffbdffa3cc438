//! The settings of a client, collected and checked.

use std::{fmt, time::Duration};

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use rustls::pki_types::CertificateDer;

use super::{FmResilientClient, auth, repeat::Repeats, tls, url::BaseUrl};
use crate::{
    error::{FmError, Kind},
    resilience::{Bulkhead, CircuitBreaker, Guards, RateLimiter},
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
/// waited for; no redirects, no cookies, no proxy; no deadline over all attempts; retries of 20 % of the recent requests at
/// most, and a reserve of 100.
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
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) repeats: Repeats,
    pub(crate) connections: usize,
    pub(crate) idle_connections: usize,
    pub(crate) verify: bool,
    pub(crate) body_limit: u64,
    pub(crate) redirects: usize,
    pub(crate) deadline_header: Option<HeaderName>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) headers: HeaderMap,
    pub(crate) user_agent: HeaderValue,
    pub(crate) http2_only: bool,
    pub(crate) proxy: Option<Url>,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// `None`: a budget of its own for each client.
    pub(crate) budget: Option<RetryBudget>,
    #[cfg(feature = "axum")]
    pub(crate) http_cache: Option<crate::http::FmHttpCache>,
    /// Around each attempt.
    pub(crate) guards: Guards,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            repeats: Repeats::default(),
            connections: 100,
            idle_connections: 20,
            verify: true,
            body_limit: 10 << 20,
            redirects: 0,
            deadline_header: None,
            connect_timeout: None,
            headers: HeaderMap::new(),
            user_agent: HeaderValue::from_static(concat!("memory-core/", env!("CARGO_PKG_VERSION"))),
            http2_only: false,
            proxy: None,
            certificates: Vec::new(),
            budget: None,
            #[cfg(feature = "axum")]
            http_cache: None,
            guards: Guards::default(),
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

    /// How long a request may take in all: attempts, the waits between them and the body. None by default.
    ///
    /// A wait that would pass it is not begun: the last error comes at once, with the delay that the upstream asked for
    /// in it.
    pub fn deadline(self, deadline: impl IntoDuration) -> Self {
        self.length(deadline, |settings, deadline| settings.repeats.deadline = Some(deadline))
    }

    /// Sends how many milliseconds are left for an attempt in this header, so that the upstream can give up as well. By
    /// default nothing is sent.
    pub fn deadline_header(mut self, name: impl TryInto<HeaderName>) -> Self {
        match name.try_into() {
            Ok(name) => self.settings.deadline_header = Some(name),
            Err(_) => self.refuse("the name of the deadline's header is no header name"),
        }
        self
    }

    /// How long making a connection may take, within the timeout. By default as long as the timeout.
    pub fn connect_timeout(self, timeout: impl IntoDuration) -> Self {
        self.length(timeout, |settings, timeout| settings.connect_timeout = Some(timeout))
    }

    /// Sends a header with every request, unless the request sets it itself. Its value is never shown.
    pub fn default_header<K, V>(mut self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => self.secret_header(name, value),
            _ => self.refuse("a default header has characters that no header has"),
        }
        self
    }

    /// Sends `Authorization: Bearer <token>` with every request, unless the request sets its own. Never shown, and never
    /// sent to another origin.
    pub fn bearer_auth(mut self, token: impl AsRef<str>) -> Self {
        match auth::bearer(token.as_ref()) {
            Some(value) => self.secret_header(AUTHORIZATION, value),
            None => self.refuse("the bearer token has characters that no header has"),
        }
        self
    }

    /// Sends user and password as basic authentication (RFC 7617) with every request, unless the request sets its own.
    /// Beats what the base URL says. Never shown, and never sent to another origin.
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        match auth::basic(user.as_ref(), password.as_ref()) {
            Some(value) => self.secret_header(AUTHORIZATION, value),
            None => self.refuse("the user of a basic authentication has a colon or a control character"),
        }
        self
    }

    /// What the client calls itself. `memory-core/<version>` by default.
    pub fn user_agent(mut self, name: impl TryInto<HeaderValue>) -> Self {
        match name.try_into() {
            Ok(name) => self.settings.user_agent = name,
            Err(_) => self.refuse("the user agent has characters that no header has"),
        }
        self
    }

    /// Speaks nothing but HTTP/2, also without TLS (prior knowledge, RFC 9113 §3.3). By default an upstream behind TLS
    /// chooses between HTTP/2 and HTTP/1.1, and any other one is spoken to in HTTP/1.1.
    pub fn http2_prior_knowledge(mut self) -> Self {
        self.settings.http2_only = true;
        self
    }

    /// Sends all requests through this HTTP proxy: `http://` or `https://`, with user and password where it asks for
    /// them. None by default; those of the environment are not used.
    pub fn proxy(mut self, url: impl AsRef<str>) -> Self {
        match Url::parse(url.as_ref()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => self.settings.proxy = Some(url),
            // The parser's error is not passed on: the text may hold credentials.
            _ => self.refuse("the proxy is no `http://` or `https://` URL"),
        }
        self
    }

    /// Trusts these certificates as well, as a private authority needs: a PEM file with any number of them, or a DER file
    /// with one.
    pub fn add_root_certificate(mut self, file: impl AsRef<[u8]>) -> Self {
        match tls::certificates(file.as_ref()) {
            Some(found) => self.settings.certificates.extend(found),
            None => self.refuse("a root certificate is neither PEM nor DER"),
        }
        self
    }

    /// How many times a request is sent at most, the first time included; 0 counts as 1. 3 by default.
    ///
    /// Only GET, HEAD, PUT, DELETE and OPTIONS are sent again, requests with an idempotency key, and those that never left
    /// because no connection was made.
    pub fn retry_attempts(mut self, attempts: u32) -> Self {
        self.settings.repeats.attempts = attempts.max(1);
        self
    }

    /// The shortest wait between attempts; beats [`retry_wait_max`](Self::retry_wait_max). 2 s by default.
    pub fn retry_wait_min(self, wait: impl IntoDuration) -> Self {
        self.length(wait, |settings, wait| settings.repeats.wait_min = wait)
    }

    /// The longest wait between attempts. 10 s by default.
    pub fn retry_wait_max(self, wait: impl IntoDuration) -> Self {
        self.length(wait, |settings, wait| settings.repeats.wait_max = wait)
    }

    /// What the retries are paid from. By default each client has a [`RetryBudget`] of its own: retries of 20 % of the
    /// recent requests, and a reserve of 100; clones of a budget are one.
    pub fn retry_budget(mut self, budget: impl Into<RetryBudget>) -> Self {
        self.settings.budget = Some(budget.into());
        self
    }

    /// Sends nothing while this breaker is open: the error is then [`FmClientError::Refused`], and not retried. Network
    /// failures, timeouts and the statuses 5xx, 408 and 429 count as failures. None by default.
    ///
    /// A client calls one upstream; where several clients call the same one, give them clones of one breaker. A function
    /// with `#[memorize(stale_if_error = ..)]` over the client answers with what it has while the breaker is open.
    ///
    /// [`FmClientError::Refused`]: super::FmClientError::Refused
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::{CircuitBreaker, FmError, FmResilientClient};
    /// # fn main() -> Result<(), FmError> {
    /// let breaker = CircuitBreaker::builder().failure_rate(0.5).open_for(10).name("payments").build()?;
    /// let client = FmResilientClient::builder().base_url("http://payments:8080").circuit_breaker(&breaker).build()?;
    /// breaker.force_open();
    /// # drop(client); Ok(()) }
    /// ```
    pub fn circuit_breaker(mut self, breaker: impl Into<CircuitBreaker>) -> Self {
        self.settings.guards.breaker = Some(breaker.into());
        self
    }

    /// Each attempt takes a token of this limiter, before its timeout begins. None by default.
    pub fn rate_limit(mut self, limiter: impl Into<RateLimiter>) -> Self {
        self.settings.guards.limiter = Some(limiter.into());
        self
    }

    /// Each attempt takes room in this bulkhead, before its timeout begins. None by default.
    pub fn bulkhead(mut self, bulkhead: impl Into<Bulkhead>) -> Self {
        self.settings.guards.bulkhead = Some(bulkhead.into());
        self
    }

    /// The longest `Retry-After` that is waited for; beyond it the error comes at once. 300 s by default.
    pub fn max_retry_after(self, wait: impl IntoDuration) -> Self {
        self.length(wait, |settings, wait| settings.repeats.longest_retry_after = wait)
    }

    /// How many requests are under way at once; the others wait their turn, within their timeout. 100 by default.
    ///
    /// That bounds the connections that are in use. One that was used a moment ago may still be on its way back when the
    /// next request opens another one, so that for a moment there are more of them.
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

    /// Answers what is stored and still good without asking the upstream: a private HTTP cache (RFC 9111), as the upstream's
    /// `Cache-Control` allows. None by default. Needs the feature `axum`.
    ///
    /// GET and HEAD without a body are answered from it; only 2xx become answers here as well, so a stored 404 is the same error
    /// again. `X-Fm-Cache` and `Cache-Status` (RFC 9211) in the headers of an [`FmResponse`](crate::FmResponse) say what it did.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::{FmError, FmHttpCache, FmResilientClient};
    /// # fn main() -> Result<(), FmError> {
    /// let upstream = FmResilientClient::builder()
    ///     .base_url("http://api.example.com:8080")
    ///     .http_cache(FmHttpCache::new())
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "axum")]
    pub fn http_cache(mut self, cache: crate::http::FmHttpCache) -> Self {
        self.settings.http_cache = Some(cache);
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

    fn secret_header(&mut self, name: HeaderName, mut value: HeaderValue) {
        value.set_sensitive(true);
        self.settings.headers.insert(name, value);
    }

    fn refuse(&mut self, why: &'static str) {
        self.refused.get_or_insert_with(|| FmError::new(Kind::Config, why));
    }

    fn length(mut self, length: impl IntoDuration, set: impl FnOnce(&mut Settings, Duration)) -> Self {
        match length.into_duration() {
            Ok(length) => set(&mut self.settings, length),
            Err(error) => self.refused = self.refused.or(Some(error)),
        }
        self
    }
}

/// Base URL, proxy and headers are left out, for they may hold credentials.
impl fmt::Debug for FmResilientClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { timeout, repeats, connections, verify, body_limit, .. } = &self.settings;
        f.debug_struct("FmResilientClientBuilder")
            .field("timeout", timeout)
            .field("repeats", repeats)
            .field("connections", connections)
            .field("verify", verify)
            .field("body_limit", body_limit)
            .finish_non_exhaustive()
    }
}
