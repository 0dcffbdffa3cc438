//! Bodies that are read in whole, up to a bound, or were read in part.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};

/// A body that was read.
pub(super) enum Read {
    /// In whole.
    Whole(Bytes),
    /// In part: it is longer than the bound, failed, or has trailers. The body as it was before.
    Part(Body),
}

/// Reads a body of up to `longest` bytes.
pub(super) async fn read(mut body: Body, longest: usize) -> Read {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut length = 0_usize;
    let unfinished = |pieces: Vec<Bytes>, last: Option<Frame<Bytes>>, rest| {
        Read::Part(Resumed::body(pieces.into_iter().map(Frame::data).chain(last), rest))
    };
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => {
                length = length.saturating_add(data.len());
                pieces.push(data);
                if length > longest {
                    return unfinished(pieces, None, body);
                }
            }
            Ok(Err(trailers)) => return unfinished(pieces, Some(trailers), body),
            Err(error) => return unfinished(pieces, None, failing(error)),
        }
    }
    Read::Whole(joined(pieces))
}

/// The pieces of a body as one; a single one is not copied.
pub(super) fn joined(pieces: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([only]) => only,
        Err(pieces) => pieces.concat().into(),
    }
}

/// What was read of a body, and then the rest of it.
pub(super) struct Resumed {
    read: VecDeque<Frame<Bytes>>,
    rest: Body,
}

impl Resumed {
    /// The body as it was before `read` was read of it.
    pub(super) fn body(read: impl IntoIterator<Item = Frame<Bytes>>, rest: Body) -> Body {
        Body::new(Self { read: read.into_iter().collect(), rest })
    }
}

impl HttpBody for Resumed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.read.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read: u64 = self.read.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

/// A body that fails at once.
pub(super) fn failing(error: axum::Error) -> Body {
    struct Failing(Option<axum::Error>);

    impl HttpBody for Failing {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            Poll::Ready(self.0.take().map(Err))
        }
    }

    Body::new(Failing(Some(error)))
}
