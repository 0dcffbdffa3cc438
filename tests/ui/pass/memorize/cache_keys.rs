//! `#[derive(CacheKey)]`: only the marked fields are the key, and companions take the value or its key.
use std::sync::atomic::{AtomicU32, Ordering};

use axum::{Extension, extract::Path};
use memory_core::{CacheKey, memorize};

static RUNS: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, CacheKey)]
struct CurrentUser {
    #[cache_key]
    id: u64,
    session: String,
}

fn user(id: u64, session: &str) -> CurrentUser {
    CurrentUser { id, session: session.to_owned() }
}

#[memorize]
async fn orders(user: CurrentUser, page: u32) -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    format!("{}{}{page}", user.id, user.session)
}

#[memorize]
async fn borrowed(user: &CurrentUser) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    user.id
}

#[memorize]
async fn extension(Extension(user): Extension<CurrentUser>, Path(id): Path<u32>) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    user.id + u64::from(id)
}

#[memorize(key = (user, page))]
async fn by_key(user: CurrentUser, page: u32, trace: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    user.id + u64::from(page) + trace
}

impl CurrentUser {
    #[memorize]
    pub async fn name(&self) -> String {
        RUNS.fetch_add(1, Ordering::Relaxed);
        self.session.clone()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!((orders(user(1, "a"), 7).await, orders(user(1, "b"), 7).await), ("1a7".to_owned(), "1a7".to_owned()));
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 1);
    assert_eq!(orders::key(1, 7).to_string(), orders::key(user(1, "c"), 7).to_string());
    assert!(orders::invalidate(1, 7).await.unwrap());
    assert!(!orders::invalidate(user(1, "a"), 7).await.unwrap());
    assert_eq!((borrowed(&user(2, "a")).await, borrowed(&user(2, "b")).await), (2, 2));
    assert!(borrowed::invalidate(&user(2, "z")).await.unwrap());
    assert_eq!(extension(Extension(user(1, "a")), Path(2)).await, extension(Extension(user(1, "b")), Path(2)).await);
    assert!(extension::invalidate(user(1, "z"), 2).await.unwrap());
    assert_eq!(by_key(user(1, "a"), 2, 3).await, by_key(user(1, "b"), 2, 4).await);
    assert!(by_key::invalidate(user(1, "z"), 2).await.unwrap());
    assert_eq!((user(5, "a").name().await, user(5, "b").name().await), ("a".to_owned(), "a".to_owned()));
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 4);
}
