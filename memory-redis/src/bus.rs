//! Hears what other processes change, over a connection of its own.
//!
//! A connection that has gone silent and one on which nothing happens look the same. So we send ourselves a heartbeat,
//! over the connection that is in use, and wait for it here: on one server, everything that was published before it
//! comes before it. That also notices a server that is still there but no longer the one that others write to.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use memory_core::{FmError, backend::Watcher};
use redis::{Msg, Pipeline, aio::PubSubStream};
use tokio::{runtime::Handle, sync::watch, task::AbortHandle};

use crate::{
    failure,
    generation::Generation,
    link::Link,
    message::{self, Message},
    pace::Pace,
    real_time,
    slot::Slot,
};

const HEARTBEAT: Duration = Duration::from_millis(500);
/// At least; longer where calls may take longer.
const HEARTBEAT_LIMIT: Duration = Duration::from_millis(250);
/// So many heartbeats in a row that are not heard mean that nothing is.
const MISSES: u32 = 2;
/// For making a connection and logging in, and for being subscribed.
const TUNING_LIMIT: Duration = Duration::from_secs(1);

/// The listening of one store: none, until somebody watches.
#[derive(Default)]
pub(crate) struct Bus {
    watcher: Mutex<Option<Arc<dyn Watcher>>>,
    task: Mutex<Option<AbortHandle>>,
}

impl Bus {
    /// Tells `watcher` what happens, from the next start on.
    pub(crate) fn watch(&self, watcher: Arc<dyn Watcher>) {
        *lock(&self.watcher) = Some(watcher);
    }

    /// Listens on this runtime, and no longer on an earlier one, if there is anybody to tell.
    pub(crate) fn start(&self, slot: &Arc<Slot>, runtime: &Handle) {
        let Some(watcher) = lock(&self.watcher).clone() else { return };
        let task = runtime.spawn(run(Listener { slot: Arc::clone(slot), watcher }));
        if let Some(earlier) = lock(&self.task).replace(task.abort_handle()) {
            earlier.abort();
        }
    }

    /// Tells nobody anything any more.
    pub(crate) fn stop(&self) {
        *lock(&self.watcher) = None;
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

struct Listener {
    slot: Arc<Slot>,
    watcher: Arc<dyn Watcher>,
}

/// Listens for as long as the runtime lives. While Redis is away there is no try: the other connection makes them.
async fn run(listener: Listener) {
    let mut pace = Pace::new();
    let mut silence = Silence::default();
    loop {
        listener.slot.up().await;
        let since = Instant::now();
        pace.tried(since);
        let reason = match listener.tune_in().await {
            Ok(messages) => listener.listen(messages, &mut silence).await,
            Err(reason) => reason,
        };
        pace.lived(since.elapsed());
        silence.begins(&listener.slot, &reason);
        real_time::sleep(pace.next(Instant::now())).await;
    }
}

impl Listener {
    async fn tune_in(&self) -> Result<PubSubStream, FmError> {
        let tuning = async {
            let mut connection = self.slot.topology.dial_for_messages().await?;
            connection.subscribe(self.slot.names.bus()).await?;
            connection.subscribe(self.slot.names.heartbeat(&self.slot.sender)).await?;
            Ok(connection.into_on_message())
        };
        let tuned = real_time::within(TUNING_LIMIT, tuning).await;
        tuned.map_err(|_| failure::too_slow(TUNING_LIMIT))?.map_err(failure::driver)
    }

    /// Listens until nothing can be heard any more, and says why.
    async fn listen(&self, messages: PubSubStream, silence: &mut Silence) -> FmError {
        self.watcher.resync();
        let heard = watch::Sender::new(Generation::NONE);
        tokio::select! {
            reason = self.hear(messages, &heard) => reason,
            reason = self.beat(heard.subscribe(), silence) => reason,
        }
    }

    async fn hear(&self, mut messages: PubSubStream, heard: &watch::Sender<Generation>) -> FmError {
        while let Some(message) = messages.next().await {
            self.tell(&message, heard);
        }
        failure::backend("the connection to Redis that hears of changes has ended")
    }

    fn tell(&self, message: &Msg, heard: &watch::Sender<Generation>) {
        let payload = message.get_payload_bytes();
        if message.get_channel_name() != self.slot.names.bus() {
            heard.send_replace(Generation::from_bytes(payload));
            return;
        }
        match message::read(payload) {
            Some((sender, _)) if sender == self.slot.sender => {}
            Some((_, Message::Key(wire))) => self.watcher.changed(wire),
            Some((_, Message::Group(group))) => self.watcher.invalidated(&group),
            // Something has happened, and there is no telling what.
            None => self.watcher.resync(),
        }
    }

    /// Sends heartbeats, until they are not heard.
    async fn beat(&self, mut heard: watch::Receiver<Generation>, silence: &mut Silence) -> FmError {
        let mut missed = 0;
        loop {
            // While there is no other connection, nothing can be said about this one.
            let link = self.slot.up().await;
            let sent = Instant::now();
            match self.heartbeat(&link, &mut heard).await {
                Ok(()) => {
                    missed = 0;
                    self.watcher.in_step(sent.elapsed());
                    silence.ends(&self.slot);
                }
                // It is the other connection that failed.
                Err(_) if link.doom().is_some() => {}
                Err(_) if missed + 1 < MISSES => missed += 1,
                Err(reason) => return reason,
            }
            real_time::sleep(HEARTBEAT).await;
        }
    }

    async fn heartbeat(&self, link: &Link, heard: &mut watch::Receiver<Generation>) -> Result<(), FmError> {
        let (nonce, limit) = (Generation::fresh(), HEARTBEAT_LIMIT.max(self.slot.settings.response_timeout));
        let mut request = Pipeline::new();
        request.cmd("PUBLISH").arg(self.slot.names.heartbeat(&self.slot.sender)).arg(nonce.as_bytes());
        let there_and_back = async {
            for answer in link.ask(&request, limit).await? {
                failure::answered(&answer)?;
            }
            // An error would mean that the other half has gone, and then this one goes, too.
            let _ = heard.wait_for(|last| *last == nonce).await;
            Ok(())
        };
        real_time::within(limit, there_and_back).await.map_err(|_| failure::too_slow(limit))?
    }
}

/// Since when nothing is heard.
#[derive(Default)]
struct Silence {
    since: Option<Instant>,
}

impl Silence {
    fn begins(&mut self, slot: &Slot, reason: &FmError) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(
                redis = slot.topology.address(),
                error = %reason,
                "changes by other processes are not heard: copies in memory are not trusted for long until they are"
            );
        }
    }

    fn ends(&mut self, slot: &Slot) {
        if let Some(since) = self.since.take() {
            tracing::info!(
                redis = slot.topology.address(),
                silence = ?since.elapsed(),
                "changes by other processes are heard again"
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
