//! `key`, `skip` and `refresh_if` use arguments by value without moving them.
use std::sync::atomic::{AtomicU32, Ordering};

use axum::extract::{Path, State};
use memory_core::memorize;

static RUNS: AtomicU32 = AtomicU32::new(0);

fn ran() -> u32 {
    RUNS.swap(0, Ordering::Relaxed)
}

#[derive(Clone)]
struct Tenant {
    name: String,
}

#[memorize(key = (id, lang))]
async fn page(id: u64, lang: String, trace: String) -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    format!("{id}{lang}{trace}")
}

#[memorize(key = (tenant.name, id, format!("{lang}")))]
async fn handler(State(tenant): State<Tenant>, Path((id, mut lang)): Path<(u64, String)>) -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    lang.push_str(&tenant.name);
    format!("{id}{lang}")
}

#[memorize(key = lang.to_lowercase())]
async fn lowered(lang: &str) -> usize {
    RUNS.fetch_add(1, Ordering::Relaxed);
    lang.len()
}

#[memorize(key = "one")]
async fn constant(_trace: String) -> u8 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    1
}

#[memorize(skip(trace), refresh_if = force)]
async fn forced(id: u64, force: bool, trace: Tenant) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    let _ = force;
    id + trace.name.len() as u64
}

#[memorize(key = (a, b))]
async fn patterns(&a: &u8, (b, _c): (u8, u8)) -> u8 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    a + b
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let s = str::to_owned;
    assert_eq!((page(1, s("en"), s("a")).await, page(1, s("en"), s("b")).await), (s("1ena"), s("1ena")));
    assert_eq!(page(1, s("de"), s("a")).await, "1dea");
    assert_eq!(ran(), 2);
    assert!(page::invalidate(1, s("en")).await.unwrap());
    assert!(page::key(1, s("en")).to_string().ends_with(":1:en"), "{}", page::key(1, s("en")));
    assert_eq!(page::refresh(1, s("en"), s("c")).await, "1enc");
    ran();

    let tenant = |name: &str| Tenant { name: name.to_owned() };
    let call = async |name: &str, id, lang: &str| handler(State(tenant(name)), Path((id, lang.to_owned()))).await;
    assert_eq!((call("a", 1, "en").await, call("a", 1, "en").await), (s("1ena"), s("1ena")));
    assert_eq!((call("b", 1, "en").await, call("a", 2, "en").await), (s("1enb"), s("2ena")));
    assert_eq!(ran(), 3);
    assert!(handler::invalidate(State(tenant("a")), (1, s("en"))).await.unwrap());

    assert_eq!((lowered("EN").await, lowered("en").await), (2, 2));
    assert!(lowered::invalidate("En").await.unwrap());
    assert_eq!((constant(s("a")).await, constant(s("b")).await), (1, 1));
    assert!(constant::invalidate().await.unwrap());
    assert_eq!(ran(), 2);

    assert_eq!((forced(1, false, tenant("x")).await, forced(1, false, tenant("y")).await), (2, 2));
    assert_eq!(ran(), 1);
    forced(1, true, tenant("x")).await;
    forced(1, true, tenant("x")).await;
    assert_eq!(ran(), 2);
    assert!(forced::invalidate(1, true).await.unwrap());
    assert_eq!((patterns(&1, (2, 3)).await, patterns(&1, (2, 4)).await), (3, 3));
    assert_eq!(ran(), 1);
}
