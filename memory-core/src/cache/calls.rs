//! The builders that direct use and companions return: what may be said before they are awaited, and what happens then.

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
    FmCache, Job, Turn, Write,
    direct::{Chosen, Place, key},
    life::{Life, check_jitter},
    outcome::{AsSource, Computed, Portable, Verdict},
};
use crate::{
    backend::{BoxFuture, Group},
    error::FmError,
    key::Key,
    time::{IntoDuration, IntoExpiry},
};

/// What a write by hand may say about its entry.
#[derive(Clone, Debug)]
pub(super) struct Settings {
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
    pub(super) place: Place<'a>,
    pub(super) strict: bool,
    pub(super) value: PhantomData<fn() -> T>,
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
    pub(super) cache: Chosen,
    pub(super) names: Vec<String>,
    pub(super) namespace: Option<Cow<'a, str>>,
    pub(super) value: PhantomData<fn() -> T>,
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
    pub(super) place: Place<'a>,
    pub(super) value: T,
    pub(super) settings: Settings,
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
    pub(super) cache: Chosen,
    pub(super) entries: Vec<(String, T)>,
    pub(super) namespace: Option<Cow<'a, str>>,
    pub(super) settings: Settings,
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
    pub(super) target: Target<'a>,
    pub(super) strict: bool,
}

#[derive(Debug)]
pub(super) enum Target<'a> {
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
    pub(super) start: StartPut,
    pub(super) strict: bool,
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
    pub(super) cache: Chosen,
    pub(super) group: Group,
    pub(super) strict: bool,
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
    pub(super) place: Place<'a>,
    pub(super) compute: F,
    pub(super) settings: Settings,
    pub(super) result: PhantomData<fn() -> (T, E)>,
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
