//! What memorized handlers say to HTTP clients and to the caches on the way: a tower layer.

mod answer;
mod asked;
mod told;

use std::{
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll, ready},
};

use axum::{http::Request, response::Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use self::asked::Asked;
use crate::cache::{Context, Exchange, Surrounded};

/// HTTP caching for the memorized handlers of a router, from what their caches know anyway.
///
/// | header | says |
/// |---|---|
/// | `Cache-Control` | `max-age`: the whole seconds that the value is still fresh; its stale windows as RFC 5861 has them; `private` when the request has credentials: `Authorization`, `Cookie`, keys and tokens such as `X-Api-Key`, or the user whom a proxy has logged in |
/// | `ETag` | a strong validator of the body, the same in every process |
/// | `Age` | the whole seconds since the value was made, when it was stored |
/// | `Last-Modified` | when the value was made |
/// | `X-Fm-Cache` | `HIT`, `MISS`, `STALE`, or `BYPASS` when the cache was not used |
/// | `Cache-Status` | the same in the words of RFC 9211 |
///
/// `max-age` is what is left, and caches on the way take `Age` off it once more (RFC 9111, section 4.2.3): they keep a value for
/// shorter than they could, never for longer.
///
/// `If-None-Match`, and without it `If-Modified-Since`, are answered with 304 where nothing has changed (RFC 9110, section 13).
/// An [`FmJson`](struct@crate::FmJson) is then not serialised, and not for a 200 either.
///
/// It acts only where the answer is that of a memorized handler: a memorized function that could be one (it returns a response; it
/// takes no references and no bare numbers), called outside the body of another, whose value is the body of the response,
/// byte for byte. Every other response passes through as it is, and so does one that says something about caching itself
/// (`Cache-Control`, `Expires`, `Pragma`). Only successes are given to clients to keep. Put layers that change bodies, such as
/// compression, around this one.
///
/// Only GET and HEAD are answered from the cache: with this layer, a memorized handler of another method runs every time.
///
/// # Default
///
/// What clients ask of caches in `Cache-Control` is ignored, since anybody could make handlers run:
/// [`client_bypass`](Self::client_bypass). Answers to requests with credentials are private: [`public`](Self::public).
///
/// # Examples
///
/// ```
/// use axum::{Json, Router, body::Body, extract::Path, http::{Request, StatusCode}, routing::get};
/// use memory_core::{FmCacheHeadersLayer, memorize};
/// use tower_service::Service;
///
/// #[memorize(expire = 60, stale_while_revalidate = 30)]
/// async fn double(Path(n): Path<u64>) -> Json<u64> {
///     Json(2 * n)
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut app: Router = Router::new().route("/double/{n}", get(double)).layer(FmCacheHeadersLayer::new());
///
/// let request = Request::get("/double/4").body(Body::empty()).unwrap();
/// let response = app.call(request).await.unwrap();
/// assert_eq!(response.headers()["cache-control"], "max-age=60, stale-while-revalidate=30");
/// assert_eq!(response.headers()["x-fm-cache"], "MISS");
///
/// let known = Request::get("/double/4").header("if-none-match", &response.headers()["etag"]).body(Body::empty()).unwrap();
/// assert_eq!(app.call(known).await.unwrap().status(), StatusCode::NOT_MODIFIED);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FmCacheHeadersLayer {
    settings: Settings,
}

/// A service whose responses speak HTTP caching. See [`FmCacheHeadersLayer`].
#[derive(Clone, Copy, Debug)]
pub struct FmCacheHeadersService<S> {
    inner: S,
    settings: Settings,
}

#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    is_public: bool,
    client_bypass: bool,
}

impl FmCacheHeadersLayer {
    /// The layer with its defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The answers are the same for everybody, whoever asks: shared caches may keep them also when the request has
    /// credentials.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.settings.is_public = true;
        self
    }

    /// Clients may say what they take, in the `Cache-Control` of a request (RFC 9111, section 5.2.1): `no-cache` runs the
    /// handler and stores its value, `no-store` runs it past the cache, `max-age`, `min-fresh` and `max-stale` choose among stored
    /// values, `only-if-cached` is answered with 504 when there is none. Only for clients that may cause this load.
    ///
    /// # Default
    ///
    /// `false`.
    #[must_use]
    pub fn client_bypass(mut self, allowed: bool) -> Self {
        self.settings.client_bypass = allowed;
        self
    }
}

impl<S> Layer<S> for FmCacheHeadersLayer {
    type Service = FmCacheHeadersService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Exchange::expect();
        FmCacheHeadersService { inner, settings: self.settings }
    }
}

impl<S, B> Service<Request<B>> for FmCacheHeadersService<S>
where
    S: Service<Request<B>, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = FmCacheHeadersFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let asked = Asked::of(&request, self.settings);
        let surroundings = Context { exchange: Some(asked.exchange()), ..Context::current() };
        let response = surroundings.clone().sync_scope(|| self.inner.call(request));
        FmCacheHeadersFuture { response: surroundings.scope(response), asked: Some(asked) }
    }
}

pin_project! {
    /// The response of a [`FmCacheHeadersService`].
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as the handler: the run of a memorized one goes on without its client.
    pub struct FmCacheHeadersFuture<F> {
        #[pin]
        response: Surrounded<F>,
        asked: Option<Asked>,
    }
}

impl<F, E> Future for FmCacheHeadersFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = this.response.poll(context);
        if polled.is_pending() && this.asked.as_ref().is_some_and(Asked::is_refused) {
            *this.asked = None;
            return Poll::Ready(Ok(answer::not_cached()));
        }
        let response = ready!(polled)?;
        Poll::Ready(Ok(match this.asked.take() {
            Some(asked) => answer::finish(response, asked),
            None => response,
        }))
    }
}

impl<F> std::fmt::Debug for FmCacheHeadersFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FmCacheHeadersFuture").finish_non_exhaustive()
    }
}
