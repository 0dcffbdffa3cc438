//! `FmResilientClient`: HTTP to one upstream, with retries, limits and manners.

mod auth;
mod body;
mod builder;
#[cfg(feature = "axum")]
mod cached;
mod error;
mod http_error;
mod layer;
mod query;
mod repeat;
mod request;
mod response;
mod retry_after;
mod send;
mod stats;
mod tls;
mod transport;
mod url;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use reqwest::Method;
use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    body::FmBody,
    builder::FmResilientClientBuilder,
    error::{FmClientError, FmFailure},
    http_error::FmHttpError,
    layer::{FmRetryLayer, FmRetryService},
    request::{FmJsonFuture, FmJsonRequest, FmRawRequest},
    response::{FmAnswer, FmResponse},
    stats::FmClientStats,
};
use self::{builder::Settings, stats::Counters, transport::Transport, url::BaseUrl};
use crate::{error::FmError, retry::RetryBudget};

/// An HTTP client for one upstream.
///
/// Paths are joined to its base URL and can't leave it. An attempt that fails for now (network, timeout, 5xx) is repeated
/// where repeating is harmless: GET, HEAD, PUT, DELETE, OPTIONS, requests with an idempotency key, and those that never
/// left because no connection was made; a POST is sent once, and so is a body that can't be had twice. `Retry-After` is obeyed. Answers are cut at a limit, redirects to anywhere else are not followed, and no error
/// shows a query string, a credential or a body.
///
/// Cloning is one reference count, and the clones share their connections; the last one dropped closes them. Fits a
/// `static` (behind a `LazyLock`) and an axum `State`. System proxies are not used.
///
/// # Examples
///
/// ```no_run
/// # use memory_core::{FmBody, FmError, FmResilientClient};
/// # #[derive(serde::Deserialize)] struct Data { total: u64 }
/// # async fn example() -> Result<(), FmError> {
/// let upstream = FmResilientClient::new("http://api.example.com:8080")?;
/// let data: Data = upstream.get_json("data").query(&[("page", 2)]).timeout(5).await?;
/// match upstream.get_raw("motd").await? {
///     FmBody::Json(value) => println!("{} of {}", value["text"], data.total),
///     FmBody::Text(text) => println!("{text}"),
/// }
/// upstream.aclose().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FmResilientClient {
    shared: Arc<Shared>,
}

const NO_METHOD: &str = "its method is no HTTP method";

/// What all clones of a client share.
pub(crate) struct Shared {
    base: BaseUrl,
    settings: Settings,
    counters: Counters,
    /// What the retries of all requests are paid from: there is one upstream.
    budget: RetryBudget,
    /// `None` while the client is closed.
    transport: RwLock<Option<Arc<Transport>>>,
}

impl FmResilientClient {
    /// A client with the [default](FmResilientClientBuilder#default) settings. Does no I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// As [`FmResilientClientBuilder::build`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::FmResilientClient;
    /// assert!(FmResilientClient::new("http://api.example.com:8080").is_ok());
    /// assert!(FmResilientClient::new("api.example.com").unwrap_err().is_config());
    /// ```
    pub fn new(base_url: impl Into<String>) -> Result<Self, FmError> {
        Self::builder().base_url(base_url).build()
    }

    /// Collects settings for a client.
    pub fn builder() -> FmResilientClientBuilder {
        FmResilientClientBuilder::new()
    }

