//! The one error type of this crate: opaque, cheap to clone, with questions instead of variants.

use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

/// Why a cache call failed.
///
/// Opaque: ask [`is_backend`](FmError::is_backend), [`is_timeout`](FmError::is_timeout) and so on.
/// Cloning is one reference count. `Display` never prints query strings, credentials or stored values.
///
/// # Examples
///
/// ```
/// # use memory_core::FmError;
/// fn report(error: &FmError) {
///     if error.is_backend() {
///         eprintln!("the store could not be reached: {error}");
///     }
/// }
/// ```
#[derive(Clone)]
pub struct FmError {
    inner: Arc<Inner>,
}

struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    source: Option<Box<dyn Cause>>,
    /// When to come again, where a refusal knows.
    retry_after: Option<Duration>,
}

/// What an error is about: an error, or something that holds one without being one itself (`anyhow::Error`).
trait Cause: Send + Sync {
    fn error(&self) -> &(dyn Error + 'static);
}

impl Cause for Box<dyn Error + Send + Sync> {
    fn error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}

struct Held<E>(E);

impl<E: AsRef<dyn Error + Send + Sync> + Send + Sync> Cause for Held<E> {
    fn error(&self) -> &(dyn Error + 'static) {
        self.0.as_ref()
    }
}

/// What went wrong, for this crate and its backends.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// An argument or a setting that cannot work.
    Config,
    /// The store behind the cache failed, or could not be reached.
    Backend,
    /// A deadline passed.
    Timeout,
    /// A value or a key could not be encoded or decoded.
    Codec,
    /// The run that this caller waited for failed; the source is its error.
    Run,
    /// The cache was closed.
    Closed,
    /// A retried call gave up.
    Retry,
    /// The HTTP client failed.
    Client,
    /// A circuit breaker is open.
    CircuitOpen,
    /// A rate limiter has no token.
    RateLimited,
    /// A bulkhead has no room.
    BulkheadFull,
}

impl FmError {
    #[doc(hidden)]
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { inner: Arc::new(Inner { kind, message: message.into(), source: None, retry_after: None }) }
    }

    #[doc(hidden)]
    pub fn with_source(
        kind: Kind,
        message: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::caused(kind, message.into(), Box::new(source.into()))
    }

    /// With a source that is only reachable by reference.
    pub(crate) fn with_held_source<E>(kind: Kind, message: impl Into<Cow<'static, str>>, source: E) -> Self
    where
        E: AsRef<dyn Error + Send + Sync> + Send + Sync + 'static,
    {
        Self::caused(kind, message.into(), Box::new(Held(source)))
    }

    fn caused(kind: Kind, message: Cow<'static, str>, source: Box<dyn Cause>) -> Self {
        Self { inner: Arc::new(Inner { kind, message, source: Some(source), retry_after: None }) }
    }

    /// A policy lets no call through; `retry_after` is when it may.
    #[cfg(feature = "retry")]
    pub(crate) fn refused(kind: Kind, message: String, retry_after: Option<Duration>) -> Self {
        Self { inner: Arc::new(Inner { kind, message: message.into(), source: None, retry_after }) }
    }

    #[doc(hidden)]
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// A setting or an argument was refused (a negative expiry, an empty prefix); the message says what to write.
    pub fn is_config(&self) -> bool {
        self.inner.kind == Kind::Config
    }

    /// The store behind the cache failed or could not be reached.
    pub fn is_backend(&self) -> bool {
        self.inner.kind == Kind::Backend
    }

    /// A deadline passed.
    pub fn is_timeout(&self) -> bool {
        self.inner.kind == Kind::Timeout
    }

    /// A value could not be encoded.
    pub fn is_codec(&self) -> bool {
        self.inner.kind == Kind::Codec
    }

    /// The run this caller waited for failed; [`source`](Error::source) is the error of that run.
    pub fn is_run(&self) -> bool {
        self.inner.kind == Kind::Run
    }

    /// The cache has been closed.
    pub fn is_closed(&self) -> bool {
        self.inner.kind == Kind::Closed
    }

    /// A circuit breaker was open: the call was not made.
    pub fn is_circuit_open(&self) -> bool {
        self.inner.kind == Kind::CircuitOpen
    }

    /// A rate limiter had no token within its wait: the call was not made.
    pub fn is_rate_limited(&self) -> bool {
        self.inner.kind == Kind::RateLimited
    }

    /// A bulkhead had no room within its wait: the call was not made.
    pub fn is_bulkhead_full(&self) -> bool {
        self.inner.kind == Kind::BulkheadFull
    }

    /// How long to stay away, where a policy that refused the call knows: until the breaker lets probes through, or the
    /// limiter has a token.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// A policy refused the call before it was made.
    #[cfg(feature = "retry")]
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.inner.kind, Kind::CircuitOpen | Kind::RateLimited | Kind::BulkheadFull)
    }
}

impl fmt::Display for FmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for FmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("FmError");
        out.field("kind", &self.inner.kind).field("message", &self.inner.message);
        if let Some(source) = self.source() {
            out.field("source", &source);
        }
        out.finish()
    }
}

impl Error for FmError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.source.as_ref().map(|source| source.error())
    }
}
