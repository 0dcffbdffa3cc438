//! What several measurements share.

use std::{future::Future, hint::black_box, thread, time::Duration};

use memory_core::{FmCache, FmCacheManager, FmMemoryBackend};
use tokio::runtime::{Builder, Runtime};

/// How long everything lives.
pub(crate) const LIFE: Duration = Duration::from_secs(60);
/// What fits where everything fits.
pub(crate) const ROOM: usize = 100_000;
/// The threads of what is measured on several.
pub(crate) const THREADS: usize = 2;

/// A runtime of one thread.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Our process-wide cache with room for this many entries.
pub(crate) fn init(room: usize) -> FmCache {
    let backend = FmMemoryBackend::builder().max_entries(room as u64).build();
    FmCacheManager::init(backend, "benches").expect("a prefix that is not empty")
}

/// The best of a moka for every purpose: room and time to live, as its docs set it up.
pub(crate) fn moka<K, V>(room: usize) -> moka::future::Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    moka::future::Cache::builder().max_capacity(room as u64).time_to_live(LIFE).build()
}

/// A foyer whose values carry their deadline, since it has no time to live.
pub(crate) fn foyer<K: foyer::Key, V: foyer::Value>(room: usize) -> foyer::Cache<K, V> {
    foyer::CacheBuilder::new(room).with_eviction_config(foyer::S3FifoConfig::default()).build()
}

/// Awaits a call for each of so many keys, on one thread.
pub(crate) fn for_each<'k, K: Copy + 'k, F: Future>(
    runtime: &Runtime,
    keys: &'k [K],
    times: u64,
    call: impl Fn(K) -> F,
) {
    runtime.block_on(async {
        for key in keys.iter().cycle().take(times as usize) {
            black_box(call(black_box(*key)).await);
        }
    });
}

/// Does a part of the work on each thread.
pub(crate) fn on_threads(times: u64, work: impl Fn(usize, u64) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        for number in 0..THREADS {
            scope.spawn(move || work(number, times / THREADS as u64));
        }
    });
}
