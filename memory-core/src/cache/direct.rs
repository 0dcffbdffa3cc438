//! Direct use: calls on a cache by key.

use std::{borrow::Cow, future::Future, marker::PhantomData};

use super::{
    FmCache, FmCacheManager, Limits,
    calls::{ClearMany, Compute, Get, GetMany, InvalidateTag, Remove, Set, SetMany, Settings, Target},
};
use crate::{
    backend::Group,
    key::{Key, KeyBuf},
};

/// The cache of a call: a given one, or whichever is the current one when the call is awaited.
#[derive(Clone, Debug)]
pub(crate) struct Chosen(Option<FmCache>);

impl Chosen {
    /// `None`: the current one.
    pub(crate) fn new(cache: Option<&FmCache>) -> Self {
        Self(cache.cloned())
    }

    /// To be asked inside the call's future, so that a scope around it counts.
    pub(crate) fn resolve(self) -> FmCache {
        self.0.unwrap_or_else(FmCacheManager::current)
    }

    pub(super) fn get<'a, T>(self, key: impl Into<Cow<'a, str>>) -> Get<'a, T> {
        Get { place: Place::new(self, key), strict: false, value: PhantomData }
    }

    pub(super) fn get_many<'a, T>(self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> GetMany<'a, T> {
        let names = keys.into_iter().map(|key| key.as_ref().to_owned()).collect();
        GetMany { cache: self, names, namespace: None, value: PhantomData }
    }

    pub(super) fn set<'a, T>(self, key: impl Into<Cow<'a, str>>, value: T) -> Set<'a, T> {
        Set { place: Place::new(self, key), value, settings: Settings::default() }
    }

    pub(super) fn set_many<'a, T>(self, entries: impl IntoIterator<Item = (impl AsRef<str>, T)>) -> SetMany<'a, T> {
        let entries = entries.into_iter().map(|(key, value)| (key.as_ref().to_owned(), value)).collect();
        SetMany { cache: self, entries, namespace: None, settings: Settings::default() }
    }

    pub(super) fn remove<'a>(self, key: impl Into<Cow<'a, str>>) -> Remove<'a> {
        Remove { target: Target::Place(Place::new(self, key)), strict: false }
    }

    pub(super) fn clear(self, group: Group) -> ClearMany {
        ClearMany { cache: self, group, strict: false }
    }

    pub(super) fn invalidate_tag(self, tag: &str) -> InvalidateTag {
        InvalidateTag { clear: self.clear(Group::Tag(tag.into())) }
    }

    pub(super) fn compute<'a, T, E, F>(self, key: impl Into<Cow<'a, str>>, compute: F) -> Compute<'a, T, E, F> {
        Compute {
            place: Place::new(self, key),
            compute,
            settings: Settings::default(),
            limits: Limits::default(),
            judges: Vec::new(),
        }
    }
}

/// Where a direct call points: a name, in a namespace or in none.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) cache: Chosen,
    name: Cow<'a, str>,
    pub(super) namespace: Option<Cow<'a, str>>,
}

impl<'a> Place<'a> {
    fn new(cache: Chosen, name: impl Into<Cow<'a, str>>) -> Self {
        Self { cache, name: name.into(), namespace: None }
    }

    pub(super) fn key(&self) -> Key {
        key(self.namespace.as_deref(), &self.name)
    }
}

pub(crate) fn key(namespace: Option<&str>, name: &str) -> Key {
    KeyBuf::direct(namespace, name).to_key()
}

