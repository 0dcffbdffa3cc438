//! The connections to the masters of a cluster, used as if they were one.
//!
//! Each master has a connection of its own, condemned and replaced by itself, so that the keys of the others go on being
//! cached while one is down.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use memory_core::{FmError, backend::BoxFuture};
use redis::{Cmd, Pipeline, Value, cmd};
use tokio::sync::Notify;

use crate::{
    failure, hash_slot,
    link::Link,
    shards::{Address, Shards},
};

/// The masters of a cluster.
pub(crate) struct Cluster {
    view: Mutex<Arc<View>>,
    /// Slots with removals that their owner has not seen yet: nothing is read from or written to them.
    apart: Mutex<HashSet<u16>>,
    outdated: AtomicBool,
    needs_care: Notify,
}

/// The masters at one moment.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) shards: Shards,
    /// In the order of the masters of `shards`.
    pub(crate) links: Vec<Result<Arc<Link>, FmError>>,
}

/// Commands that go to one server together.
struct Batch {
    link: Arc<Link>,
    /// Their places in the pipeline.
    places: Vec<usize>,
    /// For a server that is about to become the owner of their slots.
    asking: bool,
}

impl View {
    /// The masters in `shards`, with the connections that there are already.
    pub(crate) fn new(shards: Shards, known: &View) -> Self {
        let unknown = || Err(failure::backend("this node of the cluster is not connected yet"));
        let links = shards.masters.iter().map(|address| known.link(address).unwrap_or_else(unknown)).collect();
        Self { shards, links }
    }

    /// No masters.
    pub(crate) fn empty() -> Self {
        Self { shards: Shards::default(), links: Vec::new() }
    }

    /// The connections that can be used, with their addresses.
    pub(crate) fn usable(&self) -> impl Iterator<Item = (&Address, &Arc<Link>)> {
        let links = self.shards.masters.iter().zip(&self.links);
        links
            .filter_map(|(address, link)| Some((address, link.as_ref().ok()?)))
            .filter(|(_, link)| link.doom().is_none())
    }

    /// Whether there is none.
    pub(crate) fn is_lost(&self) -> bool {
        self.usable().next().is_none()
    }

    /// The connection to the owner of a slot.
    pub(crate) fn owner(&self, slot: u16) -> Result<Arc<Link>, FmError> {
        let place = self.shards.owner(slot).ok_or_else(|| failure::backend("no node of the cluster owns this slot"))?;
        let link = self.links[place].clone()?;
        link.doom().map_or(Ok(link), Err)
    }

    fn link(&self, address: &Address) -> Option<Result<Arc<Link>, FmError>> {
        let place = self.shards.masters.iter().position(|other| other == address)?;
        Some(self.links[place].clone())
    }
}

impl Cluster {
    pub(crate) fn new(view: View) -> Arc<Self> {
        Arc::new(Self {
            view: Mutex::new(Arc::new(view)),
            apart: Mutex::default(),
            outdated: AtomicBool::new(false),
            needs_care: Notify::new(),
        })
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&lock(&self.view))
    }

    pub(crate) fn show(&self, view: View) {
        *lock(&self.view) = Arc::new(view);
    }

    /// Sends each command to the owner of its key's slot, all at once; the answers are in the order of the commands.
    /// `to_all` sends also to slots that are set apart.
    pub(crate) fn ask<'a>(
        &'a self,
        commands: &'a Pipeline,
        limit: Duration,
        to_all: bool,
    ) -> BoxFuture<'a, Result<Vec<Value>, FmError>> {
        Box::pin(async move {
            let commands: Vec<&Cmd> = commands.cmd_iter().collect();
            let view = self.view();
            let batches = self.route(&view, &commands, to_all).inspect_err(|_| self.call_for_care())?;
            let mut answers = vec![Value::Nil; commands.len()];
            self.send(&commands, &batches, limit, &mut answers).await?;
            let redirected = self.redirected(&view, &answers);
            if !redirected.is_empty() {
                self.send(&commands, &redirected, limit, &mut answers).await?;
            }
            Ok(answers)
        })
    }

    /// Sets slots apart, beside those that are already.
    pub(crate) fn set_apart(&self, slots: impl Iterator<Item = u16>) {
        lock(&self.apart).extend(slots);
        self.call_for_care();
    }

    /// Sets apart exactly these slots.
    pub(crate) fn keep_apart(&self, slots: HashSet<u16>) {
        *lock(&self.apart) = slots;
    }

    /// Whether the owner of a key can be reached.
    pub(crate) fn reaches(&self, key: &str) -> bool {
        self.view().owner(hash_slot::of(key.as_bytes())).is_ok()
    }

    /// Waits until something has gone wrong.
    pub(crate) async fn care(&self) {
        self.needs_care.notified().await;
    }

    /// Whether a server has said that slots have moved, since it was looked what the cluster looks like.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }

    /// It is being looked again.
    pub(crate) fn is_looked_at(&self) {
        self.outdated.store(false, Ordering::Relaxed);
    }

    fn call_for_care(&self) {
        self.needs_care.notify_one();
    }

    fn route(&self, view: &View, commands: &[&Cmd], to_all: bool) -> Result<Vec<Batch>, FmError> {
        let mut batches = BTreeMap::new();
        for (place, command) in commands.iter().enumerate() {
            let link = match hash_slot::routing_key(command) {
                Some(key) => self.owner(view, hash_slot::of(key), to_all)?,
                None => anyone(view)?,
            };
            let batch = batches.entry(Arc::as_ptr(&link)).or_insert_with(|| Batch::to(link, false));
            batch.places.push(place);
        }
        Ok(batches.into_values().collect())
    }

    fn owner(&self, view: &View, slot: u16, to_all: bool) -> Result<Arc<Link>, FmError> {
        if !to_all && lock(&self.apart).contains(&slot) {
            return Err(failure::backend("a removal waits for this node of the cluster"));
        }
        view.owner(slot)
    }

    async fn send(
        &self,
        commands: &[&Cmd],
        batches: &[Batch],
        limit: Duration,
        answers: &mut [Value],
    ) -> Result<(), FmError> {
        let mut outcome = Ok(());
        let given = join_all(batches.iter().map(|batch| batch.ask(commands, limit))).await;
        for (batch, given) in batches.iter().zip(given) {
            match given {
                Ok(given) => batch.places.iter().zip(given).for_each(|(place, answer)| answers[*place] = answer),
                Err(reason) => outcome = Err(reason),
            }
        }
        outcome.inspect_err(|_| self.call_for_care())
    }

    /// What was sent to a server that is not the owner of its slot, for the one that is.
    fn redirected(&self, view: &View, answers: &[Value]) -> Vec<Batch> {
        let mut batches = BTreeMap::new();
        for (place, answer) in answers.iter().enumerate() {
            let Some((address, asking)) = redirection(answer) else { continue };
            if !asking {
                self.outdated.store(true, Ordering::Relaxed);
                self.call_for_care();
            }
            let Some(Ok(link)) = view.link(&address) else { continue };
            let batch = batches.entry((Arc::as_ptr(&link), asking)).or_insert_with(|| Batch::to(link, asking));
            batch.places.push(place);
        }
        batches.into_values().collect()
    }
}

