//! [`FmHttpCache`]: a private cache inside a client.

use std::{sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, Uri},
    response::Response,
};

use super::{super::cache::Policy, Begun, FmResponseCacheLayer, Origin, Place, Request};
use crate::{FmCache, FmError};

/// A private HTTP cache (RFC 9111, with RFC 5861) inside an HTTP client: what it asked for before, and what said that it may be
/// stored, it does not ask for again.
///
/// The rules are those of [`FmResponseCacheLayer`], for one program instead of many clients: `private` responses are stored,
/// `s-maxage` and `proxy-revalidate` are for others. A response that is not `public` answers only requests with the same headers
/// (credentials, languages, tenants; not tracing and the like), so that users whose tokens a service passes on stay apart, whatever
/// the upstream forgets to say. Stale responses are validated (`If-None-Match`, `If-Modified-Since`), answered behind a refresh
/// (`stale-while-revalidate`), or stand in for errors (`stale-if-error`, after one attempt) and for an upstream that can't be
/// reached (after the last one). `Cache-Control` in a request is obeyed. After a request of an unsafe method (POST, PUT, …) what is stored
/// for its URL is forgotten, unless the upstream refused it (4xx) or never saw it.
///
/// Responses are kept in the [`FmCache`] of the call, or the one given, under the namespace `"http-private"`: of one URL the latest 32,
/// with digests of the credentials they are for. The statistics of that cache count the hits; those of the client, what was sent.
/// Requests of the same user that miss together are one, which goes on when its caller goes away; none waits for another one longer
/// than its own timeout, and none at all where the last response could not be stored.
///
/// # Examples
///
/// ```
/// use memory_core::{FmCache, FmError, FmHttpCache, FmMemoryBackend};
///
/// # fn main() -> Result<(), FmError> {
/// let cache = FmCache::builder(FmMemoryBackend::builder().max_bytes(64 << 20).build()).prefix("upstream").build()?;
/// let http_cache = FmHttpCache::new().cache(&cache).max_body(64 << 10);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FmHttpCache {
    shared: Arc<FmResponseCacheLayer>,
}

impl FmHttpCache {
    /// With the defaults below, in the cache of each call.
    pub fn new() -> Self {
        let layer = FmResponseCacheLayer::new();
        // Who asks is this program: it says itself what it wants, and nobody else can.
        let policy = Policy { is_private: true, shares_cookies: true, obeys_clients: true, ..layer.policy };
        Self { shared: Arc::new(FmResponseCacheLayer { policy, ..layer }) }
    }

    /// Keeps responses in this cache.
    ///
    /// # Default
    ///
    /// The cache of the call: the one it is [`scope`](FmCache::scope)d to, else the process-wide one.
    #[must_use]
    pub fn cache(self, cache: &FmCache) -> Self {
        self.with(|layer| layer.cache(cache))
    }

    /// Longer bodies, in bytes after decompression, are not stored.
    ///
    /// # Default
    ///
    /// 1 MiB.
    #[must_use]
    pub fn max_body(self, bytes: usize) -> Self {
        self.with(|layer| layer.max_body(bytes))
    }

    /// For how long, past its freshness, a response is of use: to be validated, and to stand in when the upstream can't be reached,
    /// unless the response forbids it.
    ///
    /// # Default
    ///
    /// An hour.
    #[must_use]
    pub fn keep_stale(self, length: Duration) -> Self {
        self.with(|layer| layer.keep_stale(length))
    }

    /// Whether a response with `Last-Modified` that says nothing of its freshness is fresh for a tenth of the time since then, a
    /// day at the most (RFC 9111, section 4.2.2).
    ///
    /// # Default
    ///
    /// `false`: only what says that it may be stored is stored.
    #[must_use]
    pub fn heuristic_freshness(self, is_heuristic: bool) -> Self {
        self.with(|layer| layer.heuristic_freshness(is_heuristic))
    }

    /// Forgets what is stored for a URL, `http://api.example.com/rates?to=EUR`: every variant of it, and what is on its way. Whether
    /// anything was stored.
    ///
    /// # Errors
    ///
    /// A URL without a host.
    pub async fn invalidate(&self, url: &str) -> Result<bool, FmError> {
        self.shared.invalidate(url).await
    }

    /// The answer to a request, from the cache or the origin.
    pub(crate) async fn answer<S: Origin>(&self, origin: S, request: Request) -> Result<Response, S::Failure> {
        Begun::of(&self.shared, request).answer(origin).await
    }

    /// Forgets what a request to a URL, answered with these headers, has changed.
    pub(crate) async fn forget(&self, url: &Uri, answer: &HeaderMap) {
        if let Some(place) = Place::of_uri(url) {
            self.shared.invalidate_changed(&self.shared.chosen(), &place, answer).await;
        }
    }

    /// Forgets what is stored for a URL, in a task that nobody waits for.
    pub(crate) fn forget_behind(&self, url: &Uri) {
        if let Some(place) = Place::of_uri(url) {
            Arc::clone(&self.shared).invalidate_behind(self.shared.chosen(), place);
        }
    }

    fn with(self, change: impl FnOnce(FmResponseCacheLayer) -> FmResponseCacheLayer) -> Self {
        Self { shared: Arc::new(change(Arc::unwrap_or_clone(self.shared))) }
    }
}

impl Default for FmHttpCache {
    fn default() -> Self {
        Self::new()
    }
}
