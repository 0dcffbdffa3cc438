use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::{CacheInfo, FmLru};

fn info(hits: u64, misses: u64, maxsize: Option<u64>, currsize: u64) -> CacheInfo {
    CacheInfo { hits, misses, maxsize, currsize }
}

#[test]
fn the_least_recently_used_goes_first() {
    let lru = FmLru::new(Some(3));
    for key in ["a", "b", "c"] {
        lru.get_or_insert_with(key, || key);
    }
    assert_eq!(lru.get("a"), Some("a"));
    lru.get_or_insert_with("d", || "d");
    assert_eq!(lru.get("b"), None, "`b` was the least recently used");
    assert_eq!((lru.get("a"), lru.get("c"), lru.get("d")), (Some("a"), Some("c"), Some("d")));
}

#[test]
fn a_store_of_zero_counts_misses_and_keeps_nothing() {
    let lru = FmLru::new(Some(0));
    lru.get_or_insert_with(1, || 1);
    lru.get_or_insert_with(1, || 1);
    assert_eq!(lru.cache_info(), info(0, 2, Some(0), 0));
}

#[test]
fn an_error_is_counted_and_never_kept() {
    let lru: FmLru<u8, u8> = FmLru::new(None);
    assert_eq!(lru.get_or_try_insert_with(1, || Err::<u8, _>("no")), Err("no"));
    assert_eq!(lru.cache_info(), info(0, 1, None, 0));
    assert_eq!(lru.get_or_try_insert_with(1, || Ok::<_, &str>(5)), Ok(5));
    assert_eq!(lru.get_or_try_insert_with(1, || Err("not run")), Ok(5));
    assert_eq!(lru.cache_info(), info(1, 2, None, 1));
}

#[test]
fn clearing_forgets_entries_and_counters() {
    let lru = FmLru::new(Some(2));
    lru.get_or_insert_with(1, || 1);
    lru.get_or_insert_with(1, || 1);
    lru.cache_clear();
    assert_eq!(lru.cache_info(), info(0, 0, Some(2), 0));
    assert_eq!(lru.get(&1), None);
}

#[test]
fn a_computation_may_use_its_own_store() {
    fn fibonacci(lru: &FmLru<u64, u64>, n: u64) -> u64 {
        lru.get_or_insert_with(n, || if n < 2 { n } else { fibonacci(lru, n - 1) + fibonacci(lru, n - 2) })
    }
    let lru = FmLru::new(None);
    assert_eq!(fibonacci(&lru, 80), 23_416_728_348_467_685);
    assert_eq!(lru.cache_info(), info(78, 81, None, 81));
}

#[test]
fn a_key_that_came_meanwhile_stays_where_there_is_a_bound() {
    for (maxsize, kept) in [(Some(4), "inner"), (None, "outer")] {
        let lru = FmLru::new(maxsize);
        let outer = lru.get_or_insert_with(1, || {
            lru.get_or_insert_with(1, || "inner");
            "outer"
        });
        assert_eq!((outer, lru.get(&1)), ("outer", Some(kept)));
    }
}

#[test]
fn values_are_dropped_with_the_lock_free() {
    static LRU: FmLru<u8, Nosy> = FmLru::new(Some(1));
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    #[derive(Clone)]
    struct Nosy;
    impl Drop for Nosy {
        fn drop(&mut self) {
            LRU.cache_info();
            SEEN.fetch_add(1, Relaxed);
        }
    }
    for key in 0..4 {
        LRU.insert(key, Nosy);
    }
    LRU.cache_clear();
    assert_eq!(SEEN.load(Relaxed), 4);
}

#[test]
fn a_panicking_comparison_leaves_the_store_whole() {
    #[derive(Debug)]
    struct Touchy(u8);
    impl std::hash::Hash for Touchy {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }
    impl PartialEq for Touchy {
        fn eq(&self, other: &Self) -> bool {
            assert!(self.0 != 9 && other.0 != 9, "I don't compare");
            self.0 == other.0
        }
    }
    impl Eq for Touchy {}
    let lru = FmLru::new(Some(2));
    lru.insert(Touchy(1), 1);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lru.get(&Touchy(9)))).is_err());
    assert_eq!(lru.get(&Touchy(1)), Some(1));
}

/// The same trace on a store that is too simple to be wrong: a queue from least to most recently used.
#[test]
fn a_long_random_trace_agrees_with_a_plain_queue() {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for maxsize in [1, 2, 3, 7, 64] {
        let lru = FmLru::new(Some(maxsize));
        let mut queue: VecDeque<u64> = VecDeque::new();
        for _ in 0..5_000 {
            let key = random(maxsize * 2);
            let hits = lru.cache_info().hits;
            assert_eq!(lru.get_or_insert_with(key, || key * 3), key * 3);
            let held = queue.iter().position(|other| *other == key).and_then(|at| queue.remove(at)).is_some();
            assert_eq!(lru.cache_info().hits - hits, u64::from(held));
            queue.push_back(key);
            if queue.len() as u64 > maxsize {
                queue.pop_front();
            }
        }
        assert_eq!(lru.cache_info().currsize, queue.len() as u64);
    }
}

#[test]
fn an_info_reads_as_in_python() {
    assert_eq!(info(1, 2, Some(3), 2).to_string(), "CacheInfo(hits=1, misses=2, maxsize=3, currsize=2)");
    assert_eq!(info(0, 0, None, 0).to_string(), "CacheInfo(hits=0, misses=0, maxsize=None, currsize=0)");
}
