//! From the response of a handler, and what its cache has told, to the response for the client.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
            EXPIRES, LAST_MODIFIED, PRAGMA, SET_COOKIE, TRANSFER_ENCODING,
        },
    },
    response::{IntoResponse, Response},
};
use http_body::Frame;

use super::{
    asked::{Asked, Asking},
    told,
};
use crate::{
    cache::{FmOutcome, Served},
    http::{
        body::{Resumed, failing},
        fields::EntityTag,
    },
    print::Print,
    time::Expiry,
};

const X_FM_CACHE: HeaderName = HeaderName::from_static("x-fm-cache");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Tells the client what is known about a response, if it is the answer of a memorized handler.
pub(super) fn finish(response: Response, asked: Asked) -> Response {
    let Some(served) = asked.exchange().close() else { return response };
    if is_marked(response.headers()) {
        return response;
    }
    let (mut response, is_its) = match &served.print {
        None => (response, true),
        Some(print) => recognise(response, print, asked.method),
    };
    if !is_its {
        return response;
    }
    let may_be_kept = response.status().is_success()
        && asked.method != Asking::Else
        && served.outcome != FmOutcome::Bypassed
        && !response.headers().keys().any(|name| *name == SET_COOKIE);
    let headers = response.headers_mut();
    // Else they grow twice on the way.
    headers.reserve(6);
    headers.insert(X_FM_CACHE, told::verdict(served.outcome));
    match (&served.print, served.left) {
        (Some(print), Some(left)) if may_be_kept => kept(response, &asked, &served, print, left),
        _ => {
            headers.append(CACHE_STATUS, told::status(&served));
            response
        }
    }
}

/// The response to a client that takes only what is cached, where nothing is (RFC 9111, section 5.2.1.7).
pub(super) fn not_cached() -> Response {
    let mut response = StatusCode::GATEWAY_TIMEOUT.into_response();
    response.headers_mut().insert(X_FM_CACHE, told::verdict(FmOutcome::Miss));
    response.headers_mut().insert(CACHE_STATUS, HeaderValue::from_static("fm-cache; detail=only-if-cached"));
    response
}

/// Whether the handler has said itself what caches may do.
fn is_marked(headers: &HeaderMap) -> bool {
    // There are few headers, so that to look through them is cheaper than to look each of these up.
    headers.keys().any(|name| [CACHE_CONTROL, EXPIRES, PRAGMA].contains(name))
}

/// A response that clients may keep, or the news that they have it.
fn kept(mut response: Response, asked: &Asked, served: &Served, print: &Print, left: Expiry) -> Response {
    let words = told::words(asked.audience, served, left);
    let headers = response.headers_mut();
    headers.append(CACHE_STATUS, words.status);
    headers.insert(CACHE_CONTROL, words.control);
    if let Some(age) = words.age {
        headers.insert(AGE, age);
    }
    headers.entry(ETAG).or_insert_with(|| print.etag().clone());
    headers
        .entry(LAST_MODIFIED)
        .or_insert_with(|| print.last_modified(|| told::last_modified(served.age.unwrap_or(Duration::ZERO))));
    if is_known(asked, headers) { not_modified(response) } else { response }
}

/// Whether the client has the response already (RFC 9110, section 13.2.2).
fn is_known(asked: &Asked, headers: &HeaderMap) -> bool {
    if !asked.none_match.is_empty() {
        return headers.get(ETAG).is_some_and(|etag| EntityTag::is_known(Some(EntityTag::of(etag)), &asked.none_match));
    }
    let Some(since) = &asked.modified_since else { return false };
    let time = |value: &HeaderValue| -> Option<SystemTime> { httpdate::parse_http_date(value.to_str().ok()?).ok() };
    let modified = headers.get(LAST_MODIFIED).and_then(time);
    modified.zip(time(since)).is_some_and(|(modified, since)| modified <= since)
}

/// 304, with what may have changed beside the body (RFC 9110, section 15.4.5).
fn not_modified(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for name in [
        CONTENT_TYPE,
        CONTENT_LENGTH,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_RANGE,
        TRANSFER_ENCODING,
        LAST_MODIFIED,
    ] {
        response.headers_mut().remove(name);
    }
    *response.body_mut() = Body::new(NoBody);
    response
}

/// Whether the body of a response is the one that was printed.
fn recognise(mut response: Response, print: &Print, method: Asking) -> (Response, bool) {
    let length = response.body().size_hint().exact();
    if method == Asking::Head && length == Some(0) && print.length() > 0 {
        // Whoever has cut the body off has said how long it was.
        let said = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        return (response, said == Some(print.length()));
    }
    if length != Some(print.length()) {
        return (response, false);
    }
    let (body, is_its) = match at_hand(std::mem::take(response.body_mut())) {
        Ok(bytes) => {
            let is_its = print.is_of(&bytes);
            (Body::from(bytes), is_its)
        }
        Err(body) => (body, false),
    };
    *response.body_mut() = body;
    (response, is_its)
}

/// The whole body, where it is one piece that need not be waited for; else the body as it was.
fn at_hand(mut body: Body) -> Result<Bytes, Body> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(data) if body.is_end_stream() => Ok(data),
            Ok(data) => Err(Resumed::body([Frame::data(data)], body)),
            Err(trailers) => Err(Resumed::body([trailers], body)),
        },
        Poll::Ready(None) => Ok(Bytes::new()),
        Poll::Ready(Some(Err(error))) => Err(failing(error)),
        Poll::Pending => Err(body),
    }
}

/// The body of a response that has none, of no stated length: 304 says nothing about the length of what it stands for.
struct NoBody;

impl HttpBody for NoBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}
