//! What an entry costs: the heap of a million of them.

use std::{hint::black_box, sync::Arc};

use allocation_counter::measure;
use memory_core::memorize;
use quick_cache::sync::Cache as QuickCache;

use crate::{
    clock::Deadline,
    report::{Goal, Row},
    rounds::{Effort, OURS, Samples},
    support::{LIFE, foyer, init, moka, runtime},
};

const ENTRIES: u64 = 1_000_000;
/// So that nobody evicts.
const ROOM: usize = 2_000_000;

pub(crate) fn per_entry(_: Effort) -> Vec<Row> {
    let numbers = [ours(doubled), by_quick_cache(|key| key * 2), by_moka(|key| key * 2), by_foyer(|key| key * 2)];
    let texts = [ours(text), by_quick_cache(hundred), by_moka(hundred), by_foyer(hundred)];
    let goals = || vec![Goal::at_most(1.5, &["quick_cache"])];
    let row = |name, about, samples: &[Samples]| {
        Row::new(name, &format!("heap of an entry, 1M of {about}, with a deadline"), "B", samples, goals())
    };
    vec![row("heap_per_entry", "u64 → u64", &numbers), row("heap_per_entry_string", "u64 → String of 100 B", &texts)]
}

#[memorize(expire = 3600, in_place)]
async fn doubled(number: u64) -> u64 {
    number * 2
}

#[memorize(expire = 3600, in_place)]
async fn text(number: u64) -> String {
    hundred(number)
}

fn hundred(number: u64) -> String {
    format!("{number:0100}")
}

/// What is on the heap after `fill` that was not before, by entry.
fn of(name: &'static str, fill: impl FnOnce()) -> Samples {
    let bytes = measure(fill).bytes_current;
    Samples::new(name, vec![bytes as f64 / ENTRIES as f64])
}

fn ours<F: Future>(call: impl Fn(u64) -> F) -> Samples {
    let runtime = runtime();
    of(OURS, || {
        init(ROOM);
        runtime.block_on(async {
            for key in 0..ENTRIES {
                black_box(call(key).await);
            }
        });
    })
}

fn by_quick_cache<V: Clone>(body: fn(u64) -> V) -> Samples {
    of("quick_cache", || {
        let cache: QuickCache<u64, (V, Deadline)> = QuickCache::new(ROOM);
        (0..ENTRIES).for_each(|key| cache.insert(key, (body(key), Deadline::after(LIFE))));
        std::mem::forget(cache);
    })
}

fn by_moka<V: Clone + Send + Sync + 'static>(body: fn(u64) -> V) -> Samples {
    let runtime = runtime();
    of("moka", || {
        let cache = moka(ROOM);
        runtime.block_on(async {
            for key in 0..ENTRIES {
                cache.insert(key, body(key)).await;
            }
            cache.run_pending_tasks().await;
        });
        std::mem::forget(cache);
    })
}

fn by_foyer<V: Send + Sync + 'static>(body: fn(u64) -> V) -> Samples {
    of("foyer", || {
        let cache: foyer::Cache<u64, Arc<(V, Deadline)>> = foyer(ROOM);
        (0..ENTRIES).for_each(|key| drop(cache.insert(key, Arc::new((body(key), Deadline::after(LIFE))))));
        std::mem::forget(cache);
    })
}