impl FmCache {
    /// The value stored under `key`: `None` when it is absent, expired, or of another type.
    ///
    /// Await it; `.namespace("reports")` looks in a namespace.
    ///
    /// # Errors
    ///
    /// Only with [`strict`](Get::strict): the store failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::FmCacheManager;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_core::FmError> {
    /// let hit = FmCacheManager::get::<String>("loaderReport:SNF").namespace("reports").await?;
    /// # assert_eq!(hit, None); Ok(()) }
    /// ```
    pub fn get<'a, T>(&self, key: impl Into<Cow<'a, str>>) -> Get<'a, T> {
        Chosen::new(Some(self)).get(key)
    }

    /// The values stored under many keys, in their order, in one round trip.
    ///
    /// # Errors
    ///
    /// None today: a store that fails answers as if nothing were stored.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::FmCacheManager;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_core::FmError> {
    /// let hits = FmCacheManager::get_many::<u64>(["a", "b"]).await?;
    /// assert_eq!(hits, [None, None]);
    /// # Ok(()) }
    /// ```
    pub fn get_many<'a, T>(&self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> GetMany<'a, T> {
        Chosen::new(Some(self)).get_many(keys)
    }

    /// Stores `value` under `key`; newer than every computation under way.
    ///
    /// Await it; before, `.expire(60)` and `.namespace("reports")` may be given.
    ///
    /// # Errors
    ///
    /// A negative expiry. With [`strict`](Set::strict) also: the store failed, or the value could not be encoded.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::FmCacheManager;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_core::FmError> {
    /// FmCacheManager::set("loaderReport:SNF", vec![1.5, 2.5]).expire(3600).await?;
    /// # Ok(()) }
    /// ```
    pub fn set<'a, T>(&self, key: impl Into<Cow<'a, str>>, value: T) -> Set<'a, T> {
        Chosen::new(Some(self)).set(key, value)
    }

    /// Stores many values.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::FmCacheManager;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_core::FmError> {
    /// FmCacheManager::set_many([("a", 1), ("b", 2)]).expire(60).await?;
    /// # Ok(()) }
    /// ```
    pub fn set_many<'a, T>(&self, entries: impl IntoIterator<Item = (impl AsRef<str>, T)>) -> SetMany<'a, T> {
        Chosen::new(Some(self)).set_many(entries)
    }

    /// Removes `key`; whether it was there. A computation under way for it keeps its callers, but is not stored.
    ///
    /// # Errors
    ///
    /// Only with [`strict`](Remove::strict): a shared store could not be reached. The removal holds in this process at once, and is
    /// queued for the store in any case.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::FmCacheManager;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_core::FmError> {
    /// let was_there = FmCacheManager::remove("loaderReport:SNF").await?;
    /// # assert!(!was_there); Ok(()) }
    /// ```
    pub fn remove<'a>(&self, key: impl Into<Cow<'a, str>>) -> Remove<'a> {
        Chosen::new(Some(self)).remove(key)
    }

    /// Removes everything under this cache's prefix, and nothing else; how many entries went.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub fn clear(&self) -> ClearMany {
        Chosen::new(Some(self)).clear(Group::All)
    }

    /// Removes every entry of a namespace, of memorized functions and direct calls alike; how many went.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub fn clear_namespace(&self, namespace: impl AsRef<str>) -> ClearMany {
        Chosen::new(Some(self)).clear(Group::Namespace(namespace.as_ref().into()))
    }

    /// Invalidates every entry with this tag, of memorized functions and direct calls alike, and every computation under way whose
    /// value turns out to have it: its callers get the value, and it is never stored.
    ///
    /// Costs the same however many entries there are: each knows its tags, and is compared when it is read.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::FmCacheManager;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), memory_core::FmError> {
    /// FmCacheManager::set("loaderReport:SNF", 1).tags(["loader"]).await?;
    /// FmCacheManager::invalidate_tag("loader").await?;
    /// assert_eq!(FmCacheManager::get::<i32>("loaderReport:SNF").await?, None);
    /// # Ok(()) }
    /// ```
    pub fn invalidate_tag(&self, tag: impl AsRef<str>) -> InvalidateTag {
        Chosen::new(Some(self)).invalidate_tag(tag.as_ref())
    }

    /// The value stored under `key`; where there is none, the one that `compute` makes, which is then stored. Many callers at
    /// once make one run of `compute`, in a task of its own; only `Ok` is stored.
    ///
    /// # Errors
    ///
    /// The error of `compute`; callers that waited for another's run get `E::from(FmError)` with that error as its source. A negative
    /// expiry also comes as `E::from(FmError)`.
    ///
    /// # Cancel safety
    ///
    /// A caller may go away at any point: the run it started goes on for the others, and is stored.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::{FmCacheManager, FmError};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), FmError> {
    /// let report = FmCacheManager::get_or_compute("report", || async { Ok::<_, FmError>("made once".to_owned()) })
    ///     .expire(60)
    ///     .await?;
    /// assert_eq!(report, "made once");
    /// # Ok(()) }
    /// ```
    pub fn get_or_compute<'a, T, E, F, Fut>(&self, key: impl Into<Cow<'a, str>>, compute: F) -> Compute<'a, T, E, F>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        Chosen::new(Some(self)).compute(key, compute)
    }
}
