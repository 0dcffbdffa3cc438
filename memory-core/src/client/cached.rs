//! Requests through the HTTP cache of a client.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    http::{self, Uri},
    response::Response,
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::{Method, Request, StatusCode, Url, header::HeaderMap};

use super::{
    Shared,
    error::FmClientError,
    response::{FmResponse, Turn, sealed::Read},
    send::{self, Outgoing},
    transport::refusal,
};
use crate::http::{Elsewhere, FmHttpCache, HasStandIn, Origin};

/// Sends what the cache does not answer.
pub(super) async fn send<A: Read>(
    shared: &Arc<Shared>,
    cache: &FmHttpCache,
    outgoing: Outgoing,
) -> Result<A, FmClientError> {
    let Ok(uri) = outgoing.request.url().as_str().parse::<Uri>() else { return send::send(shared, outgoing).await };
    match *outgoing.request.method() {
        Method::GET | Method::HEAD if outgoing.request.body().is_none() => look(shared, cache, outgoing, uri).await,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE => send::send(shared, outgoing).await,
        _ => change(shared, cache, outgoing, &uri).await,
    }
}

async fn look<A: Read>(
    shared: &Arc<Shared>,
    cache: &FmHttpCache,
    outgoing: Outgoing,
    uri: Uri,
) -> Result<A, FmClientError> {
    let mut asked = http::Request::new(Body::empty());
    *asked.method_mut() = outgoing.request.method().clone();
    *asked.headers_mut() = outgoing.request.headers().clone();
    *asked.uri_mut() = uri;
    let (target, limit) = (Arc::clone(&outgoing.target), shared.settings.body_limit);
    let upstream = Upstream {
        shared: Arc::clone(shared),
        url: outgoing.request.url().clone(),
        timeout: outgoing.timeout,
        deadline: outgoing.deadline,
        target: outgoing.target,
        streams: A::STREAMS,
    };
    let mut answer = cache.answer(upstream, asked).await?;
    if let Some(error) = answer.extensions_mut().remove::<FmClientError>() {
        return Err(error);
    }
    let answer = reqwest::Response::from(answer.map(|body| reqwest::Body::wrap(Sole(Mutex::new(body)))));
    if !A::takes(answer.status()) {
        return Err(refusal(&target, answer));
    }
    A::read(FmResponse::new(answer, &target, limit, None)?).await
}

/// Sends a request of an unsafe method, and forgets what it may have changed (RFC 9111, section 4.4).
async fn change<A: Read>(
    shared: &Shared,
    cache: &FmHttpCache,
    outgoing: Outgoing,
    uri: &Uri,
) -> Result<A, FmClientError> {
    let mut sent = Sent { cache, uri, has_ended: false };
    let ended = send::send::<WithHead<A>>(shared, outgoing).await;
    sent.has_ended = true;
    match &ended {
        Ok(answer) => cache.forget(uri, &answer.head).await,
        Err(error) if may_have_changed(error) => cache.forget(uri, &HeaderMap::new()).await,
        Err(_) => {}
    }
    ended.map(|answer| answer.answer)
}

/// A request that may change something: also one whose caller goes away may have done so.
struct Sent<'a> {
    cache: &'a FmHttpCache,
    uri: &'a Uri,
    has_ended: bool,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.cache.forget_behind(self.uri);
        }
    }
}

/// Whether the upstream may have done what it was asked for, though the answer is of no use.
fn may_have_changed(error: &FmClientError) -> bool {
    match error {
        FmClientError::Closed | FmClientError::InvalidPath(_) | FmClientError::InvalidRequest(_) => false,
        FmClientError::Status(failure) => failure.status().is_none_or(|status| !status.is_client_error()),
        FmClientError::Request(_) => !error.never_left(),
        // What a policy refused may be the repetition of an attempt that was not.
        FmClientError::TooLarge(_) | FmClientError::Decode(_) | FmClientError::Refused(_) => true,
    }
}

/// The upstream, as one request of the cache reaches it: with all the attempts that the client makes.
#[derive(Clone)]
struct Upstream {
    shared: Arc<Shared>,
    url: Url,
    timeout: Duration,
    deadline: Option<Duration>,
    target: Arc<str>,
    /// Whether the caller reads the body piece by piece.
    streams: bool,
}

