//! Requests that are built step by step and sent when they are awaited.

use std::{
    fmt,
    future::IntoFuture,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Shared,
    body::{self, FmBody},
    error::FmClientError,
    http_error::FmHttpError,
    query, send,
    transport::{Answer, Outgoing},
    url,
};
use crate::time::IntoDuration;

/// The header that makes a repeated request recognisable to the upstream.
pub(crate) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request whose answer is decoded as `T`; sent when it is awaited.
///
/// Made by [`get_json`](super::FmResilientClient::get_json) and its kin. The error is an [`FmHttpError`].
///
/// # Cancel safety
///
/// Dropping the future ends the attempt under way, or the wait for the next one; nothing is sent after that. Whether the
/// upstream acted on what it had received is unknown.
///
/// # Examples
///
/// ```no_run
/// # use memory_core::{FmHttpError, FmResilientClient};
/// # async fn example(upstream: FmResilientClient) -> Result<(), FmHttpError> {
/// let request = upstream.get_json::<Vec<String>>("names?sorted=true");
/// let names = request.query([("starts", "a")]).header("accept-language", "en").timeout(0.5).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a request is sent when it is awaited"]
pub struct FmJsonRequest<T> {
    draft: Draft,
    answer: PhantomData<fn() -> T>,
}

/// A request whose answer is taken as it comes; sent when it is awaited.
///
/// Made by [`get_raw`](super::FmResilientClient::get_raw). The error is an [`FmClientError`].
///
/// # Cancel safety
///
/// Dropping the future ends the attempt under way, or the wait for the next one; nothing is sent after that.
///
/// # Examples
///
/// ```no_run
/// # use memory_core::{FmBody, FmClientError, FmResilientClient};
/// # async fn example(upstream: FmResilientClient) -> Result<FmBody, FmClientError> {
/// upstream.get_raw("motd").header("accept", "text/plain").timeout(2).await
/// # }
/// ```
#[must_use = "a request is sent when it is awaited"]
pub struct FmRawRequest {
    draft: Draft,
}

/// A request as far as it is built; the first mistake is kept and reported instead of sending.
struct Draft {
    shared: Arc<Shared>,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Option<Bytes>,
    timeout: Duration,
    mistake: Option<FmClientError>,
}

macro_rules! steps {
    () => {
        /// Adds query parameters: a map, a struct or a list of pairs. A list as a value repeats its name, an absent
        /// option is left out. The path's own query is kept, and what an earlier call added.
        pub fn query(mut self, params: impl Serialize) -> Self {
            self.draft.query(&params);
            self
        }

        /// Sets a header, replacing what it was.
        pub fn header<K, V>(mut self, name: K, value: V) -> Self
        where
            K: TryInto<HeaderName>,
            V: TryInto<HeaderValue>,
        {
            self.draft.header(name, value);
            self
        }

        /// How long each attempt may take, instead of the client's timeout: seconds or a [`Duration`].
        pub fn timeout(mut self, timeout: impl IntoDuration) -> Self {
            self.draft.timeout(timeout);
            self
        }

        /// Sends this key as `Idempotency-Key`, so that the upstream can tell a repetition from another request. With it
        /// the request is sent again after a failure even where its method would forbid that, as POST does.
        pub fn idempotency_key(mut self, key: impl AsRef<str>) -> Self {
            self.draft.header(&IDEMPOTENCY_KEY, key.as_ref());
            self
        }

        /// Sends `body` as JSON.
        pub fn json(mut self, body: impl Serialize) -> Self {
            self.draft.json(&body);
            self
        }
    };
}

impl<T> FmJsonRequest<T> {
    pub(crate) fn new(shared: &Arc<Shared>, method: Method, path: &str) -> Self {
        Self { draft: Draft::new(shared, method, path), answer: PhantomData }
    }

    pub(crate) fn with_mistake(mut self, why: &'static str) -> Self {
        self.draft.mistake(why);
        self
    }

    steps!();
}

impl FmRawRequest {
    pub(crate) fn new(shared: &Arc<Shared>, method: Method, path: &str) -> Self {
        Self { draft: Draft::new(shared, method, path) }
    }

    steps!();
}

/// What awaiting an [`FmJsonRequest`] does.
#[must_use = "futures do nothing unless awaited"]
pub struct FmJsonFuture<T> {
    sending: Sending,
    answer: PhantomData<fn() -> T>,
}

