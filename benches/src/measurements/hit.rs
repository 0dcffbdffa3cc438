//! A hit in memory: an async function, 256 hot keys, one thread, 60 s to live, a bound.

use std::{hash::Hash, hint::black_box, sync::Arc, time::Instant};

use allocation_counter::measure;
use cached::macros::concurrent_cached;
use equivalent::Equivalent;
use hitbox_fn::prelude::{Cache as Hitbox, KeyExtract, PolicyConfig};
use memoize::memoize;
use memory_core::memorize;
use quick_cache::sync::Cache as QuickCache;

use crate::{
    clock::Deadline,
    report::{Goal, Row},
    rounds::{Contender, Effort, OURS, Samples, take_turns},
    support::{LIFE, ROOM, for_each, foyer, init, moka, runtime},
};

const KEYS: u64 = 256;

pub(crate) fn of_u64(effort: Effort) -> Vec<Row> {
    let contenders = vec![
        memorized(numbers(), doubled),
        by_hand(numbers(), |number| number * 2),
        concurrent(numbers(), doubled_by_cached),
        moka_future(numbers(), |number| number * 2),
        quick_cache_fine(),
        foyer_with_deadline(),
        hitbox(),
        memoized(),
    ];
    let goals =
        vec![Goal::at_most(1.6, &["by_hand"]), Goal::at_most(0.45, &["cached"]), Goal::at_most(0.15, &["moka"])];
    row("hit_u64", "async fn(u64) -> u64", contenders, effort, goals)
}

pub(crate) fn of_arc(effort: Effort) -> Vec<Row> {
    let contenders = vec![
        memorized(numbers(), shared_text),
        by_hand(numbers(), |number| Arc::<str>::from(kibibyte(number))),
        concurrent(numbers(), shared_text_by_cached),
        moka_future(numbers(), |number| Arc::<str>::from(kibibyte(number))),
    ];
    row("hit_arc", "async fn(u64) -> Arc<str>", contenders, effort, vec![Goal::at_most(1.6, &["by_hand"])])
}

pub(crate) fn of_string(effort: Effort) -> Vec<Row> {
    let contenders = vec![
        memorized(numbers(), text),
        by_hand(numbers(), kibibyte),
        concurrent(numbers(), text_by_cached),
        moka_future(numbers(), kibibyte),
    ];
    row("hit_string", "async fn(u64) -> String of 1 KiB", contenders, effort, vec![Goal::at_most(1.6, &["by_hand"])])
}

pub(crate) fn by_tuple(effort: Effort) -> Vec<Row> {
    let contenders = vec![
        memorized(tuples(), |(id, name, page)| tupled(id, name, page)),
        tuple_by_hand(),
        concurrent(tuples(), |(id, name, page)| tupled_by_cached(id, name.to_owned(), page)),
    ];
    let about = "async fn(u64, &str, Option<u32>) -> u64";
    row("hit_tuple_key", about, contenders, effort, vec![Goal::at_most(1.6, &["by_hand"])])
}

/// What a hit allocates.
pub(crate) fn allocations(_: Effort) -> Vec<Row> {
    let of = |contender: Contender| Samples::new(contender.name, vec![per_hit(contender)]);
    let numbers_row = [of(memorized(numbers(), doubled)), of(concurrent(numbers(), doubled_by_cached))];
    let arcs = [of(memorized(numbers(), shared_text)), of(concurrent(numbers(), shared_text_by_cached))];
    let texts = [of(memorized(numbers(), text)), of(by_hand(numbers(), kibibyte))];
    let row = |name, about, samples: &[Samples]| Row::new(name, about, "allocations", samples, Vec::new());
    vec![
        row("hit_allocations", "what a hit of u64 allocates", &numbers_row),
        row("hit_allocations_arc", "what a hit of Arc<str> allocates", &arcs),
        row("hit_allocations_string", "what a hit of String allocates: the clone", &texts),
    ]
}

fn per_hit(mut contender: Contender) -> f64 {
    const HITS: u64 = 10_000;
    contender.run(2 * KEYS);
    // The turn itself may allocate; it does not go with the number of hits.
    let of = |contender: &mut Contender, hits| measure(|| contender.run(hits)).count_total;
    let [few, many] = [KEYS, KEYS + HITS].map(|hits| of(&mut contender, hits));
    (many - few) as f64 / HITS as f64
}

fn row(name: &str, about: &str, contenders: Vec<Contender>, effort: Effort, goals: Vec<Goal>) -> Vec<Row> {
    let about = format!("a hit of {about}, 256 hot keys, 1 thread");
    vec![Row::new(name, &about, "ns", &take_turns(contenders, effort.of_one_thread()), goals)]
}

fn numbers() -> Vec<u64> {
    (0..KEYS).collect()
}

fn tuples() -> Vec<(u64, &'static str, Option<u32>)> {
    const NAMES: [&str; 4] = ["a name", "another, longer name", "", "user@example.com"];
    (0..KEYS).map(|number| (number, NAMES[number as usize % 4], (number % 3 > 0).then_some(number as u32))).collect()
}

fn kibibyte(number: u64) -> String {
    format!("{number:01024}")
}

#[memorize(expire = 60)]
async fn doubled(number: u64) -> u64 {
    number * 2
}

#[memorize(expire = 60, memory_only)]
async fn shared_text(number: u64) -> Arc<str> {
    kibibyte(number).into()
}

#[memorize(expire = 60)]
async fn text(number: u64) -> String {
    kibibyte(number)
}

#[memorize(expire = 60)]
async fn tupled(id: u64, name: &str, page: Option<u32>) -> u64 {
    id + name.len() as u64 + u64::from(page.unwrap_or_default())
}

