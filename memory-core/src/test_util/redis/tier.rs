//! The simulated store as the engine sees it.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    Bug,
    doubt::WRITE_VALIDITY,
    journal::Removal,
    link::Link,
    millis,
    store::{Noted, TOMBSTONE},
};
use crate::{
    backend::{BoxFuture, Fetched, Group, RemoteKey, RemoteTier, RemoteWrite, Removed, Watcher, Written},
    error::{FmError, Kind},
    test_util::sim::history::Flight,
};

pub(super) struct SimTier {
    link: Arc<Link>,
}

impl SimTier {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }
}

impl Drop for SimTier {
    fn drop(&mut self) {
        self.link.close();
    }
}

impl RemoteTier for SimTier {
    fn now_ms(&self) -> u64 {
        self.link.now_ms()
    }

    fn fetch<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Result<Vec<Fetched>, FmError>> {
        Box::pin(async move {
            let _flight = self.flight(keys.iter());
            let (asker, asked, read_ms) = (self.link.asker(), keys.to_vec(), self.now_ms());
            self.link.call(move |store| store.fetch(&asker, &asked, read_ms)).await
        })
    }

    fn store<'a>(&'a self, writes: &'a [RemoteWrite]) -> BoxFuture<'a, Result<Vec<Written>, FmError>> {
        Box::pin(async move {
            if self.link.bug() == Some(Bug::StoredAfterInvalidate) {
                return Ok(self.write_behind(writes));
            }
            let _flight = self.flight(writes.iter().map(|write| &write.key));
            if writes.iter().all(|write| write.stamp.is_some()) {
                return store(&self.link, writes.to_vec()).await;
            }
            // What is written by hand happens, or is taken back, also when the caller goes away.
            let (link, writes, operation) = (Arc::clone(&self.link), writes.to_vec(), Link::operation());
            let storing = tokio::spawn(async move { store_by_hand(&link, writes, operation).await });
            storing.await.unwrap_or_else(|_| Err(ended()))
        })
    }

    fn remove<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Removed> {
        let (link, keys, operation) = (Arc::clone(&self.link), keys.to_vec(), Link::operation());
        Box::pin(to_its_end(async move {
            let (asker, doomed) = (link.asker(), keys.clone());
            let removed = link.call(move |store| doomed.iter().map(|key| store.remove(&asker, key)).sum()).await;
            settle(&link, removed, Removal::Keys(keys), operation)
        }))
    }

    fn clear<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Removed> {
        let (link, group, operation) = (Arc::clone(&self.link), group.clone(), Link::operation());
        Box::pin(to_its_end(async move {
            let (asker, doomed) = (link.asker(), group.clone());
            let removed = link.call(move |store| store.clear(&asker, &doomed)).await;
            settle(&link, removed, Removal::Group(group), operation)
        }))
    }

    fn touch<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<(), FmError>> {
        Box::pin(async move {
            let _flight = self.flight(std::iter::once(key));
            let key = key.clone();
            self.link.call(move |store| store.touch(&key, life)).await
        })
    }

    fn lease<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<bool, FmError>> {
        let key = key.clone();
        Box::pin(self.link.call(move |store| store.lease(&key, life)))
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.link.watch(watcher);
    }

    fn distrust(&self) {
        self.link.condemn();
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(async { self.link.close() })
    }
}

impl SimTier {
    fn flight<'a>(&self, keys: impl Iterator<Item = &'a RemoteKey>) -> Option<Flight> {
        let keys = keys.map(|key| Arc::clone(&key.text)).collect();
        self.link.node.recorder.as_ref().map(|recorder| recorder.flight(keys))
    }

    /// The planted bug: says that all is stored, and stores it later under the generations of then.
    fn write_behind(&self, writes: &[RemoteWrite]) -> Vec<Written> {
        let (link, writes) = (Arc::clone(&self.link), writes.to_vec());
        let answers = vec![Written::Stored; writes.len()];
        tokio::spawn(async move {
            sleep(link.node.draw(Duration::from_millis(1)..Duration::from_millis(30))).await;
            let (asker, keys) = (link.asker(), writes.iter().map(|write| write.key.clone()).collect::<Vec<_>>());
            let read_ms = link.now_ms();
            let Ok(fetched) = link.call(move |store| store.fetch(&asker, &keys, read_ms)).await else { return };
            let restamped = writes.into_iter().zip(fetched);
            let writes = restamped.map(|(write, now)| RemoteWrite { stamp: Some(now.stamp), ..write }).collect();
            let _ = store(&link, writes).await;
        });
        answers
    }
}

/// A write without a stamp is refused by nothing: as long as it may still take place, the store is not trusted, and then what
/// it may have written is removed.
async fn store_by_hand(
    link: &Arc<Link>,
    writes: Vec<RemoteWrite>,
    operation: Option<u64>,
) -> Result<Vec<Written>, FmError> {
    let keys = writes.iter().filter(|write| write.stamp.is_none()).map(|write| write.key.clone()).collect();
    let written = store(link, writes).await;
    if written.is_err() {
        link.queue(Removal::Keys(keys), operation);
    }
    written
}

async fn store(link: &Arc<Link>, writes: Vec<RemoteWrite>) -> Result<Vec<Written>, FmError> {
    link.ready().await?;
    let (asker, now_ms) = (link.asker(), link.now_ms());
    let forgotten: Vec<bool> = writes.iter().map(|write| is_forgotten(write, now_ms)).collect();
    let valid_until_ms = now_ms + millis(WRITE_VALIDITY);
    let sent = link.ask(move |store| {
        let decide = |(write, forgotten): (RemoteWrite, bool)| match forgotten {
            true => Written::Outdated,
            false => store.store(&asker, write, valid_until_ms),
        };
        writes.into_iter().zip(forgotten).map(decide).collect()
    });
    link.doubts.writing(sent).await
}

/// Whether so much time has passed since the run began that the store may have forgotten removals.
fn is_forgotten(write: &RemoteWrite, now_ms: u64) -> bool {
    let noted = write.stamp.as_ref().and_then(Noted::from_stamp);
    noted.is_some_and(|noted| now_ms.saturating_sub(noted.read_ms) > millis(TOMBSTONE - 2 * WRITE_VALIDITY))
}

fn settle(link: &Link, removed: Result<u64, FmError>, removal: Removal, operation: Option<u64>) -> Removed {
    match removed {
        Ok(count) => Removed::Now(count),
        Err(error) => {
            link.queue(removal, operation);
            Removed::Queued(error)
        }
    }
}

/// Runs a removal in a task of its own: it happens, or is queued, also when the caller goes away.
async fn to_its_end(removal: impl Future<Output = Removed> + Send + 'static) -> Removed {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn(removal).await.unwrap_or_else(|_| Removed::Queued(ended())),
        Err(_) => removal.await,
    }
}

fn ended() -> FmError {
    FmError::new(Kind::Backend, "the runtime ended before the store had answered")
}
