//! Reading bodies up to a bound.

use std::{future::poll_fn, pin::Pin};

use axum::body::{Body, Bytes, HttpBody};
use http_body::Frame;

use super::super::body::{Resumed, failing};

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
    Read::Whole(match <[Bytes; 1]>::try_from(pieces) {
        Ok([only]) => only,
        Err(pieces) => pieces.concat().into(),
    })
}
