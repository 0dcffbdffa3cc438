//! A shared store whose calls fail.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::dice::{Call, Dice, Fate, fault};
use crate::{
    backend::{BoxFuture, Fetched, Group, RemoteKey, RemoteTier, RemoteWrite, Removed, Watcher, Written},
    error::FmError,
    sync::lock,
};

pub(super) struct ChaosRemote {
    inner: Arc<dyn RemoteTier>,
    dice: Arc<Dice>,
    missed: Missed,
}

/// Removals that were made to fail: replayed before the store is read again, in their order.
#[derive(Default)]
struct Missed {
    waiting: Mutex<VecDeque<Removal>>,
    /// Held during a replay, so that nobody reads before it is over.
    replaying: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
enum Removal {
    Keys(Vec<RemoteKey>),
    Group(Group),
}

impl ChaosRemote {
    pub(super) fn new(inner: Arc<dyn RemoteTier>, dice: Arc<Dice>) -> Self {
        Self { inner, dice, missed: Missed::default() }
    }

    /// One call that may be repeated or left out.
    async fn call<T>(&self, what: Call, call: impl Future<Output = Result<T, FmError>>) -> Result<T, FmError> {
        match self.dice.roll(what).await {
            Fate::Fine => call.await,
            Fate::Fails => Err(fault()),
            Fate::LosesReply | Fate::Haunts(_) => call.await.and_then(|_| Err(fault())),
        }
    }

    async fn removal(&self, removal: Removal) -> Removed {
        match self.dice.roll(Call::Removal).await {
            Fate::Fine => self.missed.apply(&*self.inner, &removal).await,
            Fate::Fails => {
                lock(&self.missed.waiting).push_back(removal);
                Removed::Queued(fault())
            }
            Fate::LosesReply | Fate::Haunts(_) => match self.missed.apply(&*self.inner, &removal).await {
                Removed::Now(_) => Removed::Queued(fault()),
                queued => queued,
            },
        }
    }

    /// The write arrives later, and nobody hears of it.
    fn haunt(&self, writes: &[RemoteWrite], after: Duration) {
        let (inner, writes) = (Arc::clone(&self.inner), writes.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let _ = inner.store(&writes).await;
        });
    }
}

impl Missed {
    async fn replay(&self, inner: &dyn RemoteTier) {
        let _replaying = self.replaying.lock().await;
        loop {
            let Some(next) = lock(&self.waiting).front().cloned() else { return };
            // What the store itself queues, it replays itself.
            self.apply(inner, &next).await;
            lock(&self.waiting).pop_front();
        }
    }

    async fn apply(&self, inner: &dyn RemoteTier, removal: &Removal) -> Removed {
        match removal {
            Removal::Keys(keys) => inner.remove(keys).await,
            Removal::Group(group) => inner.clear(group).await,
        }
    }
}

impl RemoteTier for ChaosRemote {
    fn now_ms(&self) -> u64 {
        self.inner.now_ms()
    }

    fn fetch<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Result<Vec<Fetched>, FmError>> {
        Box::pin(self.call(Call::Read, async {
            self.missed.replay(&*self.inner).await;
            self.inner.fetch(keys).await
        }))
    }

    fn store<'a>(&'a self, writes: &'a [RemoteWrite]) -> BoxFuture<'a, Result<Vec<Written>, FmError>> {
        Box::pin(async move {
            // A write by hand has no stamp, so that nothing would refuse it when it is late.
            let may_haunt = writes.iter().all(|write| write.stamp.is_some());
            match self.dice.roll(Call::Write { may_haunt }).await {
                Fate::Fine => self.inner.store(writes).await,
                Fate::Fails => Err(fault()),
                Fate::LosesReply => self.inner.store(writes).await.and_then(|_| Err(fault())),
                Fate::Haunts(after) => {
                    self.haunt(writes, after);
                    Err(fault())
                }
            }
        })
    }

    fn remove<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Removed> {
        Box::pin(self.removal(Removal::Keys(keys.to_vec())))
    }

    fn clear<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Removed> {
        Box::pin(self.removal(Removal::Group(group.clone())))
    }

    fn touch<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<(), FmError>> {
        Box::pin(self.call(Call::Other, self.inner.touch(key, life)))
    }

    fn lease<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<bool, FmError>> {
        Box::pin(self.call(Call::Other, self.inner.lease(key, life)))
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.inner.watch(watcher);
    }

    fn distrust(&self) {
        self.inner.distrust();
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.inner.close()
    }
}
