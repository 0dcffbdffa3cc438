//! Hears what other processes change, over connections of its own: one, or in a cluster one to each master, since what
//! nodes pass on to each other can be lost.
//!
//! A connection that has gone silent and one on which nothing happens look the same. So we send ourselves a heartbeat,
//! over the connection that is in use, and wait for it here: on one server, everything that was published before it
//! comes before it. That also notices a server that is still there but no longer the one that others write to.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{
    future::try_join_all,
    stream::{FuturesUnordered, StreamExt},
};
use memory_core::{FmError, backend::Watcher};
use redis::{
    Msg, Pipeline,
    aio::{PubSub, PubSubStream},
};
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

/// The connections that hear messages.
struct Tuned {
    masters: Vec<String>,
    /// One to each of them.
    streams: Vec<PubSubStream>,
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
    async fn tune_in(&self) -> Result<Tuned, FmError> {
        let link = self.slot.up().await;
        let masters = link.masters();
        let tuning = async {
            let connections = self.slot.topology.dial_for_messages(&link).await?;
            try_join_all(connections.into_iter().map(|connection| self.subscribe(connection))).await
        };
        let tuned = real_time::within(TUNING_LIMIT, tuning).await;
        Ok(Tuned { masters, streams: tuned.map_err(|_| failure::too_slow(TUNING_LIMIT))?? })
    }

    async fn subscribe(&self, mut connection: PubSub) -> Result<PubSubStream, FmError> {
        connection.subscribe(self.slot.names.bus()).await.map_err(failure::driver)?;
        connection.subscribe(self.slot.names.heartbeat(&self.slot.sender)).await.map_err(failure::driver)?;
        Ok(connection.into_on_message())
    }

    /// Listens until something can't be heard any more, and says why.
    async fn listen(&self, tuned: Tuned, silence: &mut Silence) -> FmError {
        self.watcher.resync();
        let heard = watch::Sender::new(vec![Generation::NONE; tuned.streams.len()]);
        let hearing = tuned.streams.into_iter().enumerate();
        let mut hearing: FuturesUnordered<_> =
            hearing.map(|(place, stream)| self.hear(place, stream, &heard)).collect();
        tokio::select! {
            Some(reason) = hearing.next() => reason,
            reason = self.beat(&tuned.masters, &heard, silence) => reason,
        }
    }

    async fn hear(&self, place: usize, mut messages: PubSubStream, heard: &watch::Sender<Vec<Generation>>) -> FmError {
        while let Some(message) = messages.next().await {
            self.tell(place, &message, heard);
        }
        failure::backend("a connection to Redis that hears of changes has ended")
    }

    fn tell(&self, place: usize, message: &Msg, heard: &watch::Sender<Vec<Generation>>) {
        let payload = message.get_payload_bytes();
        if message.get_channel_name() != self.slot.names.bus() {
            // One that another master has passed on proves nothing here.
            if let Some(nonce) = payload.strip_prefix(&beat_of(place)[..]) {
                heard.send_modify(|heard| heard[place] = Generation::from_bytes(nonce));
            }
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
    async fn beat(&self, masters: &[String], heard: &watch::Sender<Vec<Generation>>, silence: &mut Silence) -> FmError {
        let mut missed = 0;
        loop {
            // While there is no other connection, nothing can be said about this one.
            let link = self.slot.up().await;
            if link.masters() != masters {
                return failure::backend("changes are published on another Redis by now");
            }
            match self.heartbeats(&link, heard).await {
                Ok(since) => {
                    missed = 0;
                    self.watcher.in_step(since);
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

    /// Over each connection that is in use, to be heard over the one to the same server; how long ago that began.
    async fn heartbeats(&self, link: &Arc<Link>, heard: &watch::Sender<Vec<Generation>>) -> Result<Duration, FmError> {
        let (sent, servers) = (Instant::now(), link.servers()?);
        let beats = servers.iter().enumerate().map(|(place, server)| self.heartbeat(place, server, heard.subscribe()));
        try_join_all(beats).await.map(|_| sent.elapsed())
    }

    async fn heartbeat(
        &self,
        place: usize,
        server: &Link,
        mut heard: watch::Receiver<Vec<Generation>>,
    ) -> Result<(), FmError> {
        let (nonce, limit) = (Generation::fresh(), HEARTBEAT_LIMIT.max(self.slot.settings.response_timeout));
        let (mut request, beat) = (Pipeline::new(), [&beat_of(place), nonce.as_bytes()].concat());
        request.cmd("PUBLISH").arg(self.slot.names.heartbeat(&self.slot.sender)).arg(beat);
        let there_and_back = async {
            for answer in server.ask(&request, limit).await? {
                failure::answered(&answer)?;
            }
            // An error would mean that the other half has gone, and then this one goes, too.
            let _ = heard.wait_for(|heard| heard[place] == nonce).await;
            Ok(())
        };
        real_time::within(limit, there_and_back).await.map_err(|_| failure::too_slow(limit))?
    }
}

/// How a heartbeat for one of the connections begins.
fn beat_of(place: usize) -> Vec<u8> {
    format!("{place} ").into_bytes()
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
