//! Expansions are clean under the lints of a strict crate.
#![deny(warnings, missing_docs, unused, unreachable_pub, rust_2018_idioms, missing_debug_implementations)]
#![deny(clippy::all, clippy::pedantic)]

use memory_core::memorize;
use serde::{Deserialize, Serialize};

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// The id.
    pub id: u64,
}

/// Cached.
#[memorize(expire = 60, jitter = 0.1, time_to_idle = 30, cache_if = |user| user.id > 0, namespace = "users", version = 2)]
pub async fn user(id: u64, name: &str, _unused: u8) -> User {
    let _ = name;
    User { id }
}

/// Fallible.
///
/// # Errors
///
/// When `id` is zero.
#[memorize(cache_none = 5, cache_err = 1)]
pub async fn fallible(id: u64) -> Result<Option<User>, String> {
    if id == 0 { Err("zero".to_owned()) } else { Ok(Some(User { id })) }
}

/// Generic.
#[memorize(key = (value, n))]
pub async fn generic<T: Serialize + Send + 'static>(value: T, n: u8) -> u8 {
    drop(value);
    n
}

/// Sync.
#[must_use]
#[memorize]
pub fn sync(id: u64) -> u64 {
    id
}

/// A service.
#[derive(Debug)]
pub struct Service;

impl Service {
    /// A method.
    #[memorize(skip(self))]
    pub async fn method(&self, id: u64) -> u64 {
        id
    }

    /// In its own task.
    #[memorize(skip(self))]
    pub async fn owned(self: std::sync::Arc<Self>, (a, b): (u64, u64)) -> u64 {
        a + b
    }
}

#[memorize]
async fn private(mut id: u64) -> u64 {
    id += 1;
    id
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(user(1, "ann", 2).await.id, 1);
    assert!(fallible(0).await.is_err());
    assert_eq!(generic("a", 1).await, 1);
    assert_eq!(sync(1), 1);
    assert_eq!(Service.method(1).await, 1);
    assert_eq!(std::sync::Arc::new(Service).owned((1, 2)).await, 3);
    assert_eq!(private(1).await, 2);
}
