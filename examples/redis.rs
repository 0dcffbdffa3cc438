//! A cache in Redis, shared between processes, and what happens without one.
//!
//! `cargo run --example redis` uses the Redis at `$REDIS_URL`, or at `redis://127.0.0.1:6379`. Where there is none, it goes
//! on all the same: that is the point. Stop your Redis and start it again while a service like this one runs, and no call
//! fails: each runs its body; the first ones wait up to 120 ms for each question to Redis, later ones not at all; and
//! caching is back within 5 s.

use std::{
    env,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use memory_core::{FmCache, FmCacheManager, FmError, memorize};
use memory_redis::{FmRedisBackend, redis};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "memory-example";
static RUNS: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Article {
    id: u64,
    title: String,
}

/// `name` fixes the key where this function may be renamed or moved while its entries live on.
#[memorize(expire = 60, namespace = "articles", name = "article")]
async fn article(id: u64, language: &str) -> Result<Article, FmError> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(Article { id, title: format!("Article {id} ({language})") })
}

#[tokio::main]
async fn main() -> Result<(), FmError> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let began = Instant::now();
    // No I/O yet: a service boots whether Redis is there or not.
    FmCacheManager::init(FmRedisBackend::connect(&url)?, PREFIX)?;
    println!("Booted in {:.1?}, without a word to Redis.\n", began.elapsed());

    println!("The same call five times; the body takes 50 ms:");
    for _ in 0..5 {
        let (began, before) = (Instant::now(), RUNS.load(Ordering::Relaxed));
        article(7, "en").await?;
        let what = if RUNS.load(Ordering::Relaxed) > before { "ran the body" } else { "found in Redis" };
        println!("  {:>8} {what}", format!("{:.1?}", began.elapsed()));
    }

    if is_there().await {
        keys_and_other_processes(&url).await?;
    } else {
        println!("\nThere is no Redis at this address (give one in REDIS_URL): nothing was cached, nothing failed.");
        outage().await;
    }
    FmCacheManager::close().await;
    Ok(())
}

/// Only `.strict()` makes an outage an error; it is how a health check asks.
async fn is_there() -> bool {
    FmCacheManager::get::<u8>("health").strict().await.is_ok()
}

async fn keys_and_other_processes(url: &str) -> Result<(), FmError> {
    article(8, "de").await?;
    FmCacheManager::set("motd", "hello".to_owned()).expire(3600).await?;
    println!("\nWhat lies in Redis, and for how long (`{PREFIX}%gen…` are the generations that invalidations change):");
    match entries(url).await {
        Ok(entries) => entries.iter().for_each(|(key, seconds)| println!("  {key:<44} {seconds:>5} s")),
        Err(error) => println!("  (could not be listed: {error})"),
    }
    println!("The key of a call is known without asking: {}", article::key(7, "en"));

    // Another cache on the same Redis and prefix stands for another process.
    let other: FmCache = FmCacheManager::builder(FmRedisBackend::connect(url)?).prefix(PREFIX).build()?;
    other.scope(article(7, "en")).await?;
    println!("\nAnother process asked for article 7: {} hit, {} runs.", other.stats().hits, other.stats().runs);
    let was_there = other.scope(async { article::invalidate(7, "en").await }).await?;
    let here = article::peek(7, "en").await?;
    println!("It invalidated it (was there: {was_there}); here it is gone: {}.", here.is_none());
    println!("Clearing takes this prefix and nothing else: {} entries went.", FmCacheManager::clear().await?);
    other.close().await;
    Ok(())
}

async fn outage() {
    let stats = FmCacheManager::stats();
    println!("{} runs of the body, {} failures of the store, all counted.", stats.runs, stats.errors);
    let removed = article::invalidate(7, "en").await;
    println!("An invalidation is queued, and made up for before Redis is trusted: {removed:?}.");
    if let Err(error) = article::invalidate(7, "en").strict().await {
        println!("With .strict() it is an error: {error}.");
    }
}

/// The names under our prefix, with their remaining life in seconds.
async fn entries(url: &str) -> redis::RedisResult<Vec<(String, i64)>> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let (mut cursor, mut names) = (0_u64, Vec::<String>::new());
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{PREFIX}*")).arg("COUNT").arg(1000);
        let (next, page): (u64, Vec<String>) = scan.query_async(&mut connection).await?;
        names.extend(page);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    names.sort();
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        let life: i64 = redis::cmd("TTL").arg(&name).query_async(&mut connection).await?;
        entries.push((name, life));
    }
    Ok(entries)
}
