//! Databases, and the other spelling of URLs. For users and passwords, see `outages`, `bus`, `cluster` and `sentinel`.

use memory_core::backend::Group;
use memory_redis::FmRedisBackend;

use crate::{Store, now, support::redis_server::RedisServer};

#[tokio::test]
async fn a_database_is_used_alone() {
    let server = RedisServer::start();
    let (zero, three) = (Store::patient(&server.url()), Store::patient(&format!("{}/3", server.url())));
    let key = zero.key("f");
    zero.run_and_store(&key, "zero").await;
    assert_eq!(three.payload(&key).await, None);
    three.run_and_store(&key, "three").await;
    assert_eq!(now(three.tier.clear(&Group::All).await), 1);
    assert_eq!(three.payload(&key).await, None);
    assert_eq!(zero.payload(&key).await.as_deref(), Some("zero"));
}

#[tokio::test]
async fn valkey_urls_are_taken() {
    let server = RedisServer::start();
    let url = server.url().replace("redis://", "valkey://");
    let store = Store::with("app", crate::patient(FmRedisBackend::connect(url).unwrap()));
    store.works(&store.key("f")).await;
}
