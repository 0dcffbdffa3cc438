//! Direct use: calls on a cache by key, as builders that are awaited.

use std::{
    any::type_name,
    borrow::Cow,
    error::Error,
    fmt,
    future::{Future, IntoFuture},
    marker::PhantomData,
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    FmCache, FmCacheManager, Job, Turn, Write,
    life::{Life, check_jitter},
    outcome::{AsSource, Computed, Portable, Verdict},
};
use crate::{
    backend::{BoxFuture, Group},
    error::FmError,
    key::{Key, KeyBuf},
    time::{IntoDuration, IntoExpiry},
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

    pub(super) fn compute<'a, T, E, F>(self, key: impl Into<Cow<'a, str>>, compute: F) -> Compute<'a, T, E, F> {
        Compute { place: Place::new(self, key), compute, settings: Settings::default(), result: PhantomData }
    }
}

/// Where a direct call points: a name, in a namespace or in none.
#[derive(Clone, Debug)]
struct Place<'a> {
    cache: Chosen,
    name: Cow<'a, str>,
    namespace: Option<Cow<'a, str>>,
}

impl<'a> Place<'a> {
    fn new(cache: Chosen, name: impl Into<Cow<'a, str>>) -> Self {
        Self { cache, name: name.into(), namespace: None }
    }

    fn key(&self) -> Key {
        key(self.namespace.as_deref(), &self.name)
    }
}

fn key(namespace: Option<&str>, name: &str) -> Key {
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

/// What a write by hand may say about its entry.
#[derive(Clone, Debug)]
struct Settings {
    verdict: Result<Verdict, FmError>,
    strict: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { verdict: Ok(Verdict::keep()), strict: false }
    }
}

impl Settings {
    fn apply<T>(&mut self, setting: Result<T, FmError>, apply: impl FnOnce(&mut Verdict, T)) {
        match (&mut self.verdict, setting) {
            (Ok(verdict), Ok(setting)) => apply(verdict, setting),
            (Ok(_), Err(error)) => self.verdict = Err(error),
            (Err(_), _) => {}
        }
    }

    fn life(self, cache: &FmCache) -> Result<Option<Life>, FmError> {
        cache.core().life(self.verdict?)
    }
}

macro_rules! entry_settings {
    () => {
        /// How long the entry lives: seconds, fractional seconds, a `Duration` or `FOREVER`. Zero: not stored.
        ///
        /// # Default
        ///
        /// The cache's own default, else 300 seconds.
        pub fn expire(mut self, expiry: impl IntoExpiry) -> Self {
            self.settings.apply(expiry.into_expiry(), |verdict, expiry| verdict.expiry = Some(Ok(expiry)));
            self
        }

        /// Expires this long after the last read, too.
        pub fn time_to_idle(mut self, limit: impl IntoDuration) -> Self {
            self.settings.apply(limit.into_duration(), |verdict, limit| verdict.idle = Some(Ok(limit)));
            self
        }

        /// Shortens the expiry at random by up to this part, from 0 to 1.
        pub fn jitter(mut self, part: f64) -> Self {
            self.settings.apply(check_jitter(part), |verdict, part| verdict.jitter = Some(part));
            self
        }
    };
}

macro_rules! namespace {
    ($($field:ident).+) => {
        /// In this namespace, which is part of the key.
        pub fn namespace(mut self, namespace: impl Into<Cow<'a, str>>) -> Self {
            self.$($field).+ = Some(namespace.into());
            self
        }
    };
}

macro_rules! strict {
    ($($field:ident).+) => {
        /// Failures of the store are errors of this call, instead of being counted and otherwise passed over.
        pub fn strict(mut self) -> Self {
            self.$($field).+ = true;
            self
        }
    };
}

/// A read; await it. See [`FmCache::get`].
#[derive(Debug)]
#[must_use = "nothing is read until it is awaited"]
pub struct Get<'a, T> {
    place: Place<'a>,
    strict: bool,
    value: PhantomData<fn() -> T>,
}

impl<'a, T> Get<'a, T> {
    namespace!(place.namespace);
    strict!(strict);
}

impl<'a, T> IntoFuture for Get<'a, T>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Output = Result<Option<T>, FmError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let key = self.place.key();
            self.place.cache.resolve().core().read(&key, Portable, self.strict).await
        })
    }
}

/// A read of many keys; await it. See [`FmCache::get_many`].
#[derive(Debug)]
#[must_use = "nothing is read until it is awaited"]
pub struct GetMany<'a, T> {
    cache: Chosen,
    names: Vec<String>,
    namespace: Option<Cow<'a, str>>,
    value: PhantomData<fn() -> T>,
}

impl<'a, T> GetMany<'a, T> {
    namespace!(namespace);
}

impl<'a, T> IntoFuture for GetMany<'a, T>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Output = Result<Vec<Option<T>>, FmError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let keys: Vec<Key> = self.names.iter().map(|name| key(self.namespace.as_deref(), name)).collect();
            Ok(self.cache.resolve().core().read_many(&keys, Portable).await)
        })
    }
}

/// A write; await it. See [`FmCache::set`].
#[derive(Debug)]
#[must_use = "nothing is stored until it is awaited"]
pub struct Set<'a, T> {
    place: Place<'a>,
    value: T,
    settings: Settings,
}

impl<'a, T> Set<'a, T> {
    namespace!(place.namespace);
    entry_settings!();
    strict!(settings.strict);
}

