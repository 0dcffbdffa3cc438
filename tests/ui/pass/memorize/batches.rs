//! Batches of every shape, in a strict crate where names mean something else.
#![no_implicit_prelude]
#![deny(warnings, missing_docs, unused, unreachable_pub, rust_2018_idioms)]

use ::memory_core::{FmCache, FmError, memorize};
use ::std::{
    clone::Clone,
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::From,
    iter::{IntoIterator, Iterator},
    option::Option::{self, None, Some},
    result::Result::{self, Ok},
    string::{String, ToString},
    vec::Vec,
};
use ::tokio;

/// What hides behind a name.
type Numbers = Vec<u64>;
/// A result of the program's own.
type Found<V> = Result<HashMap<u64, V>, FmError>;

/// Everything that can be said.
///
/// # Errors
///
/// None.
#[memorize(
    batch = ids,
    cache = cache.clone(),
    namespace = "names",
    expire = |name: &String| if name.is_empty() { 1 } else { 60 },
    cache_if = |name: &String| !name.is_empty(),
    cache_none = 5,
    tags = [ids.to_string(), "names".to_string()],
    stale_while_revalidate = 30,
    stale_if_error = 600,
    soft_timeout = 0.2,
    timeout = 2,
    refresh_ahead = 0.8,
    jitter = 0.1,
    time_to_idle = 30,
    skip(cache)
)]
pub async fn everything(cache: FmCache, ids: Numbers, lang: Option<&str>) -> Found<String> {
    let _ = cache;
    Ok(ids.into_iter().map(|id| (id, ::std::format!("{id} {lang:?}"))).collect())
}

/// A set.
#[memorize(batch = ids)]
pub async fn set(ids: &BTreeSet<String>) -> BTreeMap<String, Option<u8>> {
    ids.iter().map(|id| (id.clone(), None)).collect()
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service;

impl Service {
    /// A method.
    #[memorize(batch = ids, skip(self))]
    pub async fn names(&self, ids: Vec<u64>) -> HashMap<u64, String> {
        ids.into_iter().map(|id| (id, id.to_string())).collect()
    }

    /// An associated function.
    #[memorize(batch = ids, in_impl)]
    pub async fn lists(ids: Vec<u64>) -> BTreeMap<u64, Vec<u64>> {
        ids.into_iter().map(|id| (id, Vec::from([id]))).collect()
    }
}

#[::tokio::main(flavor = "current_thread")]
async fn main() {
    everywhere().await.unwrap();
}

async fn everywhere() -> Result<(), FmError> {
    let cache = FmCache::clone(&::memory_core::FmCacheManager::builder(::memory_core::FmMemoryBackend::new()).build()?);
    ::std::assert_eq!(everything(cache.clone(), Vec::from([1, 2]), Some("en")).await?.len(), 2);
    ::std::assert_eq!(everything::on(&cache).invalidate_many([1, 2, 3], Some("en")).await?, 2);
    set(&BTreeSet::from(["a".to_string()])).await;
    let names = Service.names(Vec::from([1])).await;
    ::std::assert_eq!(Service::names_peek(1).await?.as_ref(), names.get(&1));
    Service::lists(Vec::from([1])).await;
    ::std::assert_eq!(Service::lists_invalidate_many([1]).await?, 1);
    Ok(())
}
