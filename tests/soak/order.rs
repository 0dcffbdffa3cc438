//! How a body behaves: its request says it, in headers that no key knows of.

use std::{error::Error, fmt, time::Duration};

use axum::{
    Json,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use fastrand::Rng;
use memory_core::{CacheKey, FmError};
use serde::{Deserialize, Serialize};

use crate::call::{Call, Made, Shape, now};

/// What panics of bodies say, so that they can be told from others.
pub(crate) const PLANNED: &str = "planned panic";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Calm,
    /// Takes so many milliseconds.
    Slow(u64),
    Fails,
    Panics,
    Hangs,
}

impl Mood {
    pub(crate) fn random(shape: Shape, rng: &mut Rng) -> Self {
        match rng.u8(..100) {
            0..60 => Self::Calm,
            60..85 => Self::Slow(rng.u64(1..50)),
            85..93 => Self::Fails,
            93..97 => Self::Panics,
            _ if shape.has_timeout() => Self::Hangs,
            _ => Self::Slow(60),
        }
    }

    pub(crate) fn to_header(self) -> String {
        match self {
            Self::Calm => "calm".to_owned(),
            Self::Slow(length) => length.to_string(),
            Self::Fails => "fails".to_owned(),
            Self::Panics => "panics".to_owned(),
            Self::Hangs => "hangs".to_owned(),
        }
    }

    fn of_header(text: &str) -> Option<Self> {
        match text {
            "calm" => Some(Self::Calm),
            "fails" => Some(Self::Fails),
            "panics" => Some(Self::Panics),
            "hangs" => Some(Self::Hangs),
            length => length.parse().ok().map(Self::Slow),
        }
    }
}

/// How the body of one request behaves.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) request: u64,
    pub(crate) mood: Mood,
}

impl Order {
    /// What every body does.
    pub(crate) async fn make(&self, of: Call) -> Result<Made, Failure> {
        let began = now();
        match self.mood {
            Mood::Calm => tokio::task::yield_now().await,
            Mood::Slow(length) => tokio::time::sleep(Duration::from_millis(length)).await,
            Mood::Hangs => std::future::pending().await,
            Mood::Panics => {
                tokio::time::sleep(Duration::from_millis(2)).await;
                panic!("{PLANNED}");
            }
            Mood::Fails => {
                tokio::time::sleep(Duration::from_millis(2)).await;
                return Err(Failure { of, request: self.request, done: now() });
            }
        }
        Ok(Made::new(of, began))
    }
}

impl<S: Sync> FromRequestParts<S> for Order {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let request = header(parts, "request")?.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
        let mood = Mood::of_header(&header(parts, "mood")?).ok_or(StatusCode::BAD_REQUEST)?;
        Ok(Self { request, mood })
    }
}

/// Who asks.
#[derive(CacheKey)]
pub(crate) struct CurrentUser {
    #[cache_key]
    pub(crate) name: String,
    _session: String,
}

impl<S: Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        Ok(Self { name: header(parts, "user")?, _session: header(parts, "request")? })
    }
}

fn header(parts: &Parts, name: &str) -> Result<String, StatusCode> {
    let text = parts.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    text.map(str::to_owned).ok_or(StatusCode::UNAUTHORIZED)
}

/// The failure of a body: it belongs to a question, as a value does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) of: Call,
    /// Whose body failed.
    pub(crate) request: u64,
    pub(crate) done: u64,
}

/// The error of functions whose waiters share it.
#[derive(Clone, Debug)]
pub(crate) enum AppError {
    Body(Failure),
    Cache(FmError),
}

impl From<Failure> for AppError {
    fn from(failure: Failure) -> Self {
        Self::Body(failure)
    }
}

impl From<FmError> for AppError {
    fn from(error: FmError) -> Self {
        Self::Cache(error)
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Error for AppError {}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            Self::Body(failure) => (StatusCode::BAD_GATEWAY, Json(failure)).into_response(),
            Self::Cache(error) if of_body(&error).is_some() => {
                (StatusCode::BAD_GATEWAY, Json(of_body(&error))).into_response()
            }
            Self::Cache(error) if error.is_timeout() => StatusCode::GATEWAY_TIMEOUT.into_response(),
            Self::Cache(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

/// Those who wait for a run that is made by hand get its failure as the source of their own.
fn of_body(error: &FmError) -> Option<&Failure> {
    match error.source()?.downcast_ref::<AppError>()? {
        AppError::Body(failure) => Some(failure),
        AppError::Cache(_) => None,
    }
}

/// An error that waiters can't share: neither cloned nor made from the cache's own.
#[derive(Debug)]
pub(crate) struct Own(pub(crate) Failure);

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Error for Own {}
