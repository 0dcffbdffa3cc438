//! Direct use of the cache, without attributes: get, set, remove, clear, namespaces, get_or_compute, statistics.
//!
//! ```text
//! cargo run --example manual_cache
//! ```

use std::time::Duration;

use memory_core::{FOREVER, FmCacheManager, FmError, FmMemoryBackend};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    loader: String,
    rows: u64,
}

#[tokio::main]
async fn main() -> Result<(), FmError> {
    // Once, in main. Everything below works on this cache, from anywhere in the process.
    FmCacheManager::builder(FmMemoryBackend::new()).prefix("app-cache").expire(300).jitter(0.1).init()?;

    let report = Report { loader: "SNF".into(), rows: 42 };
    FmCacheManager::set("loaderReport:SNF", report.clone()).expire(3600).await?;
    let hit = FmCacheManager::get::<Report>("loaderReport:SNF").await?;
    println!("stored and read back:      {hit:?}");
    assert_eq!(hit, Some(report));

    let other_type = FmCacheManager::get::<Vec<u8>>("loaderReport:SNF").await?;
    println!("asked for another type:    {other_type:?} (a miss, never a wrong value)");
    assert_eq!(other_type, None);

    // A namespace is part of the key, and can be cleared as a whole.
    FmCacheManager::set_many([("a", 1), ("b", 2)]).namespace("reports").expire(0.5).await?;
    let both = FmCacheManager::get_many::<i32>(["a", "b"]).namespace("reports").await?;
    let cleared = FmCacheManager::clear_namespace("reports").await?;
    println!("in a namespace:            {both:?}; cleared {cleared}");
    assert_eq!((both, cleared), (vec![Some(1), Some(2)], 2));

    // Many callers at once make one run; only Ok is stored.
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(load())).collect();
    for call in calls {
        let rows = call.await.map_err(|_| ()).and_then(|rows| rows.map_err(|_| ()));
        assert_eq!(rows, Ok(7));
    }
    let stats = FmCacheManager::stats();
    println!("100 callers of one key:    {} run, {} joined it", stats.runs, stats.coalesced);
    assert_eq!(stats.runs, 1);

    FmCacheManager::set("settings", "dark".to_owned()).expire(FOREVER).await?;
    println!("removed, was there:        {}", FmCacheManager::remove("settings").await?);
    println!("removed again:             {}", FmCacheManager::remove("settings").await?);
    println!("cleared, entries that went: {}", FmCacheManager::clear().await?);

    let refused = FmCacheManager::set("k", 1).expire(-1).await;
    println!("a negative expiry:         {}", refused.err().map(|error| error.to_string()).unwrap_or_default());
    FmCacheManager::close().await;
    Ok(())
}

async fn load() -> Result<u64, FmError> {
    FmCacheManager::get_or_compute("rows", || async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(7)
    })
    .expire(60)
    .await
}
