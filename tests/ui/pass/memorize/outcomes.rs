//! `Result`, `Option` and `Json` are recognised by type, through aliases; what is stored follows from them.
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Json;
use memory_core::memorize;
use serde::{Deserialize, Serialize};

static RUNS: AtomicU32 = AtomicU32::new(0);

fn ran() -> u32 {
    RUNS.swap(0, Ordering::Relaxed)
}

type Fallible<T> = std::result::Result<T, std::io::Error>;
type Maybe = Option<u64>;
type Answer = Fallible<Option<Json<Item>>>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item(u64);

#[memorize]
async fn aliased(id: u64) -> Fallible<u64> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    if id == 0 { Err(std::io::Error::other("zero")) } else { Ok(id) }
}

#[memorize]
async fn maybe(id: u64) -> Maybe {
    RUNS.fetch_add(1, Ordering::Relaxed);
    (id > 0).then_some(id)
}

#[memorize]
async fn deep(id: u64) -> Answer {
    RUNS.fetch_add(1, Ordering::Relaxed);
    match id {
        0 => Ok(None),
        1 => Err(std::io::Error::other("one")),
        id => Ok(Some(Json(Item(id)))),
    }
}

#[memorize]
async fn any(id: u64) -> anyhow::Result<Item> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    anyhow::ensure!(id > 0, "zero");
    Ok(Item(id))
}

#[memorize(cache_none)]
async fn none_kept(id: u64) -> Answer {
    RUNS.fetch_add(1, Ordering::Relaxed);
    if id == 1 { Err(std::io::Error::other("one")) } else { Ok(None) }
}

#[memorize(expire = 60, cache_err = 5)]
async fn err_kept(id: u64) -> Result<Maybe, String> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    if id == 1 { Err("one".to_owned()) } else { Ok(None) }
}

#[memorize(expire = 60, cache_none = 0, cache_err)]
async fn own_expiry(id: u64) -> Result<Maybe, String> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    if id == 1 { Err("one".to_owned()) } else { Ok(None) }
}

#[memorize(cache_if = |answer| answer.as_ref().is_ok_and(|id| *id > 5))]
async fn when(id: u64) -> Result<u64, String> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    Ok(id)
}

fn is_big(id: &u64) -> bool {
    *id > 5
}

#[memorize(cache_if = is_big, expire = |id| if *id > 6 { 0 } else { 60 })]
async fn by_path(id: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    id
}

struct NotSerialize(u64);

#[memorize(memory_only)]
async fn in_memory(id: u64) -> std::sync::Arc<NotSerialize> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    std::sync::Arc::new(NotSerialize(id))
}

macro_rules! twice {
    ($call:expr) => {{
        let _ = ($call, $call);
        ran()
    }};
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!((twice!(aliased(1).await), twice!(aliased(0).await)), (1, 2));
    assert_eq!((twice!(maybe(1).await), twice!(maybe(0).await)), (1, 2));
    assert_eq!((twice!(deep(2).await), twice!(deep(1).await), twice!(deep(0).await)), (1, 2, 2));
    assert_eq!((twice!(any(1).await), twice!(any(0).await)), (1, 2));
    assert_eq!((twice!(none_kept(0).await), twice!(none_kept(1).await)), (1, 2));
    assert_eq!((twice!(err_kept(1).await), twice!(err_kept(0).await)), (1, 2));
    assert_eq!((twice!(own_expiry(1).await), twice!(own_expiry(0).await)), (1, 2));
    assert_eq!((twice!(when(6).await), twice!(when(5).await)), (1, 2));
    assert_eq!((twice!(by_path(6).await), twice!(by_path(5).await), twice!(by_path(7).await)), (1, 2, 2));
    assert_eq!(twice!(in_memory(1).await), 1);
    assert_eq!(in_memory(1).await.0, 1);
    assert_eq!(deep(2).await.unwrap().unwrap().0, Item(2));
}
