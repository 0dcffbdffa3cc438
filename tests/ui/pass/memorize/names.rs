//! `name`, `namespace` and `version` are part of the key; `crate` says where this library is.
mod facade {
    pub use memory_core as memory;
}

use memory_core::memorize;

const REPORTS: &str = "reports";
const VERSION: u64 = 7;

#[memorize(name = "users.get")]
async fn named(id: u64) -> u64 {
    id
}

#[memorize(namespace = "reports")]
async fn grouped(id: u64) -> u64 {
    id
}

#[memorize(namespace = REPORTS, version = VERSION)]
async fn constants(id: u64) -> u64 {
    id
}

#[memorize(version = 2)]
async fn versioned(id: u64) -> u64 {
    id
}

#[memorize(crate = facade::memory, expire = 60)]
#[tracing::instrument]
async fn through_a_facade(id: u64, #[cfg(any())] gone: u8) -> Option<u64> {
    Some(id)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert!(named::key(1).to_string().ends_with("users.get:1"), "{}", named::key(1));
    assert!(grouped::key(1).to_string().contains("reports"), "{}", grouped::key(1));
    assert!(constants::key(1).to_string().contains("reports"), "{}", constants::key(1));
    assert!(versioned::key(1).to_string() != versioned::key(2).to_string());
    assert_eq!(named(1).await + grouped(1).await + constants(1).await + versioned(1).await, 4);
    assert!(grouped::invalidate(1).await.unwrap());
    assert_eq!(through_a_facade(1).await, Some(1));
    assert!(through_a_facade::invalidate(1).await.unwrap());
}
