//! The process-wide cache.

use std::{
    borrow::Cow,
    future::Future,
    sync::{
        OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Chosen, ClearMany, Compute, Context, FmCache, FmCacheBuilder, Get, GetMany, InvalidateTag, Remove, Set, SetMany,
};
use crate::{
    backend::{FmBackend, Group, Prefix},
    error::FmError,
    stats::FmStats,
};

/// The first cache installed: found without a lock, as long as no other replaced it.
static FIRST: OnceLock<FmCache> = OnceLock::new();
static REPLACED: AtomicBool = AtomicBool::new(false);
static LATEST: RwLock<Option<FmCache>> = RwLock::new(None);
/// What is used before `init`.
static FALLBACK: OnceLock<FmCache> = OnceLock::new();

/// The process-wide cache: call [`init`](Self::init) once in `main`, then memorized functions use it.
///
/// Never initialised, an in-memory cache with the prefix `fm-cache` is used, and a warning says so once.
///
/// # Examples
///
/// ```
/// # use memory_core::{FmCacheManager, FmMemoryBackend};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_core::FmError> {
/// FmCacheManager::init(FmMemoryBackend::new(), "app-cache")?;
/// FmCacheManager::set("loaderReport:SNF", vec![1, 2, 3]).expire(3600).await?;
/// let report: Option<Vec<i32>> = FmCacheManager::get("loaderReport:SNF").await?;
/// assert_eq!(report, Some(vec![1, 2, 3]));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub enum FmCacheManager {}

impl FmCacheManager {
    /// Makes a cache on `backend` the process-wide one and returns a handle to it. A second call replaces it.
    ///
    /// Does no I/O: a service boots without its Redis.
    ///
    /// # Errors
    ///
    /// An empty prefix, settings of the backend that cannot work.
    pub fn init(backend: impl FmBackend, prefix: impl Into<String>) -> Result<FmCache, FmError> {
        Self::builder(backend).prefix(prefix).init()
    }

    /// Begins a cache with settings: `.init()` makes it the process-wide one, `.build()` one of its own.
    pub fn builder(backend: impl FmBackend) -> FmCacheBuilder {
        FmCacheBuilder::new(backend)
    }

    /// The cache that a call made here uses: the scoped one, else the process-wide one, else the in-memory default.
    pub fn current() -> FmCache {
        with_current(Clone::clone)
    }

    pub(crate) fn install(cache: FmCache) {
        let mut latest = LATEST.write().unwrap_or_else(PoisonError::into_inner);
        if FIRST.set(cache.clone()).is_err() {
            REPLACED.store(true, Ordering::Release);
        }
        let replaced = latest.replace(cache);
        drop(latest);
        // Its values' own code may run now, which may come back here.
        drop(replaced);
    }

    /// See [`FmCache::get`].
    pub fn get<'a, T>(key: impl Into<Cow<'a, str>>) -> Get<'a, T> {
        Chosen::new(None).get(key)
    }

    /// See [`FmCache::get_many`].
    pub fn get_many<'a, T>(keys: impl IntoIterator<Item = impl AsRef<str>>) -> GetMany<'a, T> {
        Chosen::new(None).get_many(keys)
    }

    /// See [`FmCache::set`].
    pub fn set<'a, T>(key: impl Into<Cow<'a, str>>, value: T) -> Set<'a, T> {
        Chosen::new(None).set(key, value)
    }

    /// See [`FmCache::set_many`].
    pub fn set_many<'a, T>(entries: impl IntoIterator<Item = (impl AsRef<str>, T)>) -> SetMany<'a, T> {
        Chosen::new(None).set_many(entries)
    }

    /// See [`FmCache::remove`].
    pub fn remove<'a>(key: impl Into<Cow<'a, str>>) -> Remove<'a> {
        Chosen::new(None).remove(key)
    }

    /// See [`FmCache::clear`].
    pub fn clear() -> ClearMany {
        Chosen::new(None).clear(Group::All)
    }

    /// See [`FmCache::clear_namespace`].
    pub fn clear_namespace(namespace: impl AsRef<str>) -> ClearMany {
        Chosen::new(None).clear(Group::Namespace(namespace.as_ref().into()))
    }

    /// See [`FmCache::invalidate_tag`].
    pub fn invalidate_tag(tag: impl AsRef<str>) -> InvalidateTag {
        Chosen::new(None).invalidate_tag(tag.as_ref())
    }

    /// See [`FmCache::get_or_compute`].
    pub fn get_or_compute<'a, T, E, F, Fut>(key: impl Into<Cow<'a, str>>, compute: F) -> Compute<'a, T, E, F>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        Chosen::new(None).compute(key, compute)
    }

    /// See [`FmCache::stats`].
    pub fn stats() -> FmStats {
        with_current(FmCache::stats)
    }

    /// See [`FmCache::settle`].
    pub async fn settle() {
        Self::current().settle().await;
    }

    /// See [`FmCache::close`].
    pub async fn close() {
        Self::current().close().await;
    }
}

/// Shows the current cache to `see`.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn with_current<R>(see: impl FnOnce(&FmCache) -> R) -> R {
    match Context::scoped_cache() {
        Some(scoped) => see(&scoped),
        None => with_global(see),
    }
}

/// Takes a lock only after a second `init`.
#[cfg_attr(not(debug_assertions), inline(always))]
fn with_global<R>(see: impl FnOnce(&FmCache) -> R) -> R {
    match FIRST.get() {
        None => see(FALLBACK.get_or_init(fallback)),
        Some(first) if !REPLACED.load(Ordering::Acquire) => see(first),
        Some(first) => {
            let latest = LATEST.read().unwrap_or_else(PoisonError::into_inner).clone();
            see(latest.as_ref().unwrap_or(first))
        }
    }
}

#[cold]
fn fallback() -> FmCache {
    tracing::warn!(
        prefix = Prefix::FALLBACK,
        "no cache was initialised: using one in memory; call FmCacheManager::init in main"
    );
    super::builder::fallback()
}
