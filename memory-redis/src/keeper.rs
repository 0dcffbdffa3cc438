//! Keeping the connections to the masters of a cluster: noticing that one is silent, that it was replaced, or is back.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{
    future::join_all,
    stream::{FuturesUnordered, StreamExt},
};
use memory_core::FmError;

use crate::{
    cluster::{Cluster, View},
    failure,
    link::Link,
    pace::Pace,
    real_time,
    seeds::{self, Seeds},
    shards::Address,
    slot::Slot,
    supervisor::{HEARTBEAT, MISSES, greet},
};

/// Between two beats, however much goes wrong.
const BREATH: Duration = Duration::from_millis(50);
/// How often the masters are asked whether anything has changed, while something is wrong and in quiet times.
const LOOK: Duration = Duration::from_millis(200);
const QUIET_LOOK: Duration = Duration::from_secs(5);

/// What is remembered of each master from beat to beat.
pub(crate) struct Keeper<'a> {
    seeds: &'a Seeds,
    masters: HashMap<Address, Care>,
    looked: Instant,
}

struct Care {
    missed: u32,
    pace: Pace,
    next_try: Instant,
}

impl<'a> Keeper<'a> {
    pub(crate) fn of(seeds: &'a Seeds) -> Self {
        Self { seeds, masters: HashMap::new(), looked: Instant::now() }
    }

    /// Waits until it is time for the next beat: after a while, or soon after something has gone wrong.
    pub(crate) async fn rest(&self, cluster: &Cluster) {
        real_time::sleep(BREATH).await;
        tokio::select! {
            () = cluster.care() => {}
            () = real_time::sleep(HEARTBEAT - BREATH) => {}
        }
    }

    /// Looks after every master once.
    ///
    /// # Errors
    ///
    /// None of them can be reached any more.
    pub(crate) async fn beat(&mut self, slot: &Slot, cluster: &Cluster) -> Result<(), FmError> {
        self.greet_all(slot, &cluster.view()).await;
        let view = cluster.view();
        let is_whole = view.usable().count() == view.links.len();
        let pause = if is_whole && !cluster.is_outdated() { QUIET_LOOK } else { LOOK };
        if self.looked.elapsed() >= pause {
            self.looked = Instant::now();
            self.look(cluster, &view).await;
        }
        self.reconnect(slot, cluster).await;
        if cluster.view().is_lost() {
            return Err(failure::backend("no node of the cluster can be reached"));
        }
        Ok(())
    }

    /// Condemns the connections that have been silent too often. The clock is that of the first master.
    async fn greet_all(&mut self, slot: &Slot, view: &View) {
        let usable: Vec<_> = view.usable().collect();
        let greetings = usable.iter().enumerate().map(|(place, (_, link))| {
            let clock = (place == 0).then_some(&slot.clock);
            greet(clock, link, slot.settings.response_timeout)
        });
        let greeted = join_all(greetings).await;
        for ((address, link), greeted) in usable.into_iter().zip(greeted) {
            let care = self.care(address);
            match greeted {
                Ok(_) => care.missed = 0,
                Err(_) if care.missed + 1 < MISSES => care.missed += 1,
                Err(silence) => link.condemn(silence),
            }
        }
    }

    /// Takes over what the cluster looks like now.
    async fn look(&mut self, cluster: &Cluster, view: &View) {
        cluster.is_looked_at();
        let Ok(shards) = seeds::look(view).await else { return };
        // A master that has just been resumed may still believe in times long gone.
        if shards != view.shards && shards.epoch >= view.shards.epoch {
            self.masters.retain(|address, _| shards.masters.contains(address));
            self.seeds.know(&shards);
            cluster.show(View::new(shards, view));
        }
    }

    /// Connects to the masters that are not connected; each is in use as soon as it answers.
    async fn reconnect(&mut self, slot: &Slot, cluster: &Cluster) {
        let (seeds, now) = (self.seeds, Instant::now());
        let absent = absent(&cluster.view());
        let due: Vec<Address> = absent.into_iter().filter(|address| self.care(address).is_due(now)).collect();
        let mut dialled: FuturesUnordered<_> =
            due.into_iter().map(|address| async move { (seeds.connect(&address).await, address) }).collect();
        while let Some((link, address)) = dialled.next().await {
            self.care(&address).tried();
            let mut view = View::clone(&cluster.view());
            let Some(place) = view.shards.masters.iter().position(|master| *master == address) else { continue };
            if link.is_ok() {
                tracing::info!(node = %address, "a cluster node is in use");
            }
            view.links[place] = link;
            slot.use_master(cluster, view, place);
        }
    }

    fn care(&mut self, address: &Address) -> &mut Care {
        let new = || Care { missed: 0, pace: Pace::new(), next_try: Instant::now() };
        self.masters.entry(address.clone()).or_insert_with(new)
    }
}

impl Care {
    /// Whether the node may be connected to again; notes that it is.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next_try;
        if is_due {
            self.pace.tried(now);
        }
        is_due
    }

    fn tried(&mut self) {
        let now = Instant::now();
        (self.missed, self.next_try) = (0, now + self.pace.next(now));
    }
}

/// The masters without a connection that can be used.
fn absent(view: &View) -> Vec<Address> {
    let links = view.shards.masters.iter().zip(&view.links);
    let is_absent = |link: &Result<Arc<Link>, FmError>| link.as_ref().map_or(true, |link| link.doom().is_some());
    links.filter(|(_, link)| is_absent(link)).map(|(address, _)| address.clone()).collect()
}
