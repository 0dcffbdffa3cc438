//! What the engine must know about a returned value: which part is stored, how it is encoded, how a failure is shared.

use std::{
    any::Any,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, Damage, Meta},
    error::{FmError, Kind},
    time::Expiry,
};

/// The shape of a return type, as a zero-sized value.
pub trait Outcome: Copy + Send + Sync + 'static {
    /// What the function returns.
    type Return;
    /// The part of it that is stored and shared.
    type Stored: Clone + Send + Sync + 'static;
    /// What is returned, but counts as "nothing there": `()` where there is such a thing.
    type Absent: Copy + Send + Sync + 'static;
    /// The error, where there is one.
    type Failure;
    /// Takes a returned value apart.
    fn split(self, returned: Self::Return) -> Split<Self::Stored, Self::Absent, Self::Failure>;
    /// Puts a returned value together.
    fn value(self, stored: Self::Stored) -> Self::Return;
    /// Puts a returned value together.
    fn absent(self, absent: Self::Absent) -> Self::Return;
    /// Puts a returned value together.
    fn failed(self, failure: Self::Failure) -> Self::Return;
    /// Whether it is a `None`, inside a `Result` or not.
    fn is_none(self, returned: &Self::Return) -> bool;
    /// Whether it is an `Err`.
    fn is_err(self, returned: &Self::Return) -> bool;

    /// Whom it may reach.
    fn fate(self, _: &Self::Return) -> Fate {
        Fate::Stored
    }

    /// Ready once all of a value that a body has returned is there.
    fn poll_whole(self, _: &mut Self::Return, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Whom a returned value may reach, as far as it can be told from the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Everybody: now, and from the store.
    Stored,
    /// Those who wait for the run.
    Shared,
    /// The caller whose body has returned it.
    OneCaller,
}

/// A returned value, taken apart.
pub enum Split<V, A, F> {
    /// To be stored and shared.
    Value(V),
    /// To be shared, not stored.
    Absent(A),
    /// To be shared as its [`Share`] says, not stored.
    Failed(F),
}

#[cfg(feature = "axum")]
impl<V, A, F> Split<V, A, F> {
    pub(crate) fn map<U>(self, value: impl FnOnce(V) -> U) -> Split<U, A, F> {
        match self {
            Self::Value(inner) => Split::Value(value(inner)),
            Self::Absent(absent) => Split::Absent(absent),
            Self::Failed(failure) => Split::Failed(failure),
        }
    }
}

/// How the failure of a run reaches those who waited for it.
pub trait Share<F>: Copy + Send + Sync + 'static {
    /// What is kept for them.
    type Shared: Send + Sync + 'static;
    /// What the caller that started the run gets, and what the others get; `None`: they run the body themselves.
    /// Called only when somebody waits.
    fn share(self, failure: F) -> (F, Option<Self::Shared>);
    /// One waiter's failure.
    fn failure(self, shared: &Self::Shared) -> F;
}

