// STUB: the lead replaces this file. A cache without expiry, coalescing or bounds, enough to try the expansions.
//! Stub.
use std::{
    any::Any,
    collections::HashMap,
    fmt,
    future::{Future, IntoFuture, Ready, ready},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    outcome::{Outcome, Split},
    share::Share,
    spec::FnSpec,
};
use crate::{
    backend::{BoxFuture, Prefix},
    cache::FmCache,
    error::FmError,
    key::{Key, KeyBuf},
    time::Expiry,
};

/// Stub.
pub struct Verdict {
    /// Stub.
    pub store: bool,
    /// Stub.
    pub expiry: Option<Result<Expiry, FmError>>,
    /// Stub.
    pub jitter: Option<f64>,
    /// Stub.
    pub idle: Option<Result<Duration, FmError>>,
}

impl Verdict {
    /// Stub.
    pub fn keep() -> Self {
        Self { store: true, expiry: None, jitter: None, idle: None }
    }
}

/// Stub.
#[derive(Clone, Copy)]
pub struct Portable;
/// Stub.
#[derive(Clone, Copy)]
pub struct MemoryOnly;
/// Stub.
pub trait Face<T>: Copy + Send + Sync + 'static {}
impl<T: Serialize + DeserializeOwned> Face<T> for Portable {}
impl<T> Face<T> for MemoryOnly {}

/// Stub.
pub struct Call<'a, S, X, H> {
    /// Stub.
    pub cache: Option<&'a FmCache>,
    /// Stub.
    pub spec: &'static FnSpec,
    /// Stub.
    pub key: KeyBuf,
    /// Stub.
    pub shape: S,
    /// Stub.
    pub face: X,
    /// Stub.
    pub share: H,
    /// Stub.
    pub refresh: bool,
}

type Store = Mutex<HashMap<Key, Arc<dyn Any + Send + Sync>>>;

fn store(cache: Option<&FmCache>) -> Arc<Store> {
    static GLOBAL: OnceLock<Arc<Store>> = OnceLock::new();
    cache.map_or_else(|| GLOBAL.get_or_init(Arc::default).clone(), |cache| cache.0.clone())
}

fn lookup<S: Outcome>(cache: Option<&FmCache>, key: &KeyBuf, shape: S) -> Option<S::Return> {
    let store = store(cache);
    let found = store.lock().unwrap().get(&key.to_key())?.downcast_ref::<S::Stored>()?.clone();
    Some(shape.value(found))
}

fn keep<S: Outcome>(
    cache: Option<&FmCache>,
    key: &KeyBuf,
    shape: S,
    verdict: Verdict,
    returned: S::Return,
) -> S::Return {
    match shape.split(returned) {
        Split::Value(value) => {
            let zero = matches!(verdict.expiry, Some(Ok(expiry)) if expiry.is_zero());
            if verdict.store && !zero && key.failure().is_none() {
                store(cache).lock().unwrap().insert(key.to_key(), Arc::new(value.clone()));
            }
            shape.value(value)
        }
        Split::Absent(absent) => shape.absent(absent),
        Split::Failed(failure) => shape.failed(failure),
    }
}

/// Stub.
pub async fn detached<S: Outcome, X: Face<S::Stored>, H: Share<S::Failure>>(
    call: Call<'_, S, X, H>,
    judge: impl FnOnce(&S::Return) -> Verdict + Send + 'static,
    start: impl FnOnce() -> BoxFuture<'static, S::Return>,
) -> S::Return
where
    S::Return: Send,
{
    if !call.refresh
        && let Some(found) = lookup(call.cache, &call.key, call.shape)
    {
        return found;
    }
    let run = start();
    let returned = run.await;
    let verdict = judge(&returned);
    keep(call.cache, &call.key, call.shape, verdict, returned)
}

/// Stub.
pub async fn in_place<S: Outcome, X: Face<S::Stored>, H: Share<S::Failure>, F: Future<Output = S::Return>>(
    call: Call<'_, S, X, H>,
    judge: impl FnOnce(&S::Return) -> Verdict,
    start: impl FnOnce() -> F,
) -> S::Return {
    if !call.refresh
        && let Some(found) = lookup(call.cache, &call.key, call.shape)
    {
        return found;
    }
    let returned = start().await;
    let verdict = judge(&returned);
    keep(call.cache, &call.key, call.shape, verdict, returned)
}

