//! JSON that is serialised once.

use std::{fmt, ops::Deref, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, ETAG},
    },
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::Error};

use crate::print;

/// A value with its JSON: serialised when it is made, never again. Dereferences to the value; a clone is cheap.
///
/// For handlers: as axum's `Json`, but a memorized handler that returns it serialises once per stored value, not once per
/// request. That includes values that come back from Redis, which come with their bytes. The response carries a strong `ETag`;
/// [`FmCacheHeadersLayer`](super::FmCacheHeadersLayer) does the rest of HTTP caching.
///
/// The value and its JSON are both kept: it takes about twice the memory of a plain `Json`.
///
/// A value that cannot be JSON (its `Serialize` fails, a map has keys that are no strings) is a response with status 500, as with
/// axum's `Json`, and is not stored.
///
/// # Examples
///
/// ```
/// use axum::{Router, extract::Path, routing::get};
/// use memory_core::{FmCacheHeadersLayer, FmJson, memorize};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct User {
///     id: u64,
/// }
///
/// #[memorize(expire = 60)]
/// async fn get_user(Path(id): Path<u64>) -> FmJson<User> {
///     FmJson(User { id })
/// }
///
/// let app: Router = Router::new().route("/users/{id}", get(get_user)).layer(FmCacheHeadersLayer::new());
/// ```
pub struct FmJson<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    written: Result<Written, Box<str>>,
    value: T,
}

#[derive(Clone)]
struct Written {
    body: Bytes,
    etag: HeaderValue,
}

/// Makes an [`FmJson`](struct@FmJson), as `Json(value)` does a `Json`.
#[allow(non_snake_case)]
pub fn FmJson<T: Serialize>(value: T) -> FmJson<T> {
    FmJson::new(value)
}

impl<T> FmJson<T> {
    /// Serialises `value`.
    pub fn new(value: T) -> Self
    where
        T: Serialize,
    {
        let written = serde_json::to_vec(&value).map(Written::of).map_err(|error| error.to_string().into());
        Self { inner: Arc::new(Inner { written, value }) }
    }

    /// The value, cloned where others have it too.
    pub fn into_inner(this: Self) -> T
    where
        T: Clone,
    {
        Arc::try_unwrap(this.inner).map_or_else(|shared| shared.value.clone(), |inner| inner.value)
    }

    /// The JSON; `None` where the value cannot be JSON.
    pub fn bytes(this: &Self) -> Option<&Bytes> {
        this.inner.written.as_ref().ok().map(|written| &written.body)
    }

    /// The strong `ETag` of the JSON, quoted; `None` where the value cannot be JSON.
    pub fn etag(this: &Self) -> Option<&HeaderValue> {
        this.inner.written.as_ref().ok().map(|written| &written.etag)
    }
}

impl Written {
    fn of(json: Vec<u8>) -> Self {
        Self { etag: print::etag(&json), body: json.into() }
    }
}

impl<T> Clone for FmJson<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T> Deref for FmJson<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner.value
    }
}

impl<T> AsRef<T> for FmJson<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: Serialize> From<T> for FmJson<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for FmJson<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FmJson").field(&&**self).finish()
    }
}

impl<T: PartialEq> PartialEq for FmJson<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for FmJson<T> {}

impl<T: Default + Serialize> Default for FmJson<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// As the value.
impl<T: Serialize> Serialize for FmJson<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

/// As the value.
impl<'de, T: Deserialize<'de> + Serialize> Deserialize<'de> for FmJson<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

impl<T> IntoResponse for FmJson<T> {
    fn into_response(self) -> Response {
        match &self.inner.written {
            Ok(Written { body, etag }) => {
                let mut response = Response::new(Body::from(body.clone()));
                // With room for what a layer may add.
                response.headers_mut().reserve(8);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response.headers_mut().insert(ETAG, etag.clone());
                response
            }
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

/// An [`FmJson`](struct@FmJson) as caches store it: in this process as it is, elsewhere as its JSON.
pub struct StoredJson<T>(pub(crate) FmJson<T>);

impl<T> Clone for StoredJson<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Serialize for StoredJson<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.inner.written {
            Ok(written) => written.body.serialize(serializer),
            Err(error) => Err(S::Error::custom(error)),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for StoredJson<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Bytes::deserialize(deserializer)?;
        let value = serde_json::from_slice(&body).map_err(serde::de::Error::custom)?;
        let written = Written { etag: print::etag(&body), body };
        Ok(Self(FmJson { inner: Arc::new(Inner { written: Ok(written), value }) }))
    }
}
