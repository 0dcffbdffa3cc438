//! Finding the masters of a cluster, and connecting to them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use memory_core::FmError;
use redis::{Client, ConnectionAddr, ConnectionInfo, Pipeline, RedisResult};

use crate::{
    cluster::{Cluster, View},
    failure,
    link::Link,
    place, real_time, scripts,
    shards::{Address, Shards},
    topology,
};

/// For making a connection to one node and logging in; with TLS, that takes its time.
const CONNECT: Duration = Duration::from_millis(500);
/// For each question to it after that.
const ANSWER: Duration = Duration::from_millis(250);
/// How long others may take after the first one: a node that is down holds nobody up.
const OTHERS: Duration = Duration::from_millis(100);

/// Where a cluster is found, and how its nodes are connected to.
#[derive(Debug)]
pub(crate) struct Seeds {
    seeds: Vec<Client>,
    node: ConnectionInfo,
    /// The masters that were there last.
    known: Mutex<Vec<Address>>,
}

impl Seeds {
    /// Does no I/O.
    pub(crate) fn new(seeds: Vec<ConnectionInfo>, node: ConnectionInfo) -> RedisResult<Self> {
        let seeds = seeds.into_iter().map(topology::client).collect::<RedisResult<_>>()?;
        Ok(Self { seeds, node, known: Mutex::default() })
    }

    /// The addresses of the seeds.
    pub(crate) fn address(&self) -> String {
        let addresses = self.seeds.iter().map(|seed| seed.get_connection_info().addr().to_string());
        addresses.collect::<Vec<_>>().join(", ")
    }

    /// Connects to the masters; those that can't be reached now are left to the [`Keeper`](crate::keeper::Keeper).
    pub(crate) async fn dial(&self) -> Result<Arc<Link>, FmError> {
        let asked = self.seeds.clone().into_iter().chain(self.known_masters()).map(ask_seed).collect();
        let mut view = View::new(best(asked).await?, &View::empty());
        self.know(&view.shards);
        let refusal = self.connect_all(&mut view).await;
        if view.is_lost() { Err(refusal) } else { Ok(Link::to_cluster(Cluster::new(view))) }
    }

    /// Notes where the masters are by now, for the case that none of the seeds is left.
    pub(crate) fn know(&self, shards: &Shards) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&shards.masters);
    }

    fn known_masters(&self) -> Vec<Client> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_seed = |client: &Client| {
            let addr = client.get_connection_info().addr();
            self.seeds.iter().any(|seed| seed.get_connection_info().addr() == addr)
        };
        known.iter().filter_map(|address| self.client(address).ok()).filter(|client| !is_seed(client)).collect()
    }

    /// Connects to all masters of a view at once; why one of them was not reached.
    async fn connect_all(&self, view: &mut View) -> FmError {
        let mut refusal = failure::backend("no node of the cluster can be reached");
        let masters = view.shards.masters.clone();
        let dials = masters.iter().enumerate();
        let dials = dials.map(|(place, address)| async move { (place, self.connect(address).await) });
        let mut dialled: FuturesUnordered<_> = dials.collect();
        loop {
            let limit = if view.is_lost() { CONNECT + ANSWER } else { OTHERS };
            match real_time::within(limit, dialled.next()).await {
                Ok(Some((place, Ok(link)))) => view.links[place] = Ok(link),
                Ok(Some((_, Err(reason)))) => refusal = reason,
                Ok(None) | Err(real_time::Elapsed) => return refusal,
            }
        }
    }

    /// Clients for all masters, as a connection knows them.
    pub(crate) fn masters(&self, link: &Link) -> Result<Vec<Client>, FmError> {
        let Some(cluster) = link.cluster() else { return Ok(Vec::new()) };
        cluster.view().shards.masters.iter().map(|address| self.client(address)).collect()
    }

    fn client(&self, address: &Address) -> Result<Client, FmError> {
        topology::client(place::at(&self.node, address.host.clone(), address.port)).map_err(failure::driver)
    }

    /// Connects to one node and sees whether it answers.
    pub(crate) async fn connect(&self, address: &Address) -> Result<Arc<Link>, FmError> {
        let client = self.client(address)?;
        let connected = real_time::within(CONNECT, topology::connect(&client)).await;
        let link = Link::new(connected.map_err(|_| failure::too_slow(CONNECT))?.map_err(failure::driver)?);
        let mut greeting = Pipeline::new();
        greeting.cmd("PING");
        failure::answered(link.ask(&greeting, ANSWER).await?.first().unwrap_or(&redis::Value::Nil))?;
        scripts::load(&link, ANSWER).await?;
        Ok(link)
    }
}

/// What the cluster looks like to the one of these servers that knows most.
pub(crate) async fn look(view: &View) -> Result<Shards, FmError> {
    best(view.usable().map(|(address, link)| ask(Arc::clone(link), address.host.clone())).collect()).await
}

async fn best<F: Future<Output = Result<Shards, FmError>>>(mut asked: FuturesUnordered<F>) -> Result<Shards, FmError> {
    let (mut best, mut refusal): (Option<Shards>, _) = (None, failure::backend("no node of the cluster answers"));
    loop {
        let limit = if best.is_none() { CONNECT + ANSWER } else { OTHERS };
        match real_time::within(limit, asked.next()).await {
            Ok(Some(Ok(shards))) if best.as_ref().is_none_or(|best| knows_more(&shards, best)) => best = Some(shards),
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(reason))) => refusal = reason,
            Ok(None) | Err(real_time::Elapsed) => return best.ok_or(refusal),
        }
    }
}

fn knows_more(one: &Shards, other: &Shards) -> bool {
    (one.epoch, one.covered()) > (other.epoch, other.covered())
}

async fn ask_seed(seed: Client) -> Result<Shards, FmError> {
    let connected = real_time::within(CONNECT, topology::connect(&seed)).await;
    let link = Link::new(connected.map_err(|_| failure::too_slow(CONNECT))?.map_err(failure::driver)?);
    let host = match seed.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => "127.0.0.1".to_owned(),
    };
    ask(link, host).await
}

async fn ask(link: Arc<Link>, host: String) -> Result<Shards, FmError> {
    let answers = link.ask(&Shards::question(), ANSWER).await?;
    failure::answered(&answers[0])?;
    Shards::parse(&answers, &host).ok_or_else(|| failure::backend("this Redis is not part of a cluster"))
}
