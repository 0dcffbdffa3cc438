//! A response as it is stored.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, StatusCode},
};
use serde::{Deserialize, Serialize, de::Error};

use super::{
    super::page::Head,
    Asked, Method, Policy,
    range::Piece,
    vary::{self, Selector},
};

/// A response as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(in crate::http) struct Stored {
    pub(in crate::http) status: StatusCode,
    pub(in crate::http) headers: HeaderMap,
    pub(in crate::http) body: Bytes,
    /// Of a 206, what part its body is.
    pub(super) piece: Option<Piece>,
    /// What requests must have for it to be their answer.
    pub(super) selectors: Vec<Selector>,
    pub(in crate::http) terms: Terms,
}

/// What a response says about its use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::http) struct Terms {
    /// How long it is fresh, counted from its generation.
    pub(in crate::http) lifetime: Duration,
    /// Whether each use needs a validation.
    pub(in crate::http) no_cache: bool,
    /// Whether it may not be used past its freshness.
    pub(in crate::http) forbids_stale: bool,
    /// Whether it is for all, whoever they are.
    pub(in crate::http) is_for_all: bool,
    /// Whether requests with cookies may have it.
    pub(in crate::http) is_for_cookies: bool,
    /// Whether it is only for requests with the same fields.
    pub(in crate::http) is_personal: bool,
    pub(in crate::http) stale_while_revalidate: Duration,
    pub(in crate::http) stale_if_error: Option<Duration>,
}

impl Stored {
    /// Whether it is the answer to a request with these headers.
    pub(in crate::http) fn answers(&self, asked: &Asked, headers: &HeaderMap, policy: &Policy) -> bool {
        let has_part = |piece: &Piece| asked.method == Method::Get && piece.part(headers, self).is_some();
        self.piece.as_ref().is_none_or(has_part) && vary::selects(self, headers, policy)
    }

    /// Whether `other` answers the same requests.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.selectors == other.selectors && (self.piece.is_none() || self.piece == other.piece)
    }

    /// With these fields, as they came, for the one who asked for it.
    pub(in crate::http) fn with_all_fields(&self, headers: HeaderMap) -> Self {
        Self { headers, ..self.clone() }
    }
}

/// A [`Stored`] as it is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    head: Head,
    body: Bytes,
    piece: Option<Piece>,
    selectors: Vec<(String, Option<Bytes>)>,
    terms: Terms,
}

impl From<Stored> for Written {
    fn from(stored: Stored) -> Self {
        let Stored { status, headers, body, piece, selectors, terms } = stored;
        Self {
            head: Head { status, headers },
            body,
            piece,
            selectors: selectors
                .into_iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.map(Bytes::from)))
                .collect(),
            terms,
        }
    }
}

impl TryFrom<Written> for Stored {
    type Error = axum::http::Error;

    fn try_from(written: Written) -> Result<Self, axum::http::Error> {
        let Head { status, headers } = written.head;
        let selectors = written.selectors.into_iter();
        let selectors = selectors.map(|(name, value)| Ok((HeaderName::try_from(name)?, value.map(Vec::from))));
        Ok(Self {
            status,
            headers,
            body: written.body,
            piece: written.piece,
            selectors: selectors.collect::<Result<_, axum::http::Error>>()?,
            terms: written.terms,
        })
    }
}

/// Serialises what is shared as what it is.
pub(super) mod shared {
    use serde::{Deserializer, Serializer};

    use super::{Arc, Deserialize, Error, Serialize, Stored};

    pub(in crate::http::cache) fn serialize<S: Serializer>(stored: &Arc<Stored>, to: S) -> Result<S::Ok, S::Error> {
        Stored::serialize(stored, to)
    }

    pub(in crate::http::cache) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Stored>, D::Error> {
        Stored::deserialize(from).map(Arc::new).map_err(D::Error::custom)
    }
}
