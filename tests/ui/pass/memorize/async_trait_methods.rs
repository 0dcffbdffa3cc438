//! `#[async_trait]` has rewritten the method before `#[memorize]` sees it.
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use memory_core::memorize;

static RUNS: AtomicU32 = AtomicU32::new(0);

#[async_trait]
trait Repo: Send + Sync {
    async fn find(&self, id: u64, name: &str) -> Result<Option<String>, String>;
    async fn shared(self: Arc<Self>, (a, b): (u64, u64)) -> u64;
}

struct Pg;

#[async_trait]
impl Repo for Pg {
    #[memorize(expire = 60, skip(self))]
    async fn find(&self, id: u64, name: &str) -> Result<Option<String>, String> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        if id == 0 {
            return Err("zero".to_owned());
        }
        Ok(Some(format!("{name}-{id}")))
    }

    #[memorize(skip(self))]
    async fn shared(self: Arc<Self>, (a, b): (u64, u64)) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        a + b
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let repo: Arc<dyn Repo> = Arc::new(Pg);
    assert_eq!(repo.find(1, "ann").await, Ok(Some("ann-1".to_owned())));
    assert_eq!(repo.find(1, "ann").await, Ok(Some("ann-1".to_owned())));
    assert_eq!(repo.find(1, "bob").await, Ok(Some("bob-1".to_owned())));
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 2);
    assert!(repo.find(0, "ann").await.is_err() && repo.find(0, "ann").await.is_err());
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 2);
    let task = tokio::spawn(repo.clone().shared((1, 2)));
    assert_eq!((task.await.unwrap(), repo.shared((1, 2)).await), (3, 3));
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 1);
}