    /// Opens the client again after [`aclose`](Self::aclose); an open client stays as it is.
    ///
    /// # Errors
    ///
    /// As [`FmResilientClientBuilder::build`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::{FmError, FmResilientClient};
    /// # async fn example() -> Result<(), FmError> {
    /// let upstream = FmResilientClient::new("http://api.example.com:8080")?;
    /// upstream.aclose().await;
    /// upstream.start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(&self) -> Result<(), FmError> {
        let mut transport = self.shared.transport.write().unwrap_or_else(PoisonError::into_inner);
        if transport.is_none() {
            *transport = Some(Arc::new(self.shared.open()?));
        }
        Ok(())
    }

    /// Closes the client and its clones: idle connections end, later calls are [`FmClientError::Closed`], and so are
    /// calls that wait for their next attempt or for a connection. Attempts under way may finish;
    /// [`aclose_gracefully`](Self::aclose_gracefully) waits for them. Closing twice does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::{FmClientError, FmError, FmResilientClient};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), FmError> {
    /// let upstream = FmResilientClient::new("http://api.example.com:8080")?;
    /// upstream.aclose().await;
    /// assert!(matches!(upstream.get_raw("data").await, Err(FmClientError::Closed)));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn aclose(&self) {
        self.shared.close();
    }

    /// As [`aclose`](Self::aclose), and waits until the attempts under way have ended and their answers are read or
    /// dropped. It takes as long as their timeouts at most.
    ///
    /// # Cancel safety
    ///
    /// The client is closed with the first poll; dropping the future ends the waiting alone.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::FmResilientClient;
    /// # async fn example(upstream: FmResilientClient) {
    /// upstream.aclose_gracefully().await;
    /// assert_eq!(upstream.stats().under_way, 0);
    /// # }
    /// ```
    pub async fn aclose_gracefully(&self) {
        if let Some(transport) = self.shared.close() {
            transport.gone().await;
        }
    }

    /// What the client and its clones have done so far.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::{FmError, FmResilientClient};
    /// # fn main() -> Result<(), FmError> {
    /// assert_eq!(FmResilientClient::new("http://api.example.com:8080")?.stats().attempts, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> FmClientStats {
        self.shared.counters.snapshot()
    }

    /// GET, the answer decoded as `T`.
    ///
    /// An empty body decodes as `null`; a body that is no JSON decodes as a string.
    ///
    /// # Errors
    ///
    /// [`FmHttpError`]: what an axum handler may answer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::{FmHttpError, FmResilientClient};
    /// # async fn example(upstream: FmResilientClient) -> Result<(), FmHttpError> {
    /// let names: Vec<String> = upstream.get_json("names").query(&[("starts", "a")]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_json<T: DeserializeOwned>(&self, path: impl AsRef<str>) -> FmJsonRequest<T> {
        FmJsonRequest::new(&self.shared, Method::GET, path.as_ref())
    }

    /// GET, the answer as it comes: JSON where the bytes are JSON, text otherwise.
    ///
    /// # Errors
    ///
    /// [`FmClientError`]: the cause itself.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::{FmClientError, FmResilientClient};
    /// # async fn example(upstream: FmResilientClient) {
    /// match upstream.get_raw("data").header("authorization", "Bearer secret").await {
    ///     Ok(body) => println!("{body:?}"),
    ///     Err(FmClientError::Status(failure)) => println!("answered {:?}", failure.status()),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # }
    /// ```
    pub fn get_raw(&self, path: impl AsRef<str>) -> FmRawRequest {
        FmRawRequest::new(&self.shared, Method::GET, path.as_ref())
    }

    /// Any method, given by name or as a [`Method`], the answer as it comes; add a body with [`json`](FmRawRequest::json),
    /// [`form`](FmRawRequest::form) or [`body`](FmRawRequest::body).
    ///
    /// # Errors
    ///
    /// As [`get_raw`](Self::get_raw); a method that is no HTTP token is refused when the request is awaited.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::{FmClientError, FmResilientClient};
    /// # async fn example(upstream: FmResilientClient) -> Result<(), FmClientError> {
    /// let answer = upstream.request_raw("POST", "notes").body("plain text").idempotent().text().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request_raw(&self, method: impl TryInto<Method>, path: impl AsRef<str>) -> FmRawRequest {
        match method.try_into() {
            Ok(method) => FmRawRequest::new(&self.shared, method, path.as_ref()),
            Err(_) => FmRawRequest::new(&self.shared, Method::GET, path.as_ref()).with_mistake(NO_METHOD),
        }
    }

    /// POST of `body` as JSON, the answer decoded as `T`. Sent once, unless it has an
    /// [`idempotency_key`](FmJsonRequest::idempotency_key).
    ///
    /// # Errors
    ///
    /// As [`get_json`](Self::get_json).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::{FmHttpError, FmResilientClient};
    /// # async fn example(upstream: FmResilientClient) -> Result<(), FmHttpError> {
    /// let id: u64 = upstream.post_json("items", &["pen", "ink"]).idempotency_key("order-17").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn post_json<T: DeserializeOwned>(&self, path: impl AsRef<str>, body: impl Serialize) -> FmJsonRequest<T> {
        FmJsonRequest::new(&self.shared, Method::POST, path.as_ref()).json(body)
    }

    /// PUT of `body` as JSON, the answer decoded as `T`.
    ///
    /// # Errors
    ///
    /// As [`get_json`](Self::get_json).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::{FmHttpError, FmResilientClient};
    /// # async fn example(upstream: FmResilientClient) -> Result<(), FmHttpError> {
    /// let (): () = upstream.put_json("items/7", &["pen"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_json<T: DeserializeOwned>(&self, path: impl AsRef<str>, body: impl Serialize) -> FmJsonRequest<T> {
        FmJsonRequest::new(&self.shared, Method::PUT, path.as_ref()).json(body)
    }

    /// PATCH of `body` as JSON, the answer decoded as `T`. Sent once, as [`post_json`](Self::post_json).
    ///
    /// # Errors
    ///
    /// As [`get_json`](Self::get_json).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::{FmHttpError, FmResilientClient};
    /// # async fn example(upstream: FmResilientClient) -> Result<(), FmHttpError> {
    /// let left: u64 = upstream.patch_json("items/7", &[("pens", 2)]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn patch_json<T: DeserializeOwned>(&self, path: impl AsRef<str>, body: impl Serialize) -> FmJsonRequest<T> {
        FmJsonRequest::new(&self.shared, Method::PATCH, path.as_ref()).json(body)
    }

    /// DELETE, the answer decoded as `T` (`()` where the body is empty).
    ///
    /// # Errors
    ///
    /// As [`get_json`](Self::get_json).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::{FmHttpError, FmResilientClient};
    /// # async fn example(upstream: FmResilientClient) -> Result<(), FmHttpError> {
    /// let (): () = upstream.delete_json("items/7").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete_json<T: DeserializeOwned>(&self, path: impl AsRef<str>) -> FmJsonRequest<T> {
        FmJsonRequest::new(&self.shared, Method::DELETE, path.as_ref())
    }

    /// Any method, given by name or as a [`Method`]; add a body with [`json`](FmJsonRequest::json).
    ///
    /// # Errors
    ///
    /// As [`get_json`](Self::get_json); a method that is no HTTP token is refused when the request is awaited.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use memory_core::{FmHttpError, FmResilientClient};
    /// # async fn example(upstream: FmResilientClient) -> Result<(), FmHttpError> {
    /// let (): () = upstream.request("PURGE", "cache").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request<T: DeserializeOwned>(
        &self,
        method: impl TryInto<Method>,
        path: impl AsRef<str>,
    ) -> FmJsonRequest<T> {
        match method.try_into() {
            Ok(method) => FmJsonRequest::new(&self.shared, method, path.as_ref()),
            Err(_) => FmJsonRequest::new(&self.shared, Method::GET, path.as_ref()).with_mistake(NO_METHOD),
        }
    }

    pub(crate) fn open(base: BaseUrl, settings: Settings) -> Result<Self, FmError> {
        let budget = settings.budget.clone().unwrap_or_default();
        let shared = Shared { base, settings, counters: Counters::default(), budget, transport: RwLock::new(None) };
        let transport = shared.open()?;
        *shared.transport.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(transport));
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    fn open(&self) -> Result<Transport, FmError> {
        Transport::open(&self.settings, self.base.is_secure())
    }

    fn close(&self) -> Option<Arc<Transport>> {
        let transport = self.transport.write().unwrap_or_else(PoisonError::into_inner).take();
        transport.inspect(|transport| transport.close())
    }

    /// The open transport; asked before every attempt, so that closing ends the calls that wait.
    fn transport(&self) -> Result<Arc<Transport>, FmClientError> {
        self.transport.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(FmClientError::Closed)
    }
}

impl fmt::Debug for FmResilientClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmResilientClient").field("base_url", &self.shared.base.shown()).finish_non_exhaustive()
    }
}
