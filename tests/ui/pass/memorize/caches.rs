//! `cache = EXPR`, of the program, of `self` and of an argument; `on(&cache)` names it.
use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

use axum::extract::State;
use memory_core::{FmCache, FmCacheManager, FmMemoryBackend, memorize};

static RUNS: AtomicU32 = AtomicU32::new(0);
static CACHE: LazyLock<FmCache> = LazyLock::new(new_cache);

fn new_cache() -> FmCache {
    FmCacheManager::builder(FmMemoryBackend::new()).prefix("app").build().unwrap()
}

fn ran() -> u32 {
    RUNS.swap(0, Ordering::Relaxed)
}

#[memorize(cache = CACHE)]
async fn of_the_program(id: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    id
}

#[derive(Clone)]
struct App {
    cache: FmCache,
}

#[memorize(cache = app.cache)]
async fn of_the_state(State(app): State<App>, id: u64) -> u64 {
    let _ = app;
    RUNS.fetch_add(1, Ordering::Relaxed);
    id
}

#[memorize(cache = cache, skip(cache))]
async fn given(cache: &FmCache, id: u64) -> u64 {
    let _ = cache;
    RUNS.fetch_add(1, Ordering::Relaxed);
    id
}

impl App {
    #[memorize(cache = self.cache, skip(self))]
    async fn private(&self, id: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        id
    }

    #[memorize(cache = self.cache, skip(self))]
    pub async fn of_self(&self, id: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        id
    }
}

#[memorize(cache = *CACHE)]
fn sync(id: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    id
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (a, b) = (App { cache: new_cache() }, App { cache: new_cache() });
    assert_eq!((of_the_program(1).await, of_the_program(1).await), (1, 1));
    assert_eq!(ran(), 1);
    assert!(!of_the_program::on(&a.cache).invalidate(1).await.unwrap());
    assert!(of_the_program::on(&CACHE).invalidate(1).await.unwrap());
    assert!(!of_the_program::invalidate(1).await.unwrap());

    for app in [&a, &b, &a] {
        assert_eq!(of_the_state(State(app.clone()), 1).await, 1);
        assert_eq!(given(&app.cache, 1).await, 1);
        assert_eq!(app.private(1).await + app.of_self(1).await, 2);
    }
    assert_eq!(ran(), 8);
    assert_eq!(of_the_state::on(&a.cache).peek(1).await.unwrap(), Some(1));
    assert!(of_the_state::on(&a.cache).invalidate(1).await.unwrap());
    assert!(given::on(&a.cache).invalidate(1).await.unwrap());
    assert!(a.of_self_invalidate(1).await.unwrap());
    assert!(b.of_self_peek(1).await.unwrap().is_some());
    assert_eq!(of_the_state::refresh(State(a.clone()), 1).await, 1);
    assert_eq!(ran(), 1);

    assert_eq!((sync(1), sync(1)), (1, 1));
    assert_eq!(ran(), 1);
    assert_eq!(sync::peek(1).unwrap(), Some(1));
    assert!(sync::invalidate(1).unwrap());
    sync::put(1, 2).unwrap();
    assert_eq!((sync(1), sync::refresh(1), sync::uncached(1)), (2, 1, 1));
}
