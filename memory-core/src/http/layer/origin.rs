//! The service behind the cache.

use std::{
    future::{Future, poll_fn},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use tower_service::Service;

use super::Request;

/// A service that a cache can stand before.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't stand behind a response cache",
    note = "it takes a `Service<Request<axum::body::Body>>` that is `Clone + Send + 'static` and answers responses with a body of `Bytes`"
)]
pub trait Origin: Clone + Send + 'static {
    /// What it fails with.
    type Failure: Send + 'static;

    /// Its answer to one request.
    fn ask(self, request: Request) -> impl Future<Output = Result<Response, Self::Failure>> + Send;

    /// How long a request would wait for its answer, where there is a limit.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// For a request that has waited so long already.
    #[must_use]
    fn after(self, _waited: Duration) -> Self {
        self
    }

    /// Whether it failed because there is no answer, so that a stored one may stand in.
    fn is_unreached(_: &Self::Failure) -> bool {
        true
    }
}

/// Marks a request whose failure nobody will see: a stored response says that it stands in for errors (RFC 5861, section 4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct HasStandIn;

impl<S, B> Origin for S
where
    S: Service<Request, Response = axum::http::Response<B>, Future: Send, Error: Send + 'static>
        + Clone
        + Send
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    type Failure = S::Error;

    async fn ask(mut self, request: Request) -> Result<Response, S::Error> {
        poll_fn(|context| self.poll_ready(context)).await?;
        Ok(self.call(request).await?.map(Body::new))
    }
}