/// How a stored value is weighed and turned into bytes.
pub trait Face<T>: Copy + Send + Sync + 'static {
    /// How many bytes it counts for.
    fn weigh(self, value: &T) -> u64;
    /// Its bytes; `None` where it never leaves the process.
    fn encode(self, meta: &Meta<'_>, value: &T) -> Option<Result<Vec<u8>, FmError>>;
    /// The value behind bytes.
    ///
    /// # Errors
    ///
    /// They are no such value.
    fn decode(self, meta: &Meta<'_>, body: &[u8]) -> Result<T, Damage>;
    /// Whether it may leave the process.
    fn leaves_the_process(self) -> bool;
}

/// Values that serialise: they fit every backend.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

/// Values that stay in this process.
#[derive(Clone, Copy, Debug)]
pub struct MemoryOnly;

impl<T: Serialize + DeserializeOwned> Face<T> for Portable {
    fn weigh(self, value: &T) -> u64 {
        codec::weigh(value)
    }

    fn encode(self, meta: &Meta<'_>, value: &T) -> Option<Result<Vec<u8>, FmError>> {
        Some(codec::encode(meta, value))
    }

    fn decode(self, meta: &Meta<'_>, body: &[u8]) -> Result<T, Damage> {
        codec::decode_value(meta, body)
    }

    fn leaves_the_process(self) -> bool {
        true
    }
}

impl<T> Face<T> for MemoryOnly {
    fn weigh(self, value: &T) -> u64 {
        size_of_val(value) as u64
    }

    fn encode(self, _: &Meta<'_>, _: &T) -> Option<Result<Vec<u8>, FmError>> {
        None
    }

    fn decode(self, _: &Meta<'_>, _: &[u8]) -> Result<T, Damage> {
        Err(Damage::Foreign)
    }

    fn leaves_the_process(self) -> bool {
        false
    }
}

/// What becomes of a returned value. The fields that are `None` take the cache's defaults.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whether it is stored at all.
    pub store: bool,
    /// For how long.
    pub expiry: Option<Result<Expiry, FmError>>,
    /// By how much, at most, the expiry is shortened at random (0 to 1).
    pub jitter: Option<f64>,
    /// How long after the last read it expires.
    pub idle: Option<Result<Duration, FmError>>,
    /// For how long after its expiry it is answered while it is refreshed.
    pub stale_while_revalidate: Option<Result<Duration, FmError>>,
    /// For how long after its expiry it is answered when its refresh fails.
    pub stale_if_error: Option<Result<Duration, FmError>>,
    /// After which part of its life (0 to 1) a read has it refreshed.
    pub refresh_ahead: Option<f64>,
    /// The tags it can be invalidated by.
    pub tags: Vec<String>,
    /// Whether a stale value, where there is one, is the better answer. `None`: it is when this one is an `Err`.
    pub is_failure: Option<bool>,
}

impl Verdict {
    /// Stored, with the cache's defaults.
    pub fn keep() -> Self {
        Self {
            store: true,
            expiry: None,
            jitter: None,
            idle: None,
            stale_while_revalidate: None,
            stale_if_error: None,
            refresh_ahead: None,
            tags: Vec::new(),
            is_failure: None,
        }
    }

    /// Not stored.
    pub fn discard() -> Self {
        Self { store: false, ..Self::keep() }
    }
}

/// The shape and the sharing of `Result<T, E>` by bounds alone, for `get_or_compute`.
pub(crate) struct Computed<T, E>(std::marker::PhantomData<fn() -> (T, E)>);

impl<T, E> Computed<T, E> {
    pub(crate) const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T, E> Clone for Computed<T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, E> Copy for Computed<T, E> {}

impl<T: Clone + Send + Sync + 'static, E: 'static> Outcome for Computed<T, E> {
    type Return = Result<T, E>;
    type Stored = T;
    type Absent = std::convert::Infallible;
    type Failure = E;

    fn split(self, returned: Result<T, E>) -> Split<T, Self::Absent, E> {
        returned.map_or_else(Split::Failed, Split::Value)
    }

    fn value(self, stored: T) -> Result<T, E> {
        Ok(stored)
    }

    fn absent(self, absent: Self::Absent) -> Result<T, E> {
        match absent {}
    }

    fn failed(self, failure: E) -> Result<T, E> {
        Err(failure)
    }

    fn is_none(self, _: &Result<T, E>) -> bool {
        false
    }

    fn is_err(self, returned: &Result<T, E>) -> bool {
        returned.is_err()
    }
}

/// The error becomes the source of an [`FmError`], which every caller gets wrapped in its own error type.
#[derive(Clone, Copy, Debug)]
pub struct AsSource;

impl AsSource {
    pub(crate) const MESSAGE: &str = "the run this call waited for failed";
}

impl<E> Share<E> for AsSource
where
    E: From<FmError> + Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Shared = FmError;

    fn share(self, failure: E) -> (E, Option<FmError>) {
        let shared = FmError::with_source(Kind::Run, Self::MESSAGE, failure);
        (E::from(shared.clone()), Some(shared))
    }

    fn failure(self, shared: &FmError) -> E {
        E::from(shared.clone())
    }
}

/// A value of any type, shared between a run, its waiters and the store.
pub(crate) type Shared = Arc<dyn Any + Send + Sync>;

/// The future of a body, boxed where a run has a task of its own.
pub type BodyFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
