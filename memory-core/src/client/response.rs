//! An answer as it arrives: status and headers at once, the body in pieces.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    body::{self, FmBody},
    error::FmClientError,
    transport::Transport,
};

/// An answer of status 2xx whose body is still to be read.
///
/// Made by [`stream`](super::FmRawRequest::stream). Until it is dropped or read to its end it counts as one of the
/// client's connections; the timeout of the request goes on, and the limit of the client holds for the body.
///
/// # Cancel safety
///
/// No piece is lost when a future of [`chunk`](Self::chunk) is dropped before it was ready. Dropping the answer itself
/// ends its connection, unless the body had been read.
///
/// # Examples
///
/// ```no_run
/// # use memory_core::{FmClientError, FmResilientClient};
/// # async fn example(upstream: FmResilientClient) -> Result<u64, FmClientError> {
/// let mut answer = upstream.get_raw("export.csv").timeout(600).stream().await?;
/// let mut length = 0;
/// while let Some(piece) = answer.chunk().await? {
///     length += piece.len() as u64;
/// }
/// # Ok(length)
/// # }
/// ```
pub struct FmResponse {
    response: Response,
    target: Arc<str>,
    /// How many bytes may follow.
    left: u64,
    limit: u64,
    /// `None`: its body has it, or it took none.
    _turn: Option<Turn>,
}

/// A connection in use.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    /// A client that closes waits for its answers.
    _transport: Arc<Transport>,
}

impl Turn {
    pub(crate) fn new(permit: OwnedSemaphorePermit, transport: Arc<Transport>) -> Self {
        Self { _permit: permit, _transport: transport }
    }
}

impl FmResponse {
    /// Refuses a body that announces to be too long.
    pub(crate) fn new(
        response: Response,
        target: &Arc<str>,
        limit: u64,
        turn: Option<Turn>,
    ) -> Result<Self, FmClientError> {
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(FmClientError::too_large(target, limit));
        }
        Ok(Self { response, target: Arc::clone(target), left: limit, limit, _turn: turn })
    }

    /// The status, which is 2xx: any other one is [`FmClientError::Status`].
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// How long the body is, where the upstream says so and did not compress it.
    pub fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece of the body, decompressed; `None` at its end.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](FmClientError::TooLarge) once more than the client's limit has come, [`Request`](FmClientError::Request)
    /// when the body breaks off or the timeout passes, [`Decode`](FmClientError::Decode) when it can't be decompressed.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FmClientError> {
        let piece = self.response.chunk().await.map_err(|error| FmClientError::transport(&self.target, error))?;
        if let Some(piece) = &piece {
            let left = self.left.checked_sub(piece.len() as u64);
            self.left = left.ok_or_else(|| FmClientError::too_large(&self.target, self.limit))?;
        }
        Ok(piece)
    }

    /// The rest of the body.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    pub async fn bytes(mut self) -> Result<Bytes, FmClientError> {
        self.rest().await.map(Bytes::from)
    }

    /// The answer below, and the connection that it comes by.
    #[cfg(feature = "axum")]
    pub(super) fn into_parts(self) -> (Response, Option<Turn>) {
        let Self { response, _turn: turn, .. } = self;
        (response, turn)
    }

    pub(super) async fn rest(&mut self) -> Result<Vec<u8>, FmClientError> {
        let mut body = Vec::new();
        while let Some(piece) = self.chunk().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn content_type(&self) -> Option<String> {
        self.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }
}

/// Shows no header, for which of them hold secrets is unknown.
impl fmt::Debug for FmResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmResponse")
            .field("target", &self.target)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// What a request can be answered with: [`FmBody`], [`String`], [`Bytes`] or [`FmResponse`].
#[diagnostic::on_unimplemented(
    message = "a request is not answered with `{Self}`",
    note = "`get_raw` gives an `FmBody`; `.text()` a `String`, `.bytes()` the bytes, `.stream()` an `FmResponse`"
)]
pub trait FmAnswer: Sized + Send + 'static + sealed::Read {}

impl<A: sealed::Read> FmAnswer for A {}

pub(crate) mod sealed {
    use super::{FmClientError, FmResponse, StatusCode};

    /// Reads as much of an answer as belongs to the attempt.
    pub trait Read: Sized + Send + 'static {
        /// Whether that is less than all of it.
        #[doc(hidden)]
        const STREAMS: bool = false;

        /// Whether an answer of this status is none that failed.
        #[doc(hidden)]
        fn takes(status: StatusCode) -> bool {
            status.is_success()
        }

        /// Whether it is an answer that the caller has asked for.
        #[doc(hidden)]
        fn is_success(&self) -> bool {
            true
        }

        #[doc(hidden)]
        fn read(response: FmResponse) -> impl Future<Output = Result<Self, FmClientError>> + Send;
    }
}

/// A body that was read to its end.
pub(crate) struct Whole {
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: Option<String>,
    pub(crate) target: Arc<str>,
}

impl sealed::Read for Whole {
    async fn read(mut response: FmResponse) -> Result<Self, FmClientError> {
        let body = response.rest().await?;
        Ok(Self { body, content_type: response.content_type(), target: response.target })
    }
}

impl sealed::Read for FmBody {
    async fn read(response: FmResponse) -> Result<Self, FmClientError> {
        let whole = Whole::read(response).await?;
        Self::sniff(&whole.body, whole.content_type.as_deref())
            .map_err(|unfit| FmClientError::undecodable(&whole.target, unfit))
    }
}

impl sealed::Read for String {
    async fn read(response: FmResponse) -> Result<Self, FmClientError> {
        let whole = Whole::read(response).await?;
        Ok(body::text(&whole.body, whole.content_type.as_deref()))
    }
}

impl sealed::Read for Bytes {
    async fn read(response: FmResponse) -> Result<Self, FmClientError> {
        response.bytes().await
    }
}

impl sealed::Read for FmResponse {
    const STREAMS: bool = true;

    async fn read(response: FmResponse) -> Result<Self, FmClientError> {
        Ok(response)
    }
}