impl<'a, T> IntoFuture for Set<'a, T>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Output = Result<(), FmError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { place, value, settings } = self;
        Box::pin(async move {
            let strict = settings.strict;
            let key = place.key();
            let cache = place.cache.resolve();
            let life = settings.life(&cache)?;
            cache.core().write(vec![Write { key, value, life }], Portable, strict).await
        })
    }
}

/// A write of many values; await it. See [`FmCache::set_many`].
#[derive(Debug)]
#[must_use = "nothing is stored until it is awaited"]
pub struct SetMany<'a, T> {
    cache: Chosen,
    entries: Vec<(String, T)>,
    namespace: Option<Cow<'a, str>>,
    settings: Settings,
}

impl<'a, T> SetMany<'a, T> {
    namespace!(namespace);
    entry_settings!();
    strict!(settings.strict);
}

impl<'a, T> IntoFuture for SetMany<'a, T>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Output = Result<(), FmError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let cache = self.cache.resolve();
            let mut writes = Vec::with_capacity(self.entries.len());
            for (name, value) in self.entries {
                // Every entry draws its own jitter.
                let life = self.settings.clone().life(&cache)?;
                writes.push(Write { key: key(self.namespace.as_deref(), &name), value, life });
            }
            cache.core().write(writes, Portable, self.settings.strict).await
        })
    }
}

/// A removal; await it. See [`FmCache::remove`].
#[derive(Debug)]
#[must_use = "nothing is removed until it is awaited"]
pub struct Remove<'a> {
    target: Target<'a>,
    strict: bool,
}

#[derive(Debug)]
enum Target<'a> {
    Place(Place<'a>),
    Key(Chosen, Key),
}

impl<'a> Remove<'a> {
    pub(crate) fn key(cache: Chosen, key: Key) -> Self {
        Self { target: Target::Key(cache, key), strict: false }
    }

    /// In this namespace, which is part of the key. A memorized function's key has its namespace already: there this
    /// changes nothing.
    pub fn namespace(mut self, namespace: impl Into<Cow<'a, str>>) -> Self {
        if let Target::Place(place) = &mut self.target {
            place.namespace = Some(namespace.into());
        }
        self
    }

    strict!(strict);
}

impl<'a> IntoFuture for Remove<'a> {
    type Output = Result<bool, FmError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (cache, key) = match self.target {
                Target::Place(place) => (place.cache.clone(), place.key()),
                Target::Key(cache, key) => (cache, key),
            };
            cache.resolve().core().remove(key.as_key(), self.strict).await
        })
    }
}

/// A write by the companion of a memorized function, `get_user::put(42, user)`; await it.
#[must_use = "nothing is stored until it is awaited"]
pub struct Put {
    start: StartPut,
    strict: bool,
}

/// Takes whether the write is strict.
type StartPut = Box<dyn FnOnce(bool) -> BoxFuture<'static, Result<(), FmError>> + Send>;

impl Put {
    pub(crate) fn new<F>(start: impl FnOnce(bool) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), FmError>> + Send + 'static,
    {
        Self { start: Box::new(|strict| Box::pin(start(strict))), strict: false }
    }

    strict!(strict);
}

impl fmt::Debug for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").field("strict", &self.strict).finish_non_exhaustive()
    }
}

impl IntoFuture for Put {
    type Output = Result<(), FmError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        (self.start)(self.strict)
    }
}

/// A removal of a group; await it. See [`FmCache::clear`].
#[derive(Debug)]
#[must_use = "nothing is removed until it is awaited"]
pub struct ClearMany {
    cache: Chosen,
    group: Group,
    strict: bool,
}

impl ClearMany {
    strict!(strict);
}

impl IntoFuture for ClearMany {
    type Output = Result<u64, FmError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.cache.resolve().core().clear(&self.group, self.strict).await })
    }
}

/// A read that computes what is absent; await it. See [`FmCache::get_or_compute`].
#[must_use = "nothing is read or computed until it is awaited"]
pub struct Compute<'a, T, E, F> {
    place: Place<'a>,
    compute: F,
    settings: Settings,
    result: PhantomData<fn() -> (T, E)>,
}

impl<'a, T, E, F> Compute<'a, T, E, F> {
    namespace!(place.namespace);
    entry_settings!();
}

impl<T, E, F> std::fmt::Debug for Compute<'_, T, E, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compute").field("place", &self.place).field("value", &type_name::<T>()).finish_non_exhaustive()
    }
}

impl<'a, T, E, F, Fut> IntoFuture for Compute<'a, T, E, F>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    E: From<FmError> + Into<Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    type Output = Result<T, E>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { place, compute, settings, .. } = self;
        Box::pin(async move {
            let verdict = settings.verdict.map_err(E::from)?;
            let key = place.key();
            let cache = place.cache.resolve();
            let core = cache.core();
            if core.is_closed() {
                core.count_bypass(key.as_key());
                return compute().await;
            }
            if let Some(value) = core.hit(key.as_key(), T::clone) {
                return Ok(value);
            }
            let shape = Computed::<T, E>::new();
            let job = Job { cache: cache.clone(), key, shape, face: Portable, share: AsSource };
            let judge = move |_: &Result<T, E>| verdict;
            match job.turn().await {
                Turn::Answer(answer) => answer,
                Turn::Lead(leading) => job.run_detached(leading, judge, Box::pin(compute())).await,
                Turn::Bypass => job.bypass(compute).await,
            }
        })
    }
}
