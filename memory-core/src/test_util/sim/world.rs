//! Everything that lives in one simulation.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{task::AbortHandle, time::sleep};

use super::{
    client::Client,
    history::{History, Process, Recorder, Text, What},
    plan::{PREFIX, Plan},
};
use crate::{
    FmCache, FmMemoryBackend,
    error::FmError,
    sync::lock,
    test_util::{
        ChaosBackend,
        redis::{SimNode, SimRedis},
    },
};

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) plan: Plan,
    pub(super) history: Arc<History>,
    pub(super) redis: SimRedis,
    /// The version of each key in the database.
    versions: Mutex<HashMap<Text, u64>>,
    nodes: Mutex<Vec<Option<Alive>>>,
}

/// One process.
#[derive(Clone)]
pub(super) struct Alive {
    pub(super) process: Process,
    pub(super) cache: FmCache,
    pub(super) node: SimNode,
    pub(super) recorder: Recorder,
    clients: Arc<Mutex<Vec<AbortHandle>>>,
}

impl World {
    pub(super) fn new(seed: u64, plan: Plan, redis: SimRedis) -> Arc<Self> {
        let nodes = vec![None; plan.memory.len()];
        Arc::new(Self {
            seed,
            plan,
            history: History::new(),
            redis,
            versions: Mutex::default(),
            nodes: Mutex::new(nodes),
        })
    }

    pub(super) fn version(&self, key: &Text) -> u64 {
        lock(&self.versions).get(key).copied().unwrap_or(0)
    }

    /// The database changes under every key that `covers` picks.
    pub(super) fn change(&self, covers: impl Fn(&super::plan::Spot) -> bool) {
        let mut versions = lock(&self.versions);
        for spot in self.plan.spots.iter().filter(|spot| covers(spot)) {
            *versions.entry(Arc::clone(&spot.text)).or_default() += 1;
        }
    }

    pub(super) fn alive(&self, node: usize) -> Option<Alive> {
        lock(&self.nodes).get(node).cloned().flatten()
    }

    pub(super) fn everybody(&self) -> Vec<Alive> {
        lock(&self.nodes).iter().flatten().cloned().collect()
    }

    /// One node from its first boot until its clients have done all their steps.
    pub(super) async fn live(self: Arc<Self>, node: usize) -> Result<(), FmError> {
        let left = Arc::new(AtomicUsize::new(self.plan.steps));
        for life in 0.. {
            let alive = self.boot(Process { node, life })?;
            self.work(&alive, &left).await;
            if left.load(Ordering::Relaxed) == 0 && !alive.has_crashed() {
                break;
            }
            let mut random = self.random(node as u64, u64::from(life));
            sleep(Duration::from_millis(random.u64(10..400))).await;
        }
        Ok(())
    }

    pub(super) fn boot(&self, process: Process) -> Result<Alive, FmError> {
        let recorder = self.history.recorder(process);
        let node = self.redis.node_recorded(Some(recorder.clone()));
        node.latency(self.plan.latency.clone());
        node.slow(self.plan.slow, Duration::from_millis(400));
        let cache = self.cache(&node, process.node)?;
        let alive = Alive { process, cache, node, recorder, clients: Arc::default() };
        if let Some(slot) = lock(&self.nodes).get_mut(process.node) {
            *slot = Some(alive.clone());
        }
        Ok(alive)
    }

    fn cache(&self, node: &SimNode, number: usize) -> Result<FmCache, FmError> {
        let builder = match self.plan.keeps_in_memory(number) {
            true => FmCache::builder(self.memory(number)).l2(node.clone()).l1_trust(self.plan.trust),
            false => FmCache::builder(node.clone()),
        };
        builder
            .stale_while_revalidate(self.plan.answered_late)
            .stale_if_error(self.plan.excused_late)
            .time_to_idle(self.plan.idle)
            .stale_throttle(self.plan.throttle)
            .prefix(PREFIX)
            .build()
    }

    /// The memory of a node: copies go from it as if there were too many.
    fn memory(&self, node: usize) -> ChaosBackend {
        let seed = self.random(node as u64, 3).u64(..);
        ChaosBackend::new(FmMemoryBackend::new(), seed).evictions(self.plan.evictions)
    }

    async fn work(self: &Arc<Self>, alive: &Alive, left: &Arc<AtomicUsize>) {
        let clients: Vec<_> = (0..self.plan.clients)
            .map(|number| {
                let random =
                    self.random(alive.process.node as u64, 1000 + u64::from(alive.process.life) * 50 + number as u64);
                tokio::spawn(Client::new(Arc::clone(self), alive.clone(), random).run(Arc::clone(left)))
            })
            .collect();
        *lock(&alive.clients) = clients.iter().map(tokio::task::JoinHandle::abort_handle).collect();
        for client in clients {
            // One that was cut off has crashed with its process.
            let _ = client.await;
        }
    }

    pub(super) fn random(&self, one: u64, other: u64) -> fastrand::Rng {
        let mixed = self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ one.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        fastrand::Rng::with_seed(mixed ^ other.wrapping_mul(0x94D0_49BB_1331_11EB))
    }
}

impl Alive {
    pub(super) fn crash(&self) {
        self.recorder.note(What::Crashed);
        self.node.crash();
        for client in &*lock(&self.clients) {
            client.abort();
        }
    }

    pub(super) fn has_crashed(&self) -> bool {
        self.node.has_crashed()
    }
}
