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
    FmCache, Job, Limits, Ours, Write,
    direct::{Chosen, Place, key},
    life::{check_jitter, check_refresh_ahead},
    outcome::{AsSource, BodyFuture, Computed, Portable, Verdict},
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

    /// One value on its way into `cache`.
    fn write<T>(&self, cache: &FmCache, key: Key, value: T) -> Result<Write<T>, FmError> {
        let verdict = self.verdict.as_ref().map_err(Clone::clone)?;
        Ok(Write { key, value, life: cache.core().life(verdict)?, tags: verdict.tags.clone() })
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

        /// The tags that [`invalidate_tag`](FmCache::invalidate_tag) can invalidate the entry by, beside those given before.
        pub fn tags<I: IntoIterator<Item: ToString>>(mut self, tags: I) -> Self {
            let tags = tags.into_iter().map(|tag| tag.to_string());
            self.settings.apply(Ok(tags), |verdict, tags| verdict.tags.extend(tags));
            self
        }

        /// For this long after its expiry, `get_or_compute` answers the old value at once and refreshes it behind the answer.
        pub fn stale_while_revalidate(mut self, length: impl IntoDuration) -> Self {
            self.settings
                .apply(length.into_duration(), |verdict, length| verdict.stale_while_revalidate = Some(Ok(length)));
            self
        }

        /// For this long after its expiry, `get_or_compute` answers the old value when a new one can't be computed.
        pub fn stale_if_error(mut self, length: impl IntoDuration) -> Self {
            self.settings.apply(length.into_duration(), |verdict, length| verdict.stale_if_error = Some(Ok(length)));
            self
        }

        /// After this part of its life, from 0 to 1, `get_or_compute` refreshes the value behind the answer.
        pub fn refresh_ahead(mut self, part: f64) -> Self {
            self.settings.apply(check_refresh_ahead(part), |verdict, part| verdict.refresh_ahead = Some(part));
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
            let write = settings.write(&cache, key, value)?;
            cache.core().write(vec![write], Portable, strict).await
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
                writes.push(self.settings.write(&cache, key(self.namespace.as_deref(), &name), value)?);
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

/// A removal of many entries, by the companion of a memorized function: `users::invalidate_many([7, 9])`; await it. Counts the
/// entries that were there.
#[derive(Debug)]
#[must_use = "nothing is removed until it is awaited"]
pub struct RemoveMany {
    cache: Chosen,
    keys: Vec<Key>,
    strict: bool,
}

impl RemoveMany {
    pub(crate) fn keys(cache: Chosen, keys: Vec<Key>) -> Self {
        Self { cache, keys, strict: false }
    }

    strict!(strict);
}

impl IntoFuture for RemoveMany {
    type Output = Result<u64, FmError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.cache.resolve().core().remove_many(&self.keys, self.strict).await })
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

/// An invalidation of everything with a tag; await it. See [`FmCache::invalidate_tag`].
#[derive(Debug)]
#[must_use = "nothing is invalidated until it is awaited"]
pub struct InvalidateTag {
    pub(super) clear: ClearMany,
}

impl InvalidateTag {
    strict!(clear.strict);
}

impl IntoFuture for InvalidateTag {
    type Output = Result<(), FmError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let clear = self.clear.into_future();
        Box::pin(async move { clear.await.map(drop) })
    }
}

/// A read that computes what is absent; await it. See [`FmCache::get_or_compute`].
#[must_use = "nothing is read or computed until it is awaited"]
pub struct Compute<'a, T, E, F> {
    pub(super) place: Place<'a>,
    pub(super) compute: F,
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    pub(super) judges: Vec<Judge<T, E>>,
}

/// What a computed value says about itself.
type Judge<T, E> = Box<dyn FnOnce(&Result<T, E>, &mut Verdict) + Send>;

impl<'a, T, E, F> Compute<'a, T, E, F> {
    namespace!(place.namespace);
    entry_settings!();

    /// When an older value is at hand and `compute` takes longer than this, the older value is answered, and `compute` goes on.
    ///
    /// At hand is what [`stale_if_error`](Self::stale_if_error) and
    /// [`stale_while_revalidate`](Self::stale_while_revalidate) keep; where neither is given, a value is kept for as long again
    /// as it was fresh.
    pub fn soft_timeout(mut self, limit: impl IntoDuration) -> Self {
        match limit.into_duration() {
            Ok(limit) => self.limits.soft = Some(limit),
            refused => self.settings.apply(refused, |_, _| {}),
        }
        self
    }

    /// When `compute` takes longer than this, it is aborted, and every caller that waits for it gets an `E` from an [`FmError`] whose
    /// `is_timeout()` is true. Needs a tokio runtime with time enabled.
    pub fn timeout(mut self, limit: impl IntoDuration) -> Self {
        match limit.into_duration() {
            Ok(limit) => self.limits.hard = Some(limit),
            refused => self.settings.apply(refused, |_, _| {}),
        }
        self
    }

    /// The computed value says how long it lives.
    pub fn expire_with<L: IntoExpiry>(self, expiry: impl FnOnce(&T) -> L + Send + 'static) -> Self {
        self.judged(|computed, verdict| {
            if let Ok(value) = computed {
                verdict.expiry = Some(expiry(value).into_expiry());
            }
        })
    }

    /// The computed value says which tags it has, beside those given before.
    pub fn tags_with<I: IntoIterator<Item: ToString>>(self, tags: impl FnOnce(&T) -> I + Send + 'static) -> Self {
        self.judged(|computed, verdict| {
            if let Ok(value) = computed {
                verdict.tags.extend(tags(value).into_iter().map(|tag| tag.to_string()));
            }
        })
    }

    /// The computed value is stored only if this says so.
    pub fn cache_if(self, condition: impl FnOnce(&T) -> bool + Send + 'static) -> Self {
        self.judged(|computed, verdict| {
            if let Ok(value) = computed {
                verdict.store &= condition(value);
            }
        })
    }

    /// An older value stands in only for errors that this says `true` to.
    pub fn stale_on(self, condition: impl FnOnce(&E) -> bool + Send + 'static) -> Self {
        self.judged(|computed, verdict| verdict.is_failure = Some(computed.as_ref().is_err_and(condition)))
    }

    fn judged(mut self, judge: impl FnOnce(&Result<T, E>, &mut Verdict) + Send + 'static) -> Self {
        self.judges.push(Box::new(judge));
        self
    }
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
        let Self { place, compute, settings, limits, judges } = self;
        Box::pin(async move {
            let mut verdict = settings.verdict.map_err(E::from)?;
            let cache = place.cache.clone().resolve();
            let (key, shape, share) = (place.key(), Computed::<T, E>::new(), AsSource);
            let limits = limits.or(cache.core().defaults.limits);
            let ours: Option<Ours<Result<T, E>>> = Some(|error| Err(E::from(error)));
            let job = Job { cache, key, shape, face: Portable, share, ours, limits, exchange: None, gathering: None };
            let judge = move |computed: &Result<T, E>| {
                judges.into_iter().for_each(|judge| judge(computed, &mut verdict));
                verdict
            };
            job.answer_detached(|| (judge, move || -> BodyFuture<Result<T, E>> { Box::pin(compute()) })).await
        })
    }
}
