//! Promises of the engine that no public call can be made to show: rare meetings of calls, and a shared store that stalls.

use std::{
    collections::HashMap,
    future::{Future, IntoFuture},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::yield_now,
    time::{advance, timeout},
};

use super::{
    FmCache, Job, Limits, Turn,
    coherence::DEFAULT_TRUST,
    outcome::{Computed, Face, MemoryOnly, Share, Verdict},
};
use crate::{
    backend::{
        BoxFuture, Fetched, FmBackend, Group, Plain, Prefix, RemoteKey, RemoteTier, RemoteWrite, Removed, Tier,
        Watcher, Written,
    },
    error::FmError,
    key::{Key, KeyBuf},
    time::Tick,
};

/// An error that cannot be shared.
#[derive(Debug)]
struct Mine;

#[derive(Clone, Copy)]
struct Alone;

impl Share<Mine> for Alone {
    type Shared = ();

    fn share(self, failure: Mine) -> (Mine, Option<()>) {
        (failure, None)
    }

    fn failure(self, (): &()) -> Mine {
        Mine
    }
}

fn key() -> Key {
    KeyBuf::direct(None, "k").to_key()
}

fn job<T, X>(cache: &FmCache, face: X) -> Job<Computed<T, Mine>, X, Alone>
where
    T: Clone + Send + Sync + 'static,
{
    Job {
        cache: cache.clone(),
        key: key(),
        shape: Computed::new(),
        face,
        share: Alone,
        ours: None,
        limits: Limits::default(),
        exchange: None,
        gathering: None,
    }
}

async fn call<T, X>(cache: &FmCache, face: X, body: impl Future<Output = Result<T, Mine>>) -> Result<T, Mine>
where
    T: Clone + Send + Sync + 'static,
    X: Face<T>,
{
    let job = job(cache, face);
    match job.turn().await {
        Turn::Answer(answer) => answer,
        Turn::Lead(leading) => job.run_here(leading, || (|_: &_| Verdict::keep(), || body)).await,
        Turn::Bypass => job.bypass(|| body).await,
    }
}

#[cfg(feature = "memory")]
fn in_memory() -> FmCache {
    FmCache::builder(crate::FmMemoryBackend::new()).build().unwrap()
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn a_crowd_that_answers_with_another_type_hangs_nobody() {
    let cache = in_memory();
    let (both_run, number_is_there) = (Notify::new(), Notify::new());
    let fails = call::<u32, _>(&cache, MemoryOnly, async {
        yield_now().await;
        Err(Mine)
    });
    let number = async {
        let number = call::<u32, _>(&cache, MemoryOnly, async {
            both_run.notified().await;
            Ok(1)
        });
        let number = number.await;
        number_is_there.notify_one();
        number
    };
    let text = call::<String, _>(&cache, MemoryOnly, async {
        both_run.notify_one();
        number_is_there.notified().await;
        yield_now().await;
        Ok("mine".to_owned())
    });
    let calls = async { tokio::join!(fails, number, text) };
    let (failed, number, text) = timeout(Duration::from_secs(60), calls).await.expect("nobody hangs");
    assert!(failed.is_err());
    assert_eq!((number.unwrap(), text.unwrap().as_str()), (1, "mine"));
}

#[cfg(feature = "memory")]
#[test]
fn a_run_dropped_while_something_else_unwinds_has_not_failed() {
    let cache = in_memory();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut run = Box::pin(call::<u32, _>(&cache, MemoryOnly, std::future::pending()));
        assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        std::panic::resume_unwind(Box::new("somebody else's"));
    }));
    assert!(unwound.is_err());
    assert_eq!((cache.stats().runs, cache.stats().failures), (1, 0));
}

/// A shared store in this process; its reads wait for `go`, where there is one.
#[derive(Clone, Default)]
struct Elsewhere {
    stored: Arc<Mutex<HashMap<RemoteKey, Vec<u8>>>>,
    go: Option<Arc<Notify>>,
    limit: Option<usize>,
    reads: Arc<AtomicUsize>,
    watcher: Arc<Mutex<Option<Arc<dyn Watcher>>>>,
}

impl FmBackend for Elsewhere {
    fn open(self, _: &Prefix) -> Result<Tier, FmError> {
        Ok(Tier::Remote(Arc::new(self)))
    }
}

impl Elsewhere {
    fn cache(&self) -> FmCache {
        FmCache::builder(self.clone()).build().unwrap()
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    fn watcher(&self) -> Arc<dyn Watcher> {
        self.watcher.lock().unwrap().clone().expect("a cache watches")
    }

    fn write(&self, write: &RemoteWrite) -> Written {
        if self.limit.is_some_and(|limit| write.payload.len() > limit) {
            return Written::TooLarge;
        }
        self.stored.lock().unwrap().insert(write.key.clone(), write.payload.clone());
        Written::Stored
    }
}

impl RemoteTier for Elsewhere {
    fn now_ms(&self) -> u64 {
        0
    }

    fn fetch<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Result<Vec<Fetched>, FmError>> {
        Box::pin(async move {
            if let Some(go) = &self.go {
                go.notified().await;
            }
            self.reads.fetch_add(1, Ordering::Relaxed);
            let stored = self.stored.lock().unwrap();
            let fetched = |key| Fetched { payload: stored.get(key).cloned(), ..Fetched::default() };
            Ok(keys.iter().map(fetched).collect())
        })
    }