impl Batch {
    fn to(link: Arc<Link>, asking: bool) -> Self {
        Self { link, places: Vec::new(), asking }
    }

    async fn ask(&self, commands: &[&Cmd], limit: Duration) -> Result<Vec<Value>, FmError> {
        let mut pipeline = Pipeline::with_capacity(self.places.len());
        for place in &self.places {
            if self.asking {
                pipeline.add_command(cmd("ASKING"));
            }
            pipeline.add_command(commands[*place].clone());
        }
        let answers = self.link.ask(&pipeline, limit).await?;
        let every = if self.asking { 2 } else { 1 };
        Ok(answers.into_iter().skip(every - 1).step_by(every).collect())
    }
}

fn anyone(view: &View) -> Result<Arc<Link>, FmError> {
    let link = view.usable().next().map(|(_, link)| Arc::clone(link));
    link.ok_or_else(|| failure::backend("no node of the cluster can be reached"))
}

/// Where an answer says that the command belongs, and whether it must be announced there.
fn redirection(answer: &Value) -> Option<(Address, bool)> {
    let Value::ServerError(error) = answer else { return None };
    let asking = match error.code() {
        "MOVED" => false,
        "ASK" => true,
        _ => return None,
    };
    let (host, port) = error.details()?.split(' ').nth(1)?.rsplit_once(':')?;
    Some((Address { host: host.to_owned(), port: port.parse().ok()? }, asking))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn slots_that_are_set_apart_are_used_only_to_make_up_for_removals() {
        let cluster = Cluster::new(View::empty());
        let mut request = Pipeline::new();
        request.cmd("GET").arg("key");
        let refusal =
            async |to_all| cluster.ask(&request, Duration::from_secs(1), to_all).await.unwrap_err().to_string();
        cluster.set_apart(std::iter::once(hash_slot::of(b"key")));
        assert!(refusal(false).await.contains("a removal waits"));
        assert!(refusal(true).await.contains("owns this slot"));
        cluster.keep_apart(HashSet::new());
        assert!(refusal(false).await.contains("owns this slot"));
    }

    #[test]
    fn redirections_are_read_from_the_errors_of_servers() {
        let answer = |line: &[u8]| redis::parse_redis_value(line).unwrap();
        let address = |host: &str| Address { host: host.into(), port: 7001 };
        assert_eq!(redirection(&answer(b"-MOVED 3999 10.0.0.2:7001\r\n")), Some((address("10.0.0.2"), false)));
        assert_eq!(redirection(&answer(b"-ASK 3999 ::1:7001\r\n")), Some((address("::1"), true)));
        assert_eq!(redirection(&answer(b"-TRYAGAIN later\r\n")), None);
        assert_eq!(redirection(&answer(b"+OK\r\n")), None);
    }
}