type Sending = Pin<Box<dyn Future<Output = Result<(Answer, String), FmClientError>> + Send>>;

// Only the sending is boxed: a box around the decoding as well would ask that `T` be `'static`.
impl<T: DeserializeOwned> IntoFuture for FmJsonRequest<T> {
    type Output = Result<T, FmHttpError>;
    type IntoFuture = FmJsonFuture<T>;

    fn into_future(self) -> FmJsonFuture<T> {
        FmJsonFuture { sending: Box::pin(self.draft.send()), answer: PhantomData }
    }
}

impl<T: DeserializeOwned> Future for FmJsonFuture<T> {
    type Output = Result<T, FmHttpError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.sending.as_mut().poll(context).map(|sent| {
            let (answer, target) = sent?;
            let decoded = body::decode(&answer.body, answer.content_type.as_deref());
            Ok(decoded.map_err(|unfit| FmClientError::undecodable(&target, unfit))?)
        })
    }
}

impl IntoFuture for FmRawRequest {
    type Output = Result<FmBody, FmClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (answer, target) = self.draft.send().await?;
            FmBody::sniff(&answer.body, answer.content_type.as_deref())
                .map_err(|unfit| FmClientError::undecodable(&target, unfit))
        })
    }
}

impl Draft {
    fn new(shared: &Arc<Shared>, method: Method, path: &str) -> Self {
        Self {
            shared: Arc::clone(shared),
            method,
            path: path.to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: None,
            timeout: shared.settings.timeout,
            mistake: None,
        }
    }

    fn mistake(&mut self, why: &'static str) {
        self.mistake.get_or_insert(FmClientError::InvalidRequest(why));
    }

    fn query(&mut self, params: &impl Serialize) {
        match query::encode(params) {
            Ok(more) => append(&mut self.query, &more),
            Err(why) => self.mistake(why),
        }
    }

    fn header(&mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(mut value)) => {
                // Which headers hold secrets is not ours to guess, so none is shown by anything below us.
                value.set_sensitive(true);
                self.headers.insert(name, value);
            }
            (Err(_), _) => self.mistake("a header's name has characters that no header name has"),
            (_, Err(_)) => self.mistake("a header's value has characters (such as CR or LF) that no header value has"),
        }
    }

    fn timeout(&mut self, timeout: impl IntoDuration) {
        match timeout.into_duration() {
            Ok(timeout) => self.timeout = timeout,
            Err(_) => self.mistake("its timeout is negative or no number"),
        }
    }

    fn json(&mut self, body: &impl Serialize) {
        match serde_json::to_vec(body) {
            Ok(bytes) => {
                self.body = Some(bytes.into());
                self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            }
            Err(_) => self.mistake("its body can't be written as JSON"),
        }
    }

    async fn send(self) -> Result<(Answer, String), FmClientError> {
        let (shared, outgoing) = self.finish()?;
        let target = outgoing.target.clone();
        Ok((send::send(&shared, outgoing).await?, target))
    }

    fn finish(self) -> Result<(Arc<Shared>, Outgoing), FmClientError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let mut url = self.shared.base.join(&self.path).map_err(FmClientError::InvalidPath)?;
        if !self.query.is_empty() {
            let mut query = url.query().unwrap_or_default().to_owned();
            append(&mut query, &self.query);
            url.set_query(Some(&query));
        }
        let target = format!("{} {}", self.method, url::shown(&url));
        let outgoing = Outgoing {
            method: self.method,
            url,
            headers: self.headers,
            body: self.body,
            timeout: self.timeout,
            target,
        };
        Ok((self.shared, outgoing))
    }
}

fn append(query: &mut String, more: &str) {
    if !query.is_empty() && !more.is_empty() {
        query.push('&');
    }
    query.push_str(more);
}

/// Shows neither query, headers nor body.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split(['?', '#']).next().unwrap_or_default();
        f.debug_struct("Request").field("method", &self.method).field("path", &path).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for FmJsonRequest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FmJsonRequest").field(&self.draft).finish()
    }
}

impl<T> fmt::Debug for FmJsonFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmJsonFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for FmRawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FmRawRequest").field(&self.draft).finish()
    }
}
