//! Responses as they are stored.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, VARY},
        response::Parts,
    },
    response::Response,
};
use http_body::Frame;
use serde::{Deserialize, Serialize, de::Error};

use super::{
    body::{Resumed, failing, joined},
    fields::directives,
};
use crate::cache::outcome::Fate;

/// Longer bodies are passed on as they come, and not stored.
const LONGEST: u64 = 10 << 20;

/// A whole response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    head: Head,
    body: Bytes,
}

/// Status and headers of a response.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// A [`Head`] as it is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    status: u16,
    headers: Vec<(String, Bytes)>,
}

/// What was read of a body so far.
#[derive(Clone, Default)]
struct Read {
    pieces: Vec<Bytes>,
    length: u64,
}

/// The body of a response that has come in whole.
#[derive(Clone)]
struct Whole(Bytes);

impl Page {
    /// Of a response whose body is there, by [`poll_whole`].
    pub(crate) fn of(response: Response) -> Self {
        let (Parts { status, headers, mut extensions, .. }, _) = response.into_parts();
        let body = extensions.remove::<Whole>().map(|Whole(body)| body).unwrap_or_default();
        Self { head: Head { status, headers }, body }
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.head.status;
        *response.headers_mut() = self.head.headers;
        response
    }

    /// Whom a response may reach.
    pub(crate) fn fate_of(response: &Response) -> Fate {
        if response.extensions().get::<Whole>().is_none() {
            return Fate::OneCaller;
        }
        fate(response.status(), response.headers())
    }
}

impl Head {
    /// Whom a response with this head may reach.
    pub(crate) fn fate(&self) -> Fate {
        fate(self.status, &self.headers)
    }
}

/// What was made for one client reaches no other; errors are not stored.
fn fate(status: StatusCode, headers: &HeaderMap) -> Fate {
    let answers_one_request = matches!(
        status,
        StatusCode::PARTIAL_CONTENT
            | StatusCode::NOT_MODIFIED
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::RANGE_NOT_SATISFIABLE
    );
    let varies = headers.get_all(VARY).iter().any(|value| value.as_bytes().contains(&b'*'));
    let is_private = directives(headers, &CACHE_CONTROL)
        .any(|(name, _)| name.eq_ignore_ascii_case(b"private") || name.eq_ignore_ascii_case(b"no-store"));
    if answers_one_request || varies || is_private || headers.contains_key(SET_COOKIE) {
        Fate::OneCaller
    } else if status.is_success() {
        Fate::Stored
    } else {
        Fate::Shared
    }
}

/// Ready once the whole body of a response that may be shared is there. Streams of events, what is longer than the limit, and what
/// ends in trailers or in an error is passed on as it was.
pub(crate) fn poll_whole(response: &mut Response, context: &mut Context<'_>) -> Poll<()> {
    if !is_worth_reading(response) {
        return Poll::Ready(());
    }
    loop {
        match ready!(Pin::new(response.body_mut()).poll_frame(context)) {
            None => break,
            Some(Err(error)) => {
                pass_on(response, None, Some(failing(error)));
                return Poll::Ready(());
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let read = response.extensions_mut().get_or_insert_default::<Read>();
                    read.length += data.len() as u64;
                    read.pieces.push(data);
                    if read.length > LONGEST {
                        pass_on(response, None, None);
                        return Poll::Ready(());
                    }
                }
                Err(trailers) => {
                    pass_on(response, Some(trailers), None);
                    return Poll::Ready(());
                }
            },
        }
    }
    let pieces = response.extensions_mut().remove::<Read>().unwrap_or_default().pieces;
    let whole = joined(pieces);
    *response.body_mut() = Body::from(whole.clone());
    response.extensions_mut().insert(Whole(whole));
    Poll::Ready(())
}

fn is_worth_reading(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"));
    !is_stream
        && response.extensions().get::<Whole>().is_none()
        && response.body().size_hint().lower() <= LONGEST
        && fate(response.status(), response.headers()) != Fate::OneCaller
}

/// Puts back what was read of a body, before what is left of it.
fn pass_on(response: &mut Response, last: Option<Frame<Bytes>>, rest: Option<Body>) {
    let read = response.extensions_mut().remove::<Read>().unwrap_or_default();
    let body = std::mem::take(response.body_mut());
    let frames = read.pieces.into_iter().map(Frame::data).chain(last);
    *response.body_mut() = Resumed::body(frames, rest.unwrap_or(body));
}

