//! How a value looks to HTTP clients: the validator of its body, and how that body is known again.

use std::{
    hash::BuildHasher,
    pin::Pin,
    sync::{Mutex, OnceLock},
    task::{Context, Poll, Waker},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, header::ETAG},
    response::Response,
};

/// The body that a stored value becomes, as seen once.
#[derive(Debug)]
pub struct Print {
    etag: HeaderValue,
    length: u64,
    content: Content,
    /// `Last-Modified`, once it was asked for.
    modified: OnceLock<HeaderValue>,
    /// What was said of the value last.
    words: Mutex<Option<(Facts, Words)>>,
}

/// `Cache-Control`, `Age` and `Cache-Status`.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub(crate) control: HeaderValue,
    pub(crate) age: Option<HeaderValue>,
    pub(crate) status: HeaderValue,
}

/// What words follow from.
type Facts = [u64; 7];

/// How a body is known again.
#[derive(Clone, Debug)]
enum Content {
    /// The value keeps these bytes itself.
    Kept(Bytes),
    /// The bytes are made anew for every response.
    Hash(u64),
}

impl Print {
    /// Of the response that a value becomes; `None` where its body is not at hand at once.
    pub(crate) fn of(response: Response) -> Option<Self> {
        let (parts, body) = response.into_parts();
        let bytes = at_hand(body)?;
        Some(Self {
            etag: parts.headers.get(ETAG).cloned().unwrap_or_else(|| etag(&bytes)),
            length: bytes.len() as u64,
            content: if bytes.is_unique() { Content::Hash(hash(&bytes)) } else { Content::Kept(bytes) },
            modified: OnceLock::new(),
            words: Mutex::new(None),
        })
    }

    /// The strong validator, quoted.
    pub(crate) fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// When the value was made, as `find` says the first time.
    pub(crate) fn last_modified(&self, find: impl FnOnce() -> HeaderValue) -> HeaderValue {
        self.modified.get_or_init(find).clone()
    }

    /// What was said last, if it followed from the same facts, else what there is to say now.
    pub(crate) fn words(&self, facts: Facts, say: impl FnOnce() -> Words) -> Words {
        // Who would have to wait says it anew.
        let Ok(mut last) = self.words.try_lock() else { return say() };
        match &*last {
            Some((known, words)) if *known == facts => words.clone(),
            _ => last.insert((facts, say())).1.clone(),
        }
    }

    /// How long the body is.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether this is the body.
    pub(crate) fn is_of(&self, body: &Bytes) -> bool {
        if body.len() as u64 != self.length {
            return false;
        }
        match &self.content {
            Content::Kept(bytes) => std::ptr::eq(bytes.as_ptr(), body.as_ptr()) || bytes == body,
            Content::Hash(known) => hash(body) == *known,
        }
    }
}

/// The strong validator of these bytes, the same in every process.
pub(crate) fn etag(bytes: &[u8]) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = blake3::hash(bytes);
    let digits = digest.as_bytes()[..16].iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let text: Vec<u8> =
        [b'"'].into_iter().chain(digits.map(|digit| DIGITS[usize::from(digit)])).chain([b'"']).collect();
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// The whole body, where no waiting is needed for it and there are no trailers.
pub(crate) fn at_hand(mut body: Body) -> Option<Bytes> {
    let mut whole = Bytes::new();
    loop {
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(None) => return Some(whole),
            Poll::Ready(Some(Ok(frame))) => {
                let data = frame.into_data().ok()?;
                whole = if whole.is_empty() { data } else { [&whole[..], &data[..]].concat().into() };
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => return None,
        }
    }
}

/// Seeded anew in every process: nobody outside can look for two bodies with one hash.
fn hash(bytes: &[u8]) -> u64 {
    static SEEDED: OnceLock<foldhash::quality::RandomState> = OnceLock::new();
    SEEDED.get_or_init(Default::default).hash_one(bytes)
}

#[cfg(test)]
mod tests {
    use axum::{Json, response::IntoResponse};

    use super::*;

    #[test]
    fn a_body_is_known_again_whether_its_bytes_are_kept_or_made_anew() {
        let made = Print::of(Json(vec![1, 2]).into_response()).unwrap();
        assert!(matches!(made.content, Content::Hash(_)));
        let kept = Bytes::from("[1,2]".to_owned());
        let shared = Print::of(kept.clone().into_response()).unwrap();
        assert!(matches!(shared.content, Content::Kept(_)));
        for print in [&made, &shared] {
            assert!(print.is_of(&Bytes::from_static(b"[1,2]")) && print.length() == 5);
            assert!(!print.is_of(&Bytes::from_static(b"[1,3]")) && !print.is_of(&Bytes::new()));
        }
        assert_eq!(made.etag(), shared.etag());
    }

    #[test]
    fn a_validator_is_quoted_and_fixed_for_ever() {
        assert_eq!(etag(b"[1,2]"), etag(&Bytes::from_static(b"[1,2]")));
        assert_eq!(etag(b""), "\"af1349b9f5f9a1a6a0404dea36dcc949\"");
    }

    #[test]
    fn a_body_that_has_to_be_waited_for_is_not_at_hand() {
        struct Never;
        impl HttpBody for Never {
            type Data = Bytes;
            type Error = std::convert::Infallible;

            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
                Poll::Pending
            }
        }
        assert!(at_hand(Body::new(Never)).is_none());
        assert_eq!(at_hand(Body::empty()), Some(Bytes::new()));
    }
}