#[concurrent_cached(ttl_secs = 60, max_size = 100_000)]
async fn doubled_by_cached(number: u64) -> u64 {
    number * 2
}

#[concurrent_cached(ttl_secs = 60, max_size = 100_000)]
async fn shared_text_by_cached(number: u64) -> Arc<str> {
    kibibyte(number).into()
}

#[concurrent_cached(ttl_secs = 60, max_size = 100_000)]
async fn text_by_cached(number: u64) -> String {
    kibibyte(number)
}

#[concurrent_cached(ttl_secs = 60, max_size = 100_000)]
async fn tupled_by_cached(id: u64, name: String, page: Option<u32>) -> u64 {
    id + name.len() as u64 + u64::from(page.unwrap_or_default())
}

#[memoize(Capacity: 100_000, TimeToLive: std::time::Duration::from_secs(60))]
fn doubled_by_memoize(number: u64) -> u64 {
    number * 2
}

fn memorized<K: Copy + 'static, F: Future>(keys: Vec<K>, call: impl Fn(K) -> F + 'static) -> Contender {
    static CACHE: std::sync::Once = std::sync::Once::new();
    CACHE.call_once(|| drop(init(ROOM)));
    awaited(OURS, keys, call)
}

fn concurrent<K: Copy + 'static, F: Future>(keys: Vec<K>, call: impl Fn(K) -> F + 'static) -> Contender {
    awaited("cached", keys, call)
}

fn awaited<K: Copy + 'static, F: Future>(
    name: &'static str,
    keys: Vec<K>,
    call: impl Fn(K) -> F + 'static,
) -> Contender {
    let runtime = runtime();
    Contender::new(name, move |times| for_each(&runtime, &keys, times, &call))
}

/// The best by hand: an async function over a quick_cache whose values carry their deadline.
fn by_hand<V: Clone + 'static>(keys: Vec<u64>, body: fn(u64) -> V) -> Contender {
    let cache: &QuickCache<u64, (V, Deadline)> = Box::leak(Box::new(QuickCache::new(ROOM)));
    awaited("by_hand", keys, move |key| async move {
        match cache.get(&key) {
            Some((value, deadline)) if deadline.is_ahead() => value,
            _ => {
                let value = body(key);
                cache.insert(key, (value.clone(), Deadline::after(LIFE)));
                value
            }
        }
    })
}

/// The key of [`tuple_by_hand`], as it is stored and as it is looked up.
#[derive(PartialEq, Eq, Hash)]
struct TupleKey(u64, String, Option<u32>);

#[derive(Hash)]
struct TupleRef<'a>(u64, &'a str, Option<u32>);

impl Equivalent<TupleKey> for TupleRef<'_> {
    fn equivalent(&self, key: &TupleKey) -> bool {
        (self.0, self.1, self.2) == (key.0, key.1.as_str(), key.2)
    }
}

fn tuple_by_hand() -> Contender {
    let cache: &QuickCache<TupleKey, (u64, Deadline)> = Box::leak(Box::new(QuickCache::new(ROOM)));
    awaited("by_hand", tuples(), move |(id, name, page)| async move {
        match cache.get(&TupleRef(id, name, page)) {
            Some((value, deadline)) if deadline.is_ahead() => value,
            _ => {
                let value = id + name.len() as u64;
                cache.insert(TupleKey(id, name.to_owned(), page), (value, Deadline::after(LIFE)));
                value
            }
        }
    })
}

fn moka_future<V: Clone + Send + Sync + 'static>(keys: Vec<u64>, body: fn(u64) -> V) -> Contender {
    let cache: &moka::future::Cache<u64, V> = Box::leak(Box::new(moka(ROOM)));
    awaited("moka", keys, move |key| async move {
        match cache.get(&key).await {
            Some(value) => value,
            None => {
                let value = body(key);
                cache.insert(key, value.clone()).await;
                value
            }
        }
    })
}

fn quick_cache_fine() -> Contender {
    let cache: &QuickCache<u64, (u64, Instant)> = Box::leak(Box::new(QuickCache::new(ROOM)));
    awaited("quick_cache", numbers(), move |key| async move {
        match cache.get(&key) {
            Some((value, deadline)) if Instant::now() < deadline => value,
            _ => {
                cache.insert(key, (key * 2, Instant::now() + LIFE));
                key * 2
            }
        }
    })
}

fn foyer_with_deadline() -> Contender {
    let cache: &foyer::Cache<u64, (u64, Deadline)> = Box::leak(Box::new(foyer(ROOM)));
    awaited("foyer", numbers(), move |key| async move {
        match cache.get(&key) {
            Some(entry) if entry.value().1.is_ahead() => entry.value().0,
            _ => {
                cache.insert(key, (key * 2, Deadline::after(LIFE)));
                key * 2
            }
        }
    })
}

#[derive(Clone, Copy, KeyExtract)]
struct Number(u64);

#[hitbox_fn::cached]
async fn doubled_by_hitbox(number: Number) -> Result<u64, std::convert::Infallible> {
    Ok(number.0 * 2)
}

fn hitbox() -> Contender {
    let backend = hitbox_moka::MokaBackend::builder().max_entries(ROOM as u64).build();
    let cache = Hitbox::builder().backend(backend).policy(PolicyConfig::builder().ttl(LIFE).build()).build();
    let cache: &_ = Box::leak(Box::new(cache));
    awaited("hitbox", numbers(), move |key| async move { doubled_by_hitbox(Number(key)).cache(cache).await })
}

fn memoized() -> Contender {
    awaited("memoize", numbers(), |key| async move { black_box(doubled_by_memoize(key)) })
}
