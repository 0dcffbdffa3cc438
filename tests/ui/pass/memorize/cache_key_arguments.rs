//! Companions take an argument or its key, whatever the argument is wrapped in, and infer what they did before.

#![allow(dead_code)]

use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{Extension, extract::Path};
use memory_core::{CacheKey, FmCacheManager, FmMemoryBackend, memorize};
use serde::Serialize;

#[derive(Clone, CacheKey)]
struct User {
    #[cache_key]
    id: u64,
    ttl: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
struct Id(u64);

type Number = u64;

#[memorize]
async fn by_value(user: User) -> u64 {
    user.id
}

#[memorize(expire = Duration::from_secs(user.ttl))]
fn by_reference(user: &User) -> u64 {
    user.id
}

#[memorize]
async fn extension(Extension(user): Extension<User>) -> u64 {
    user.id
}

#[memorize]
async fn shared(user: Arc<User>) -> u64 {
    user.id
}

#[memorize(expire = Duration::from_secs(id.0))]
async fn copied(id: Id) -> u64 {
    id.0
}

#[memorize(expire = Duration::from_secs(id + 1))]
async fn extracted(Path(id): Path<u64>) -> u64 {
    id
}

#[memorize]
async fn plain(id: Id, reference: &Id, number: &Number, file: &FilePath, Path(page): Path<u64>) -> u64 {
    id.0 + reference.0 + number + page + file.as_os_str().len() as u64
}

#[memorize(key = user.id)]
async fn by_expression(user: &User, _trace: u64) -> u64 {
    user.id
}

struct Wrapped<T>(T);

/// A user's own type with the name of an extractor.
mod homemade {
    #[derive(Clone, serde::Serialize)]
    pub(crate) struct Query<T>(pub(crate) T);
}

#[memorize(key = query.0.0)]
async fn own_keyed(query: Wrapped<Wrapped<u64>>) -> u64 {
    query.0.0
}

#[memorize]
async fn of_own_types(query: homemade::Query<u64>, reference: &homemade::Query<u64>) -> u64 {
    query.0 + reference.0
}

async fn run() {
    let user = User { id: 1, ttl: 60 };
    by_value::put(user.clone(), 5).await.unwrap();
    by_reference::put(&user, 6).unwrap();
    extension::put(user.clone(), 7).await.unwrap();
    shared::put(Arc::new(user.clone()), 8).await.unwrap();
    copied::put(Id(1), 9).await.unwrap();
    extracted::put(1, 10).await.unwrap();
    assert_eq!(by_value::peek(1).await.unwrap(), Some(5));
    assert_eq!(by_reference::peek(1).unwrap(), Some(6));
    assert_eq!(extension::peek(1).await.unwrap(), Some(7));
    assert_eq!(shared::peek(1).await.unwrap(), Some(8));
    assert_eq!(copied::peek(Id(1)).await.unwrap(), Some(9));
    assert_eq!(extracted::peek(Path(1)).await.unwrap(), Some(10));

    assert_eq!(plain(Id(1), &Id(2), &3, FilePath::new("four"), Path(5)).await, 15);
    assert_eq!(plain::peek(Id(1), &Id(2), &3, &PathBuf::from("four"), 5).await.unwrap(), Some(15));
    assert_eq!(plain::peek(Id(1), &Id(2), &3, FilePath::new("four"), Path(5)).await.unwrap(), Some(15));

    by_expression::put(&Arc::new(user), 9).await.unwrap();
    assert_eq!(by_expression::peek(&User { id: 1, ttl: 0 }).await.unwrap(), Some(9));
    assert_eq!(own_keyed(Wrapped(Wrapped(1))).await, 1);
    assert!(own_keyed::invalidate(Wrapped(Wrapped(1))).await.unwrap());

    let query = homemade::Query(4);
    assert_eq!(of_own_types(query.clone(), &query).await, 8);
    assert!(of_own_types::invalidate(query.clone(), &query).await.unwrap());
}

fn main() {
    let cache = FmCacheManager::builder(FmMemoryBackend::new()).build().unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(cache.scope(run()));
}
