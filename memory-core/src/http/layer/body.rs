//! Reading bodies up to a bound.

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
    let mut frames: VecDeque<Result<Frame<Bytes>, axum::Error>> = VecDeque::new();
    let mut length = 0_usize;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let data = frame.as_ref().ok().and_then(Frame::data_ref).map(Bytes::len);
        frames.push_back(frame);
        length = length.saturating_add(data.unwrap_or_default());
        if data.is_none() || length > longest {
            return Read::Part(Body::new(Resumed { read: frames, rest: body }));
        }
    }
    let mut pieces: Vec<Bytes> = frames.into_iter().filter_map(|frame| frame.ok()?.into_data().ok()).collect();
    Read::Whole(match pieces.len() {
        0 | 1 => pieces.pop().unwrap_or_default(),
        _ => pieces.concat().into(),
    })
}

/// What was read of a body, and then the rest of it.
struct Resumed {
    read: VecDeque<Result<Frame<Bytes>, axum::Error>>,
    rest: Body,
}

impl HttpBody for Resumed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.read.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.iter().flatten().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}