impl From<Head> for Written {
    fn from(Head { status, headers }: Head) -> Self {
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()))
        };
        Self { status: status.as_u16(), headers: headers.iter().map(text).collect() }
    }
}

impl TryFrom<Written> for Head {
    type Error = serde::de::value::Error;

    fn try_from(Written { status, headers }: Written) -> Result<Self, Self::Error> {
        let mut head = Self { status: StatusCode::from_u16(status).map_err(Error::custom)?, headers: HeaderMap::new() };
        for (name, value) in headers {
            let name = HeaderName::try_from(name).map_err(Error::custom)?;
            head.headers.append(name, HeaderValue::from_maybe_shared(value).map_err(Error::custom)?);
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn fate_with(status: u16, headers: &[(&'static str, &'static str)]) -> Fate {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        fate(StatusCode::from_u16(status).unwrap(), &headers.collect())
    }

    #[test]
    fn only_successes_for_everybody_are_stored() {
        assert_eq!(fate_with(200, &[("cache-control", "max-age=5, x=\"private\"")]), Fate::Stored);
        assert_eq!(fate_with(201, &[("vary", "accept")]), Fate::Stored);
        assert_eq!(fate_with(404, &[]), Fate::Shared);
        assert_eq!(fate_with(503, &[("retry-after", "1")]), Fate::Shared);
        for (name, value) in [
            ("set-cookie", "a=b"),
            ("cache-control", "max-age=5, Private"),
            ("cache-control", "no-store"),
            ("cache-control", "private=\"x-user\""),
            ("vary", "accept, *"),
        ] {
            assert_eq!(fate_with(200, &[(name, value)]), Fate::OneCaller, "{name}: {value}");
            assert_eq!(fate_with(404, &[(name, value)]), Fate::OneCaller, "{name}: {value}");
        }
        assert_eq!([206, 304, 412, 416].map(|status| fate_with(status, &[])), [Fate::OneCaller; 4]);
    }

    async fn gathered(mut response: Response) -> Response {
        std::future::poll_fn(|context| poll_whole(&mut response, context)).await;
        response
    }

    #[tokio::test]
    async fn a_page_survives_being_written_down() {
        let headers = [("x-a", "1"), ("x-a", "2"), ("content-type", "text/plain")];
        let mut response = (StatusCode::CREATED, "hello").into_response();
        for (name, value) in headers {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let page = Page::of(gathered(response).await);
        let read: Page = serde_json::from_slice(&serde_json::to_vec(&page).unwrap()).unwrap();
        assert_eq!((read.head.status, &read.head.headers), (StatusCode::CREATED, &page.head.headers));
        assert_eq!(read.body, "hello");
        assert!(serde_json::from_str::<Head>(r#"{"status":1,"headers":[]}"#).is_err());
    }

    #[tokio::test]
    async fn what_is_too_long_comes_through_whole_and_is_for_one_caller() {
        let long = vec![7_u8; LONGEST as usize];
        let frames = [Ok(Frame::data(Bytes::from(long.clone()))), Ok(Frame::data(Bytes::from_static(b"more")))];
        struct Frames(std::vec::IntoIter<Result<Frame<Bytes>, axum::Error>>);
        impl HttpBody for Frames {
            type Data = Bytes;
            type Error = axum::Error;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
                Poll::Ready(self.0.next())
            }
        }
        let response = Response::new(Body::new(Frames(Vec::from(frames).into_iter())));
        let response = gathered(response).await;
        assert_eq!(Page::fate_of(&response), Fate::OneCaller);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!((body.len(), &body[long.len()..]), (long.len() + 4, &b"more"[..]));

        let broken = vec![Ok(Frame::data(Bytes::from_static(b"half"))), Err(axum::Error::new("gone"))];
        let response = gathered(Response::new(Body::new(Frames(broken.into_iter())))).await;
        assert_eq!(Page::fate_of(&response), Fate::OneCaller);
        assert!(axum::body::to_bytes(response.into_body(), usize::MAX).await.is_err());
    }
}
