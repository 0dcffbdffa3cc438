//! Things that are made once, and results that are remembered.
//!
//! `cargo run --example singleton_lru`
#![deny(warnings, clippy::pedantic)]

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::Duration,
};

use memory_core::{FmLru, cached_singleton, fm_lru};

static SETTINGS_READ: AtomicU32 = AtomicU32::new(0);
static POOL_TRIES: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
struct Settings {
    database: String,
}

/// Callers get `&'static Settings`; the body runs once, ever.
#[cached_singleton]
fn get_settings() -> Settings {
    SETTINGS_READ.fetch_add(1, Relaxed);
    thread::sleep(Duration::from_millis(20)); // reading a file, say
    Settings { database: "postgres://localhost/app".to_owned() }
}

#[derive(Debug)]
struct Pool {
    url: &'static str,
}

/// Callers get `Result<&'static Pool, String>`; an `Err` is not kept, the next caller tries again.
#[cached_singleton]
async fn get_pool() -> Result<Pool, String> {
    tokio::time::sleep(Duration::from_millis(5)).await; // connecting
    match POOL_TRIES.fetch_add(1, Relaxed) {
        0 => Err("the database is still starting".to_owned()),
        _ => Ok(Pool { url: &get_settings().database }),
    }
}

/// Remembers the last two results.
#[fm_lru(maxsize = 2)]
fn greeting(language: &str) -> String {
    match language {
        "de" => "Guten Tag".to_owned(),
        "fr" => "Bonjour".to_owned(),
        _ => "Hello".to_owned(),
    }
}

/// Without a bound, a recursive function remembers all its inner calls.
#[fm_lru(maxsize = None)]
fn ways_to_climb(steps: u64) -> u64 {
    if steps < 2 { 1 } else { ways_to_climb(steps - 1) + ways_to_climb(steps - 2) }
}

/// The store by itself, where a function is not the right shape.
static SQUARES: FmLru<u64, u64> = FmLru::new(Some(1_000));

#[tokio::main(flavor = "current_thread")]
async fn main() {
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(get_settings);
        }
    });
    println!("64 racing threads read the settings {} time(s): {:?}", SETTINGS_READ.load(Relaxed), get_settings());

    println!("first connection:  {:?}", get_pool().await);
    println!("second connection: {:?}", get_pool().await.map(|pool| pool.url));
    println!("third, no run:     {:?} after {} tries", get_pool().await.is_ok(), POOL_TRIES.load(Relaxed));

    for language in ["de", "fr", "de", "en", "fr"] {
        println!("{language}: {:<9} {}", greeting(language), greeting::cache_info());
    }
    greeting::cache_clear();
    println!("cleared:      {}", greeting::cache_info());

    println!("90 steps: {} ways, {}", ways_to_climb(90), ways_to_climb::cache_info());

    let square = |n| SQUARES.get_or_insert_with(n, || n * n);
    println!("12² = {}, again {}: {}", square(12), square(12), SQUARES.cache_info());
}
