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
    Body, Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Shared, auth,
    body::{self, FmBody},
    error::FmClientError,
    http_error::FmHttpError,
    query,
    response::{FmAnswer, FmResponse, Whole, sealed::Read},
    send::{self, Outgoing},
    tls, url,
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
/// Made by [`get_raw`](super::FmResilientClient::get_raw) and [`request_raw`](super::FmResilientClient::request_raw). The
/// answer is an [`FmBody`], or what [`text`](Self::text), [`bytes`](Self::bytes) and [`stream`](Self::stream) say. The
/// error is an [`FmClientError`].
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
pub struct FmRawRequest<A = FmBody> {
    draft: Draft,
    answer: PhantomData<fn() -> A>,
}

/// A request as far as it is built; the first mistake is kept and reported instead of sending.
struct Draft {
    shared: Arc<Shared>,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Option<Body>,
    #[cfg(feature = "multipart")]
    multipart: Option<reqwest::multipart::Form>,
    timeout: Duration,
    deadline: Option<Duration>,
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

        /// Makes up an [`idempotency_key`](Self::idempotency_key), unless there is one: a random UUID, the same for all
        /// attempts of this call.
        pub fn idempotent(mut self) -> Self {
            self.draft.idempotent();
            self
        }

        /// How long all attempts, the waits between them and the body may take together, instead of the client's deadline:
        /// seconds or a [`Duration`].
        pub fn deadline(mut self, deadline: impl IntoDuration) -> Self {
            self.draft.deadline(deadline);
            self
        }

        /// Sends `Authorization: Bearer <token>`, instead of what the client sends.
        pub fn bearer_auth(mut self, token: impl AsRef<str>) -> Self {
            self.draft.authorization(auth::bearer(token.as_ref()));
            self
        }

        /// Sends user and password as basic authentication (RFC 7617), instead of what the client sends.
        pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
            self.draft.authorization(auth::basic(user.as_ref(), password.as_ref()));
            self
        }

        /// Sends `body` as JSON.
        pub fn json(mut self, body: impl Serialize) -> Self {
            self.draft.json(&body);
            self
        }

        /// Sends `fields` as a form (`application/x-www-form-urlencoded`): a map, a struct or a list of pairs, as
        /// [`query`](Self::query) takes them.
        pub fn form(mut self, fields: impl Serialize) -> Self {
            self.draft.form(&fields);
            self
        }

        /// Sends `body`: text, bytes, or a stream (`reqwest::Body::wrap_stream`). Its type is said by a header
        /// `content-type`, if at all. A stream can't be had twice, so a request with one is sent once.
        pub fn body(mut self, body: impl Into<Body>) -> Self {
            self.draft.body = Some(body.into());
            self
        }

        /// Sends a form of several parts, such as files (`multipart/form-data`, RFC 7578). Its parts can't be had twice, so
        /// a request with them is sent once. Needs the feature `multipart`.
        #[cfg(feature = "multipart")]
        pub fn multipart(mut self, form: reqwest::multipart::Form) -> Self {
            self.draft.multipart = Some(form);
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
        Self { draft: Draft::new(shared, method, path), answer: PhantomData }
    }

    pub(crate) fn with_mistake(mut self, why: &'static str) -> Self {
        self.draft.mistake(why);
        self
    }
}

impl<A> FmRawRequest<A> {
    steps!();

    /// Takes the answer as text, also where it is JSON: by the `charset` of its content type, else as UTF-8.
    pub fn text(self) -> FmRawRequest<String> {
        self.answered()
    }

    /// Takes the answer as bytes, decompressed and not looked into.
    pub fn bytes(self) -> FmRawRequest<Bytes> {
        self.answered()
    }

    /// Takes the answer as soon as its headers are there; the body is read from the [`FmResponse`], under the limit of the
    /// client and within the timeout of the attempt. What fails after the headers is not sent again.
    pub fn stream(self) -> FmRawRequest<FmResponse> {
        self.answered()
    }

    fn answered<B>(self) -> FmRawRequest<B> {
        FmRawRequest { draft: self.draft, answer: PhantomData }
    }
}

/// What awaiting an [`FmJsonRequest`] does.
#[must_use = "futures do nothing unless awaited"]
pub struct FmJsonFuture<T> {
    sending: Sending,
    answer: PhantomData<fn() -> T>,
}

type Sending = Pin<Box<dyn Future<Output = Result<Whole, FmClientError>> + Send>>;

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
            let answer = sent?;
            let decoded = body::decode(&answer.body, answer.content_type.as_deref());
            Ok(decoded.map_err(|unfit| FmClientError::undecodable(&answer.target, unfit))?)
        })
    }
}

impl<A: FmAnswer> IntoFuture for FmRawRequest<A> {
    type Output = Result<A, FmClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.draft.send())
    }
}

impl Draft {
    fn new(shared: &Arc<Shared>, method: Method, path: &str) -> Self {
        Self {
            shared: Arc::clone(shared),
            method,
            path: path.to_owned(),
            query: String::new(),
            headers: shared.settings.headers.clone(),
            body: None,
            #[cfg(feature = "multipart")]
            multipart: None,
            timeout: shared.settings.timeout,
            deadline: shared.settings.repeats.deadline,
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

    fn deadline(&mut self, deadline: impl IntoDuration) {
        match deadline.into_duration() {
            Ok(deadline) => self.deadline = Some(deadline),
            Err(_) => self.mistake("its deadline is negative or no number"),
        }
    }

    fn authorization(&mut self, value: Option<HeaderValue>) {
        match value {
            Some(value) => self.header(AUTHORIZATION, value),
            None => self.mistake("its credentials have characters that can't be sent"),
        }
    }

    fn idempotent(&mut self) {
        if self.headers.contains_key(&IDEMPOTENCY_KEY) {
            return;
        }
        match tls::unique_key() {
            Some(key) => self.header(&IDEMPOTENCY_KEY, key),
            None => self.mistake("there are no random numbers for its idempotency key"),
        }
    }

    fn json(&mut self, body: &impl Serialize) {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.typed_body(bytes, "application/json"),
            Err(_) => self.mistake("its body can't be written as JSON"),
        }
    }

    fn form(&mut self, fields: &impl Serialize) {
        match query::encode(fields) {
            Ok(text) => self.typed_body(text, "application/x-www-form-urlencoded"),
            Err(_) => self.mistake("its form is no map, struct or list of pairs of scalars"),
        }
    }

    fn typed_body(&mut self, body: impl Into<Body>, content_type: &'static str) {
        self.body = Some(body.into());
        self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
    }

    async fn send<A: Read>(self) -> Result<A, FmClientError> {
        let (shared, outgoing) = self.finish()?;
        #[cfg(feature = "axum")]
        if let Some(cache) = &shared.settings.http_cache {
            return super::cached::send(&shared, cache, outgoing).await;
        }
        send::send(&shared, outgoing).await
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
        let target = Arc::from(format!("{} {}", self.method, url::shown(&url)));
        let http = self.shared.transport()?;
        // Credentials of the base URL are made a header here; one that is set already goes before them.
        let mut request = http.http().request(self.method, url).headers(self.headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        #[cfg(feature = "multipart")]
        if let Some(form) = self.multipart {
            request = request.multipart(form);
        }
        let request = request.build().map_err(|error| FmClientError::transport(&target, error))?;
        let attempts = self.shared.settings.repeats.attempts;
        let outgoing = Outgoing { request, timeout: self.timeout, deadline: self.deadline, attempts, target };
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

impl<A> fmt::Debug for FmRawRequest<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FmRawRequest").field(&self.draft).finish()
    }
}