impl Origin for Upstream {
    type Failure = FmClientError;

    async fn ask(self, asked: http::Request<Body>) -> Result<Response, FmClientError> {
        let attempts = match asked.extensions().get::<HasStandIn>() {
            Some(HasStandIn) => 1,
            None => self.shared.settings.repeats.attempts,
        };
        let mut request = Request::new(asked.method().clone(), self.url.clone());
        *request.headers_mut() = asked.into_parts().0.headers;
        let Self { shared, url, timeout, deadline, target, streams } = self;
        let outgoing = Outgoing { request, timeout, deadline, attempts, target };
        let sent = if streams {
            send::send::<Streamed>(&shared, outgoing).await.map(|Streamed(answer)| answer)
        } else {
            send::send::<Whole>(&shared, outgoing).await.map(|Whole(answer)| answer)
        };
        match sent {
            Ok(Answer { mut response, url: from }) => {
                if from != url {
                    response.extensions_mut().insert(Elsewhere);
                }
                Ok(response)
            }
            Err(error) => failed(error),
        }
    }

    fn patience(&self) -> Option<Duration> {
        Some(self.deadline.map_or(self.timeout, |deadline| deadline.min(self.timeout)))
    }

    fn after(self, waited: Duration) -> Self {
        Self { deadline: self.deadline.map(|deadline| deadline.saturating_sub(waited)), ..self }
    }

    fn is_unreached(failure: &FmClientError) -> bool {
        failure.is_network()
    }
}

/// What failed at the upstream is an answer to the cache; who asked gets the error.
fn failed(error: FmClientError) -> Result<Response, FmClientError> {
    let Some(status) = error.status() else { return Err(error) };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.extensions_mut().insert(error);
    Ok(response)
}

/// What the cache takes: everything but the errors that may pass.
fn is_taken(status: StatusCode) -> bool {
    !status.is_server_error()
}

/// An answer, and where it came from in the end.
struct Answer {
    response: Response,
    url: Url,
}

impl Answer {
    fn new(of: &reqwest::Response, body: Body) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = of.status();
        *response.headers_mut() = of.headers().clone();
        Self { response, url: of.url().clone() }
    }

    /// Whether it brings what was asked for, or says that it is here already.
    fn is_success(&self) -> bool {
        self.response.status().is_success() || self.response.status() == StatusCode::NOT_MODIFIED
    }
}

/// An answer that was read to its end.
struct Whole(Answer);

impl Read for Whole {
    fn takes(status: StatusCode) -> bool {
        is_taken(status)
    }

    fn is_success(&self) -> bool {
        self.0.is_success()
    }

    async fn read(mut response: FmResponse) -> Result<Self, FmClientError> {
        let body = response.rest().await?;
        Ok(Self(Answer::new(&response.into_parts().0, Body::from(body))))
    }
}

/// An answer with its body as it comes.
struct Streamed(Answer);

impl Read for Streamed {
    fn takes(status: StatusCode) -> bool {
        is_taken(status)
    }

    fn is_success(&self) -> bool {
        self.0.is_success()
    }

    async fn read(response: FmResponse) -> Result<Self, FmClientError> {
        let (response, turn) = response.into_parts();
        let head = Answer::new(&response, Body::empty());
        let body = http::Response::<reqwest::Body>::from(response).into_body();
        let response = head.response.map(|_| Body::new(Coming { body, _turn: turn }));
        Ok(Self(Answer { response, ..head }))
    }
}

/// An answer, and its headers.
struct WithHead<A> {
    head: HeaderMap,
    answer: A,
}

impl<A: Read> Read for WithHead<A> {
    const STREAMS: bool = A::STREAMS;

    async fn read(response: FmResponse) -> Result<Self, FmClientError> {
        let head = response.headers().clone();
        Ok(Self { head, answer: A::read(response).await? })
    }
}

/// A body that comes by a connection in use.
struct Coming {
    body: reqwest::Body,
    _turn: Option<Turn>,
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        frame.map(|frame| frame.map(|frame| frame.map_err(reqwest::Error::without_url)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that one at a time reads, for those who ask that many could: the lock is never waited for.
struct Sole(Mutex<Body>);

impl HttpBody for Sole {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(self.0.get_mut().unwrap_or_else(PoisonError::into_inner)).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
