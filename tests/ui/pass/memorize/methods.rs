//! Methods: `&self`, `self`, `Arc<Self>`, associated functions, inherent and trait impls, with and without companions.
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use memory_core::memorize;
use serde::Serialize;

static RUNS: AtomicU32 = AtomicU32::new(0);

fn ran() -> u32 {
    RUNS.swap(0, Ordering::Relaxed)
}

#[derive(Serialize)]
pub struct Users {
    region: String,
}

impl Users {
    #[memorize(skip(self))]
    pub async fn by_id(&self, id: u64) -> String {
        RUNS.fetch_add(1, Ordering::Relaxed);
        format!("{}-{id}", self.region)
    }

    #[memorize]
    pub(crate) async fn in_region(&self, id: u64) -> String {
        RUNS.fetch_add(1, Ordering::Relaxed);
        format!("{}-{id}", self.region)
    }

    #[memorize]
    pub async fn owned(self: Arc<Self>, id: u64) -> String {
        RUNS.fetch_add(1, Ordering::Relaxed);
        format!("{}-{id}", self.region)
    }

    #[memorize]
    pub async fn by_value(self, id: u64) -> String {
        RUNS.fetch_add(1, Ordering::Relaxed);
        format!("{}-{id}", self.region)
    }

    #[memorize(key = (self.region, id))]
    async fn private(&self, id: u64, ignored: u64) -> String {
        RUNS.fetch_add(1, Ordering::Relaxed);
        format!("{}-{id}-{ignored}", self.region)
    }

    #[memorize(in_impl)]
    pub async fn count(limit: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        limit
    }

    #[memorize(memory_only)]
    pub async fn named() -> &'static str {
        RUNS.fetch_add(1, Ordering::Relaxed);
        std::any::type_name::<Self>()
    }

    #[memorize(skip(self), companions = user_cache)]
    pub async fn renamed(&self, id: u64) -> u64 {
        id
    }

    #[memorize(skip(self), companions = false)]
    pub async fn alone(&self, id: u64) -> u64 {
        id
    }

    #[memorize]
    pub fn blocking(&self, id: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        id
    }
}

trait Repo {
    async fn find(&self, id: u64) -> Option<String>;
    async fn shared(self: Arc<Self>, id: u64) -> u64;
    async fn of(id: u64) -> u64;
    fn plain(&self, id: u64) -> u64;
    #[allow(unused)]
    async fn provided(&self, (a, b): (u64, u64)) -> Result<u64, String>
    where
        Self: Serialize,
    {
        Ok(a + b)
    }
}

struct Pg;
#[derive(Serialize)]
struct Lite;

impl Repo for Pg {
    #[memorize(skip(self))]
    async fn find(&self, id: u64) -> Option<String> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        (id > 0).then(|| "pg".to_owned())
    }

    #[memorize(skip(self))]
    async fn shared(self: Arc<Self>, id: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        id
    }

    #[memorize(in_impl)]
    async fn of(id: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        id
    }

    #[memorize(skip(self))]
    fn plain(&self, id: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        if id == 0 {
            return 1;
        }
        id
    }
}

impl Repo for Lite {
    #[memorize]
    async fn find(&self, id: u64) -> Option<String> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        let id = (id > 0).then_some(id)?;
        Some(format!("lite-{id}"))
    }

    async fn shared(self: Arc<Self>, id: u64) -> u64 {
        id
    }

    async fn of(id: u64) -> u64 {
        id
    }

    fn plain(&self, id: u64) -> u64 {
        id
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let eu = Users { region: "eu".to_owned() };
    let us = Users { region: "us".to_owned() };

    assert_eq!((eu.by_id(1).await, us.by_id(1).await), ("eu-1".to_owned(), "eu-1".to_owned()));
    assert_eq!(ran(), 1, "self is skipped");
    assert!(Users::by_id_invalidate(1).await.unwrap());
    assert_eq!(us.by_id_refresh(1).await, "us-1");
    assert_eq!(eu.by_id_uncached(1).await, "eu-1");
    assert_eq!(Users::by_id_peek(1).await.unwrap().unwrap(), "us-1");
    Users::by_id_put(1, "put".to_owned()).await.unwrap();
    assert_eq!(eu.by_id(1).await, "put");
    assert!(Users::by_id_key(1).to_string().contains("Users::by_id:"), "{}", Users::by_id_key(1));
    ran();

    assert_eq!((eu.in_region(1).await, us.in_region(1).await), ("eu-1".to_owned(), "us-1".to_owned()));
    assert!(eu.in_region_invalidate(1).await.unwrap());
    assert!(eu.in_region_peek(1).await.unwrap().is_none());
    assert!(us.in_region_peek(1).await.unwrap().is_some());
    assert_eq!(ran(), 2);

    let shared = Arc::new(Users { region: "eu".to_owned() });
    assert_eq!(shared.clone().owned(1).await, shared.clone().owned(1).await);
    assert!(shared.owned_invalidate(1).await.unwrap());
    assert_eq!(ran(), 1);
    let value = || Users { region: "eu".to_owned() };
    assert_eq!(value().by_value(1).await, value().by_value(1).await);
    assert_eq!(ran(), 1);

    assert_eq!(eu.private(1, 2).await, eu.private(1, 3).await);
    assert_ne!(eu.private(1, 2).await, us.private(1, 2).await);
    assert_eq!(ran(), 2);

    assert_eq!((Users::count(3).await, Users::count(3).await), (3, 3));
    assert!(Users::count_invalidate(3).await.unwrap());
    assert_eq!((Users::named().await, Users::named().await), (Users::named().await, Users::named().await));
    assert_eq!(ran(), 2);
    assert_eq!((eu.renamed(4).await, eu.alone(4).await), (4, 4));
    assert!(Users::user_cache_invalidate(4).await.unwrap());
    assert_eq!((eu.blocking(5), eu.blocking(5)), (5, 5));
    assert!(eu.blocking_invalidate(5).unwrap());
    assert_eq!(ran(), 1);

    assert_eq!((Pg.find(1).await, Pg.find(1).await), (Some("pg".to_owned()), Some("pg".to_owned())));
    assert_eq!(Lite.find(1).await.unwrap(), "lite-1");
    assert_eq!(ran(), 2);
    assert_eq!((Pg.find(0).await, Pg.find(0).await), (None, None));
    assert_eq!(ran(), 2, "None is not stored");
    let pg = Arc::new(Pg);
    assert_eq!((pg.clone().shared(1).await, pg.shared(1).await), (1, 1));
    assert_eq!((Pg::of(1).await, Pg::of(1).await), (1, 1));
    assert_eq!((Pg.plain(0), Pg.plain(0), Pg.plain(2)), (1, 1, 2));
    assert_eq!(ran(), 4);
    assert_eq!(Lite.shared_and_of().await, (1, 1, 1));
}

impl Lite {
    async fn shared_and_of(self) -> (u64, u64, u64) {
        (Arc::new(Self).shared(1).await, Self::of(1).await, self.plain(1))
    }
}
