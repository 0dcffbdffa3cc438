//! [`FmResponseCacheLayer`]: a shared cache before a service.

mod change;
mod errand;
mod exchange;
mod key;
mod origin;
#[cfg(feature = "client")]
mod private;
mod told;
mod unshared;

use std::{
    future::ready,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderName, Uri},
    response::Response,
};
use tower_layer::Layer;
use tower_service::Service;

#[cfg(feature = "client")]
pub(crate) use self::origin::HasStandIn;
pub(crate) use self::origin::Origin;
#[cfg(feature = "client")]
pub use self::private::FmHttpCache;
use self::{
    errand::Errand,
    exchange::{Begun, Landed},
    key::Place,
    unshared::Unshared,
};
use super::cache::Policy;
use crate::{
    FmCache,
    backend::BoxFuture,
    cache::{Chosen, Context as Surroundings},
    error::{FmError, Kind},
    flight::{Flights, Waits},
    key::Key,
};

type Request = axum::http::Request<Body>;

/// A shared HTTP cache (RFC 9111, with RFC 5861) before any service: responses that say they may be stored are stored, and answer
/// later requests without the handler.
///
/// It keeps what `#[memorize]` keeps where that keeps it: in the [`FmCache`] of the request (the process-wide one, or the one it is
/// [`scope`](FmCache::scope)d to), in memory or in Redis, under the namespace `"http"`. Requests that miss together wait for one
/// answer where that may be shared (and no longer for one another once a resource's answer could not). A success of an unsafe
/// method invalidates. Stale responses are validated, answered behind a refresh (`stale-while-revalidate`), or stand in for errors
/// (`stale-if-error`) and for an inner service that fails.
///
/// Only what a response says of itself makes it storable: `max-age`, `s-maxage`, `Expires`, `public` or `no-cache`. What is `private`,
/// answers credentials without saying that it is for everybody, or sets a cookie, is not shared. Credentials are `Authorization`, cookies,
/// and what means the same: keys and tokens (`X-Api-Key`, `X-Auth-Token` and the like), and the fields in which proxies name a user that
/// they have logged in (`X-Forwarded-User`, `Cf-Access-Jwt-Assertion` and the like).
///
/// Whoever may ask for any number of URLs may have as many responses stored: give the memory backend a bound in bytes
/// ([`max_bytes`](crate::FmMemoryBackendBuilder::max_bytes)).
///
/// Responses get `Age`, `X-Fm-Cache` (`HIT`, `STALE`, `MISS`, `BYPASS`) and `Cache-Status` (RFC 9211).
///
/// # Cancel safety
///
/// A client that goes away stops no request that others may share: it goes on, and its response is stored. Where it was changing
/// something by an unsafe method, what that may have changed is invalidated.
///
/// # Examples
///
/// ```
/// use axum::{Router, http::header::CACHE_CONTROL, routing::get};
/// use memory_core::FmResponseCacheLayer;
///
/// let router: Router = Router::new()
///     .route("/rates", get(|| async { ([(CACHE_CONTROL, "max-age=60, stale-if-error=3600")], "1.08") }))
///     .layer(FmResponseCacheLayer::new());
/// ```
#[derive(Clone)]
pub struct FmResponseCacheLayer {
    cache: Option<FmCache>,
    policy: Policy,
    tags: Option<HeaderName>,
    flights: Flights<Errand, Landed>,
    unshared: Unshared,
}

/// A service behind a shared cache. See [`FmResponseCacheLayer`].
#[derive(Clone)]
pub struct FmResponseCacheService<S> {
    shared: Arc<FmResponseCacheLayer>,
    inner: S,
}

/// The namespace of stored responses.
const NAMESPACE: &str = "http";

/// That of the responses that only clients of this program may have.
const PRIVATE_NAMESPACE: &str = "http-private";

impl FmResponseCacheLayer {
    /// With the defaults below, in the cache of each request.
    pub fn new() -> Self {
        let policy = Policy {
            is_private: false,
            ranks_languages: false,
            is_heuristic: false,
            shares_cookies: false,
            obeys_clients: false,
            grace: Duration::from_secs(3600),
            longest_body: 1 << 20,
        };
        Self { cache: None, policy, tags: None, flights: Flights::new(Waits::of_process()), unshared: Unshared::new() }
    }

    /// Keeps responses in this cache.
    ///
    /// # Default
    ///
    /// The cache of the request: the one it is scoped to, else the process-wide one.
    #[must_use]
    pub fn cache(mut self, cache: &FmCache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    /// Longer bodies, in bytes, stream through and are not stored. Shorter ones are read in whole before they are answered, where
    /// the response may be stored at all; `text/event-stream` never is.
    ///
    /// # Default
    ///
    /// 1 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.policy.longest_body = bytes;
        self
    }

    /// For how long, past its freshness, a response is of use: to be validated by its `ETag` or `Last-Modified`, and to stand in
    /// when the inner service fails (not when it answers with an error), unless the response forbids it.
    ///
    /// # Default
    ///
    /// An hour.
    #[must_use]
    pub fn keep_stale(mut self, length: Duration) -> Self {
        self.policy.grace = length;
        self
    }

