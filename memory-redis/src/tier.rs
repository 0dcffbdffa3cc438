//! The store as the engine sees it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use memory_core::{
    FmError,
    backend::{BoxFuture, Fetched, Group, RemoteKey, RemoteTier, RemoteWrite, Removed, Watcher, Written},
};
use redis::{Pipeline, Value};

use crate::{failure, life, link::Link, read::Read, real_time, recent::Removal, removal, scan, slot::Slot, write};

/// One prefix in one Redis.
pub(crate) struct RedisTier {
    slot: Arc<Slot>,
}

impl RedisTier {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        Self { slot }
    }
}

impl Drop for RedisTier {
    fn drop(&mut self) {
        self.slot.close();
    }
}

impl RemoteTier for RedisTier {
    fn now_ms(&self) -> u64 {
        self.slot.clock.now_ms()
    }

    fn fetch<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Result<Vec<Fetched>, FmError>> {
        Box::pin(fetch(&self.slot, keys))
    }

    fn store<'a>(&'a self, writes: &'a [RemoteWrite]) -> BoxFuture<'a, Result<Vec<Written>, FmError>> {
        Box::pin(store(&self.slot, writes))
    }

    fn remove<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Removed> {
        let (slot, keys) = (Arc::clone(&self.slot), keys.to_vec());
        Box::pin(to_its_end(remove(slot, keys)))
    }

    fn clear<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Removed> {
        Box::pin(to_its_end(clear(Arc::clone(&self.slot), group.clone())))
    }

    fn touch<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<(), FmError>> {
        Box::pin(touch(&self.slot, key, life))
    }

    fn lease<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<bool, FmError>> {
        Box::pin(lease(&self.slot, key, life))
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.slot.bus.watch(watcher);
    }

    fn distrust(&self) {
        if let Some(link) = self.slot.current() {
            link.out_of_step();
        }
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(async { self.slot.close() })
    }
}

async fn fetch(slot: &Arc<Slot>, keys: &[RemoteKey]) -> Result<Vec<Fetched>, FmError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    if let Some((link, _turn)) = slot.at_once()? {
        return fetch_at_once(slot, &link, keys).await;
    }
    slot.call(|link| async move {
        let _turn = slot.turn(0).await?;
        let mut read = Read::begin(slot, &link, keys).await?;
        read.complete(slot, &link).await?;
        Ok(read.answers())
    })
    .await
}

/// Reads with one round trip in most cases. That has a limit of its own, so the deadline needs no timer but for the others.
async fn fetch_at_once(slot: &Slot, link: &Link, keys: &[RemoteKey]) -> Result<Vec<Fetched>, FmError> {
    let (began, limit) = (Instant::now(), slot.settings.deadline);
    let mut read = Read::begin(slot, link, keys).await?;
    if !read.is_complete() {
        let left = limit.saturating_sub(began.elapsed());
        let completed = real_time::within(left, read.complete(slot, link)).await;
        completed.map_err(|real_time::Elapsed| link.was_slow(limit))??;
    }
    Ok(read.answers())
}

async fn store(slot: &Arc<Slot>, writes: &[RemoteWrite]) -> Result<Vec<Written>, FmError> {
    if writes.is_empty() {
        return Ok(Vec::new());
    }
    slot.remember(overwritten(writes));
    slot.call(|link| async move {
        let _turn = slot.turn(writes.iter().map(|write| write.payload.len()).sum()).await?;
        write::write(slot, &link, writes).await
    })
    .await
}

/// The keys of writes that replace whatever lies there.
fn overwritten(writes: &[RemoteWrite]) -> impl Iterator<Item = Removal> {
    writes.iter().filter(|write| write.stamp.is_none()).map(|write| Removal::Key(write.key.clone()))
}

async fn touch(slot: &Arc<Slot>, key: &RemoteKey, life: Duration) -> Result<(), FmError> {
    slot.call(|link| async move {
        let _turn = slot.turn(0).await?;
        let mut request = Pipeline::new();
        request.cmd("PEXPIRE").arg(&*key.text).arg(life::in_millis(life));
        let answers = link.ask(&request, slot.settings.response_timeout).await?;
        answers.iter().try_for_each(|answer| failure::answered(answer).map(drop))
    })
    .await
}

async fn lease(slot: &Arc<Slot>, key: &RemoteKey, life: Duration) -> Result<bool, FmError> {
    slot.call(|link| async move {
        let _turn = slot.turn(0).await?;
        let mut request = Pipeline::new();
        request.cmd("SET").arg(slot.names.lease(&key.text)).arg("1").arg("NX").arg("PX").arg(life::in_millis(life));
        let answers = link.ask(&request, slot.settings.response_timeout).await?;
        let taken = answers.iter().map(|answer| failure::answered(answer).map(|answer| *answer == Value::Okay));
        Ok(taken.collect::<Result<Vec<bool>, FmError>>()?.contains(&true))
    })
    .await
}

async fn remove(slot: Arc<Slot>, keys: Vec<RemoteKey>) -> Removed {
    let mut removed = 0;
    let mut left = &keys[..];
    while !left.is_empty() {
        let (step, rest) = left.split_at(left.len().min(removal::STEP));
        slot.remember(step.iter().cloned().map(Removal::Key));
        match remove_step(&slot, step).await {
            Ok(count) => removed += count,
            Err(reason) => {
                slot.queue_keys(left, &reason);
                return Removed::Queued(reason);
            }
        }
        left = rest;
    }
    Removed::Now(removed)
}

async fn remove_step(slot: &Arc<Slot>, keys: &[RemoteKey]) -> Result<u64, FmError> {
    slot.call_to_remove(|link| async move {
        let _turn = slot.turn(0).await?;
        removal::remove(slot, &link, keys.iter(), slot.settings.response_timeout).await
    })
    .await
}

/// Raises the generation of the group, which is all that others need, and then takes its entries away.
async fn clear(slot: Arc<Slot>, group: Group) -> Removed {
    slot.remember(std::iter::once(Removal::Group(group.clone())));
    let link = match raise(&slot, &group).await {
        Ok(link) => link,
        Err(reason) => {
            slot.queue_group(&group, &reason);
            return Removed::Queued(reason);
        }
    };
    let Some(start) = slot.names.start(&group) else { return Removed::Now(0) };
    match scan::sweep(&link, &start).await {
        Ok(removed) => Removed::Now(removed),
        Err(reason) => {
            slot.journal().leave(group);
            Removed::Queued(reason)
        }
    }
}

async fn raise(slot: &Arc<Slot>, group: &Group) -> Result<Arc<Link>, FmError> {
    slot.call_to_remove(|link| async move {
        let _turn = slot.turn(0).await?;
        removal::raise(slot, &link, group, slot.settings.response_timeout).await?;
        Ok(link)
    })
    .await
}

/// Runs a removal in a task of its own: it happens, or is queued, also when the caller goes away.
async fn to_its_end(removal: impl Future<Output = Removed> + Send + 'static) -> Removed {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn(removal).await.unwrap_or_else(|_| {
            Removed::Queued(failure::backend("the runtime ended before Redis had confirmed the removal"))
        }),
        // Without a runtime Redis is out of reach, so this queues the removal at once.
        Err(_) => removal.await,
    }
}