/// Stub.
pub fn blocking<S: Outcome, X: Face<S::Stored>, H: Share<S::Failure>>(
    call: Call<'_, S, X, H>,
    judge: impl FnOnce(&S::Return) -> Verdict,
    start: impl FnOnce() -> S::Return,
) -> S::Return {
    if !call.refresh
        && let Some(found) = lookup(call.cache, &call.key, call.shape)
    {
        return found;
    }
    let returned = start();
    let verdict = judge(&returned);
    keep(call.cache, &call.key, call.shape, verdict, returned)
}

/// Stub.
pub async fn refresh_detached<S: Outcome, X: Face<S::Stored>, H: Share<S::Failure>>(
    mut call: Call<'_, S, X, H>,
    judge: impl FnOnce(&S::Return) -> Verdict + Send + 'static,
    start: impl FnOnce() -> BoxFuture<'static, S::Return>,
) -> S::Return
where
    S::Return: Send,
{
    call.refresh = true;
    detached(call, judge, start).await
}

/// Stub.
pub async fn refresh_in_place<S: Outcome, X: Face<S::Stored>, H: Share<S::Failure>, F: Future<Output = S::Return>>(
    mut call: Call<'_, S, X, H>,
    judge: impl FnOnce(&S::Return) -> Verdict,
    start: impl FnOnce() -> F,
) -> S::Return {
    call.refresh = true;
    in_place(call, judge, start).await
}

/// Stub.
pub struct Remove(bool);
impl Remove {
    /// Stub.
    #[must_use]
    pub fn strict(self) -> Self {
        self
    }
}
impl IntoFuture for Remove {
    type Output = Result<bool, FmError>;
    type IntoFuture = Ready<Self::Output>;
    fn into_future(self) -> Self::IntoFuture {
        ready(Ok(self.0))
    }
}

/// Stub.
pub fn invalidate(cache: Option<&FmCache>, _: &'static FnSpec, key: KeyBuf) -> Remove {
    Remove(store(cache).lock().unwrap().remove(&key.to_key()).is_some())
}

/// Stub.
pub fn invalidate_blocking(cache: Option<&FmCache>, spec: &'static FnSpec, key: KeyBuf) -> Result<bool, FmError> {
    Ok(invalidate(cache, spec, key).0)
}

/// Stub.
pub async fn peek<S: Outcome, X: Face<S::Stored>>(
    cache: Option<&FmCache>,
    spec: &'static FnSpec,
    key: KeyBuf,
    shape: S,
    face: X,
) -> Result<Option<S::Return>, FmError> {
    peek_blocking(cache, spec, key, shape, face)
}

/// Stub.
pub fn peek_blocking<S: Outcome, X: Face<S::Stored>>(
    cache: Option<&FmCache>,
    _: &'static FnSpec,
    key: KeyBuf,
    shape: S,
    _: X,
) -> Result<Option<S::Return>, FmError> {
    Ok(lookup(cache, &key, shape))
}

/// Stub.
pub async fn put<S: Outcome, X: Face<S::Stored>>(
    cache: Option<&FmCache>,
    spec: &'static FnSpec,
    key: KeyBuf,
    shape: S,
    face: X,
    judge: impl FnOnce(&S::Return) -> Verdict,
    value: S::Return,
) -> Result<(), FmError> {
    put_blocking(cache, spec, key, shape, face, judge, value)
}

/// Stub.
pub fn put_blocking<S: Outcome, X: Face<S::Stored>>(
    cache: Option<&FmCache>,
    _: &'static FnSpec,
    key: KeyBuf,
    shape: S,
    _: X,
    judge: impl FnOnce(&S::Return) -> Verdict,
    value: S::Return,
) -> Result<(), FmError> {
    let verdict = judge(&value);
    keep(cache, &key, shape, verdict, value);
    Ok(())
}

/// Stub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FmKey(String);
impl fmt::Display for FmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Stub.
pub fn key(_: Option<&FmCache>, _: &'static FnSpec, key: KeyBuf) -> FmKey {
    FmKey(key.as_key().render(&Prefix::new("app").unwrap()))
}
