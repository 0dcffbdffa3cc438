//! Nodes, a store and a bus in one deterministic world, and a checker of what they promise.

mod check;
mod client;
mod facts;
mod faults;
pub(crate) mod history;
mod plan;
mod report;
mod world;

use std::{sync::Arc, thread, time::Duration};

use tokio::{task::JoinHandle, time::sleep};

pub use self::report::{Report, Violation};
use self::{check::Checker, client::Client, history::Event, plan::Plan, world::World};
use super::redis::{Bug, SimRedis};
use crate::error::FmError;

/// A world of nodes that share a [`SimRedis`], their clients, and everything that can go wrong, from one seed.
///
/// See the [module documentation](super) for the promise that it checks.
///
/// # Default
///
/// Three nodes, up to four keys, 80 operations a node.
///
/// # Examples
///
/// ```
/// # use memory_core::test_util::Simulation;
/// let report = Simulation::new(7).nodes(2).keys(3).steps(40).run().unwrap();
/// assert_eq!(report, Simulation::new(7).nodes(2).keys(3).steps(40).run().unwrap());
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is simulated until `.run()`"]
pub struct Simulation {
    seed: u64,
    nodes: usize,
    keys: usize,
    clients: Option<usize>,
    steps: usize,
    memory: Option<bool>,
    skew: Duration,
    calm: bool,
    bug: Option<Bug>,
}

impl Simulation {
    /// The world of this seed.
    pub fn new(seed: u64) -> Self {
        let skew = Duration::from_millis(50);
        Self { seed, nodes: 3, keys: 4, clients: None, steps: 80, memory: None, skew, calm: false, bug: None }
    }

    /// How many processes share the store.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes.max(1);
        self
    }

    /// How many keys there are at most; how many of them, the seed decides.
    pub fn keys(mut self, keys: usize) -> Self {
        self.keys = keys.max(1);
        self
    }

    /// How many clients each process has, at the same time.
    ///
    /// # Default
    ///
    /// Two to six, by the seed.
    pub fn clients(mut self, clients: usize) -> Self {
        self.clients = Some(clients.max(1));
        self
    }

    /// Whether processes keep copies in memory in front of the store, all or none of them.
    ///
    /// # Default
    ///
    /// Some do and some do not, by the seed.
    pub fn two_tiers(mut self, two_tiers: bool) -> Self {
        self.memory = Some(two_tiers);
        self
    }

    /// How many operations the clients of each process do in all.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// How far the processes' clocks are off the store's at most.
    ///
    /// # Default
    ///
    /// 50 ms.
    pub fn skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }

    /// Nothing goes wrong.
    pub fn calm(mut self) -> Self {
        self.calm = true;
        self
    }

    /// Plants a bug, which is to be found.
    pub fn plant(mut self, bug: Bug) -> Self {
        self.bug = Some(bug);
        self
    }

    /// Runs it, in a thread of its own.
    ///
    /// # Errors
    ///
    /// A promise was broken: its `Display` is the seed and the history.
    ///
    /// # Panics
    ///
    /// When no thread can be started.
    pub fn run(self) -> Result<Report, Box<Violation>> {
        let seed = self.seed;
        let outcome = thread::scope(|scope| scope.spawn(|| self.run_here()).join());
        match outcome {
            Ok(Ok((plan, events))) => judge(seed, &plan, events),
            Ok(Err(error)) => Err(Violation::stopped(seed, error.to_string())),
            Err(_) => Err(Violation::stopped(seed, "it panicked".to_owned())),
        }
    }

    fn run_here(&self) -> Result<(Plan, Vec<Event>), FmError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| FmError::with_source(crate::error::Kind::Config, "no runtime", error))?;
        let plan = Plan::draw(self)?;
        let events = runtime.block_on(self.play(plan.clone()))?;
        Ok((plan, events))
    }

    async fn play(&self, plan: Plan) -> Result<Vec<Event>, FmError> {
        let redis = SimRedis::new(self.seed);
        if let Some(bug) = self.bug {
            redis.plant(bug);
        }
        let world = World::new(self.seed, plan, redis);
        let nodes: Vec<JoinHandle<_>> =
            (0..self.nodes).map(|node| tokio::spawn(Arc::clone(&world).live(node))).collect();
        let faults = tokio::spawn(faults::strike(Arc::clone(&world)));
        for node in nodes {
            node.await.map_err(|error| FmError::with_source(crate::error::Kind::Run, "a node panicked", error))??;
        }
        faults.abort();
        faults::heal(&world);
        sleep(Duration::from_secs(1)).await;
        look_around(&world).await?;
        Ok(world.history.take())
    }
}

/// Once nothing is wrong any more, every node looks at every key.
async fn look_around(world: &Arc<World>) -> Result<(), FmError> {
    for mut alive in world.everybody() {
        if alive.has_crashed() {
            alive = world.boot(alive.process.reborn())?;
        }
        let random = world.random(alive.process.node as u64, u64::MAX);
        let mut client = Client::new(Arc::clone(world), alive, random);
        for spot in world.plan.spots.clone() {
            client.get(&spot).await;
            client.compute(&spot).await;
        }
    }
    Ok(())
}

fn judge(seed: u64, plan: &Plan, events: Vec<Event>) -> Result<Report, Box<Violation>> {
    match Checker::new(&events, plan).check() {
        Ok(()) => Ok(Report::of(seed, &events)),
        Err(broken) => Err(Violation::new(seed, broken, plan, events)),
    }
}