    fn store<'a>(&'a self, writes: &'a [RemoteWrite]) -> BoxFuture<'a, Result<Vec<Written>, FmError>> {
        Box::pin(async move { Ok(writes.iter().map(|write| self.write(write)).collect()) })
    }

    fn remove<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Removed> {
        Box::pin(async move {
            let mut stored = self.stored.lock().unwrap();
            Removed::Now(keys.iter().filter(|key| stored.remove(key).is_some()).count() as u64)
        })
    }

    fn clear<'a>(&'a self, _: &'a Group) -> BoxFuture<'a, Removed> {
        Box::pin(async { Removed::Now(0) })
    }

    fn touch<'a>(&'a self, _: &'a RemoteKey, _: Duration) -> BoxFuture<'a, Result<(), FmError>> {
        Box::pin(async { Ok(()) })
    }

    fn lease<'a>(&'a self, _: &'a RemoteKey, _: Duration) -> BoxFuture<'a, Result<bool, FmError>> {
        Box::pin(async { Ok(true) })
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        *self.watcher.lock().unwrap() = Some(watcher);
    }

    fn distrust(&self) {}

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_never_polled_again_holds_up_nobody_while_the_store_answers() {
    let go = Arc::new(Notify::new());
    let cache = Elsewhere { go: Some(go.clone()), ..Elsewhere::default() }.cache();
    let compute = || cache.get_or_compute("k", || async { Ok::<u32, FmError>(1) }).into_future();
    let mut unpolled = compute();
    assert!(unpolled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let waiter = tokio::spawn(compute());
    yield_now().await;
    go.notify_one();
    assert_eq!(timeout(Duration::from_secs(60), waiter).await.expect("an answer").unwrap().unwrap(), 1);
    drop(unpolled);
}

/// Serialises unless it is 13.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
struct Superstitious(u32);

impl serde::Serialize for Superstitious {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 13 {
            return Err(serde::ser::Error::custom("unlucky"));
        }
        serializer.serialize_newtype_struct("Superstitious", &self.0)
    }
}

#[tokio::test]
async fn what_a_set_replaces_is_gone_even_when_the_new_value_cannot_be_stored() {
    let cache = Elsewhere { limit: Some(1000), ..Elsewhere::default() }.cache();
    cache.set("k", Superstitious(1)).await.unwrap();
    assert_eq!(cache.get("k").await.unwrap(), Some(Superstitious(1)));
    cache.set("k", Superstitious(13)).await.unwrap();
    assert_eq!(cache.get::<Superstitious>("k").await.unwrap(), None, "it cannot be encoded");
    cache.set("k", "small".to_owned()).await.unwrap();
    cache.set("k", "x".repeat(2000)).await.unwrap();
    assert_eq!(cache.get::<String>("k").await.unwrap(), None, "it is too large");
    cache.set_many([("k", 1), ("l", 2)]).await.unwrap();
    cache.set_many([("k", 3), ("l", 4)]).expire(0).await.unwrap();
    assert_eq!(cache.get_many::<i32>(["k", "l"]).await.unwrap(), [None, None], "it is not to be stored");
}

#[tokio::test]
async fn a_value_that_was_invalidated_while_it_was_made_counts_as_outdated() {
    let store = Elsewhere::default();
    let cache = store.cache();
    let inner = cache.clone();
    let value = cache.get_or_compute("k", || async move {
        inner.remove("k").await?;
        Ok::<u32, FmError>(1)
    });
    assert_eq!(value.await.unwrap(), 1);
    assert!(store.stored.lock().unwrap().is_empty());
    assert_eq!((cache.stats().outdated, cache.stats().stores), (1, 0));
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn a_copy_is_answered_at_once_until_the_stream_begins_anew_or_nobody_vouches_for_it() {
    let store = Elsewhere::default();
    let cache = FmCache::builder(crate::FmMemoryBackend::new()).l2(store.clone()).build().unwrap();
    store.watcher().resync();
    cache.set("k", 1).expire(3600).await.unwrap();
    let reads_of_a_get = async || {
        let before = store.reads();
        assert_eq!(cache.get::<i32>("k").await.unwrap(), Some(1));
        store.reads() - before
    };
    let is_plain = || {
        let (key, now) = (key(), Tick::now());
        let (hash, words) = key.as_key().parts();
        let core = cache.core();
        let found = core.local.as_ref().unwrap().plain(hash, words, now, core.checked_epoch(now));
        matches!(found, Plain::Fresh(_))
    };
    assert_eq!((reads_of_a_get().await, is_plain()), (0, true));

    advance(DEFAULT_TRUST - Duration::from_millis(1)).await;
    assert_eq!((reads_of_a_get().await, is_plain()), (0, true));
    store.watcher().in_step(Duration::ZERO);
    advance(Duration::from_secs(1)).await;
    assert_eq!((reads_of_a_get().await, is_plain()), (0, true), "it was vouched for");
    advance(DEFAULT_TRUST).await;
    assert!(!is_plain());
    assert_eq!(reads_of_a_get().await, 1, "nobody vouches for it");

    store.watcher().in_step(Duration::ZERO);
    assert_eq!((reads_of_a_get().await, is_plain()), (0, true));
    advance(Duration::from_millis(1)).await;
    store.watcher().resync();
    assert!(!is_plain());
    assert_eq!(reads_of_a_get().await, 1, "the stream began anew");
    assert_eq!(reads_of_a_get().await, 0);
    assert!(is_plain());
}