    /// Whether a response with `Last-Modified` that says nothing of its freshness is fresh for a tenth of the time since then, a
    /// day at the most (RFC 9111, section 4.2.2).
    ///
    /// # Default
    ///
    /// `false`: only what says that it may be stored is stored.
    #[must_use]
    pub fn heuristic_freshness(mut self, is_heuristic: bool) -> Self {
        self.policy.is_heuristic = is_heuristic;
        self
    }

    /// Whether cookies make no difference, as RFC 9111 has it: responses to requests with `Cookie`, and responses with `Set-Cookie`,
    /// are shared when nothing else forbids it. Only for origins that mark every personal response as `private`.
    ///
    /// # Default
    ///
    /// `false`: a request with a cookie is answered from the cache, and its response stored, only where that is `public`, has an
    /// `s-maxage`, or varies by `Cookie`; what sets a cookie is never stored.
    #[must_use]
    pub fn share_cookies(mut self, shares: bool) -> Self {
        self.policy.shares_cookies = shares;
        self
    }

    /// Whether languages that a request wants equally (`en, de`) are in no order, and a response in the one language that a request
    /// wants most is its answer, whatever else it would take. More requests share a response; some origins choose otherwise.
    ///
    /// # Default
    ///
    /// `false`: only the same lists of languages are the same, but for blanks and case.
    #[must_use]
    pub fn rank_languages(mut self, ranks: bool) -> Self {
        self.policy.ranks_languages = ranks;
        self
    }

    /// Whether clients can ask for fresher responses than the cache has: `no-cache`, `max-age`, `min-fresh`, `Pragma: no-cache` and
    /// `no-store` in a request reach the handler. (`only-if-cached` and `max-stale` ask it for nothing, and are always obeyed; what
    /// answers a `no-store` is never stored.)
    ///
    /// # Default
    ///
    /// `false`: anybody could make the handler run.
    #[must_use]
    pub fn client_bypass(mut self, obeys: bool) -> Self {
        self.policy.obeys_clients = obeys;
        self
    }

    /// The field in which responses name their tags, apart by blanks or commas: [`FmCache::invalidate_tag`] then invalidates them.
    ///
    /// # Errors
    ///
    /// No name of a header field.
    ///
    /// # Default
    ///
    /// None.
    pub fn tags_from(mut self, field: &str) -> Result<Self, FmError> {
        let name = HeaderName::try_from(field)
            .map_err(|error| FmError::with_source(Kind::Config, "this is no name of a header field", error))?;
        self.tags = Some(name);
        Ok(self)
    }

    /// Invalidates what is stored for a URI with its host, `http://example.com/rates?to=EUR`: every variant of it, and what is on
    /// its way. Whether anything was stored.
    ///
    /// # Errors
    ///
    /// A URI without a host.
    pub async fn invalidate(&self, uri: &str) -> Result<bool, FmError> {
        let place = uri.parse::<Uri>().ok().and_then(|uri| Place::of_uri(&uri)).ok_or_else(|| {
            FmError::new(Kind::Config, format!("`{uri}` names no stored response: give a URI with its host"))
        })?;
        self.remove(&self.chosen(), &self.key_of(&place)).await
    }

    #[cfg(test)]
    pub(in crate::http) fn policy(&self) -> Policy {
        self.policy
    }

    /// The key of what is stored for a resource.
    fn key_of(&self, place: &Place) -> Key {
        // A server can't know whether its clients came by TLS.
        if self.policy.is_private { place.key_with_scheme(PRIVATE_NAMESPACE) } else { place.key(NAMESPACE) }
    }

    /// Removes what is stored, and keeps requests under way from storing.
    async fn remove(&self, cache: &FmCache, key: &Key) -> Result<bool, FmError> {
        let invalidate = || self.flights.invalidate_where(|errand| errand.key == *key);
        invalidate();
        let removed = cache.core().remove(key.as_key(), false).await;
        invalidate();
        removed
    }

    fn chosen(&self) -> FmCache {
        Chosen::new(self.cache.as_ref()).resolve()
    }
}

impl Default for FmResponseCacheLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FmResponseCacheLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FmResponseCacheLayer").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<S> std::fmt::Debug for FmResponseCacheService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FmResponseCacheService").field("layer", &self.shared).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for FmResponseCacheLayer {
    type Service = FmResponseCacheService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FmResponseCacheService { shared: Arc::new(self.clone()), inner }
    }
}

impl<S: Origin> Service<Request> for FmResponseCacheService<S> {
    type Response = Response;
    type Error = S::Failure;
    type Future = BoxFuture<'static, Result<Response, S::Failure>>;

    /// Always: the inner service is asked only for what is not stored, and waited for then.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let begun = Begun::of(&self.shared, request);
        if let Some(answer) = begun.at_hand() {
            return Box::pin(ready(Ok(answer)));
        }
        let inner = self.inner.clone();
        Box::pin(Surroundings::current().scope(async move { begun.answer(inner).await }))
    }
}
