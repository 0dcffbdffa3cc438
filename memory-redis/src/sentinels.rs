//! Finding the master by asking the sentinels, and noticing when it is another one.
//!
//! They are asked again and again rather than subscribed to: an event that is lost in a half-open connection would leave
//! us on a demoted master, which goes on acknowledging writes that nobody will ever see.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use memory_core::FmError;
use redis::{Client, ConnectionInfo, Pipeline, RedisResult, Value};

use crate::{failure, link::Link, place, real_time, topology};

/// How long the first answer may take.
const FIRST_ANSWER: Duration = Duration::from_millis(250);
/// How long one sentinel may take: less than that, so that its connection is given up and made anew.
const ANSWER: Duration = Duration::from_millis(200);
/// How long the others may take after it: one of them may know of a later failover.
const OTHER_ANSWERS: Duration = Duration::from_millis(50);
/// A sentinel that can't be reached is left alone for this long.
const REST: Duration = Duration::from_secs(1);

/// The sentinels of one master, and what they said last.
#[derive(Debug)]
pub(crate) struct Sentinels {
    name: String,
    all: Vec<Sentinel>,
    node: ConnectionInfo,
    used: Mutex<Option<Claim>>,
}

/// What a sentinel says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    /// Raised by every failover.
    epoch: u64,
    host: String,
    port: u16,
}

impl Sentinels {
    /// Does no I/O.
    pub(crate) fn new(name: String, sentinels: Vec<ConnectionInfo>, node: ConnectionInfo) -> RedisResult<Self> {
        let all = sentinels.into_iter().map(Sentinel::new).collect::<RedisResult<_>>()?;
        Ok(Self { name, all, node, used: Mutex::default() })
    }

    /// What the master is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Connects to the server that the sentinels call the master, if it thinks so too.
    pub(crate) async fn dial(&self) -> Result<Arc<Link>, FmError> {
        let claim = self.latest().await?;
        let client = self.client(&claim)?;
        let link = Link::to_master(topology::connect(&client).await.map_err(failure::driver)?);
        confirm(&link).await?;
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim);
        Ok(link)
    }

    /// A client for the master.
    pub(crate) async fn master(&self) -> Result<Client, FmError> {
        self.client(&self.latest().await?)
    }

    fn client(&self, claim: &Claim) -> Result<Client, FmError> {
        topology::client(place::at(&self.node, claim.host.clone(), claim.port)).map_err(failure::driver)
    }

    /// Why the master in use must be left: there has been a failover since.
    pub(crate) async fn left_behind(&self) -> Option<FmError> {
        // While no sentinel answers, the master is as good as ever.
        let claim = self.latest().await.ok()?;
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let is_later = claim.epoch >= used.epoch && (&claim.host, claim.port) != (&used.host, used.port);
        is_later.then(|| failure::backend("another Redis has become the master"))
    }

    /// Asks all of them at once; of those that answer in time, the one that has seen the latest failover is right.
    async fn latest(&self) -> Result<Claim, FmError> {
        let mut answers: FuturesUnordered<_> = self.all.iter().map(|one| one.ask(&self.name)).collect();
        let (mut latest, mut refusal): (Option<Claim>, _) = (None, failure::backend("no sentinel answered in time"));
        loop {
            let limit = if latest.is_none() { FIRST_ANSWER } else { OTHER_ANSWERS };
            match real_time::within(limit, answers.next()).await {
                Ok(Some(Ok(claim))) if latest.as_ref().is_none_or(|known| claim.epoch > known.epoch) => {
                    latest = Some(claim);
                }
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(reason))) => refusal = reason,
                Ok(None) | Err(real_time::Elapsed) => return latest.ok_or(refusal),
            }
        }
    }
}

/// Asks a server whether it is a master. One that may not tell is believed to be: if it is none, its first refusal of a
/// write ends the connection.
async fn confirm(link: &Link) -> Result<(), FmError> {
    let mut question = Pipeline::new();
    question.cmd("ROLE");
    let answers = link.ask(&question, FIRST_ANSWER).await?;
    match answers.first() {
        Some(Value::Array(role)) if !role.first().is_some_and(is_master) => {
            Err(failure::backend("the Redis that the sentinels name is no master yet"))
        }
        _ => Ok(()),
    }
}

fn is_master(role: &Value) -> bool {
    matches!(role, Value::BulkString(name) if name == b"master")
}

/// One sentinel, with the connection to it that is kept.
#[derive(Debug)]
struct Sentinel {
    client: Client,
    link: Mutex<Option<Arc<Link>>>,
    /// When it was last connected to, in milliseconds since `born`.
    tried: AtomicU64,
    born: Instant,
}

impl Sentinel {
    fn new(info: ConnectionInfo) -> RedisResult<Self> {
        let client = topology::client(info)?;
        Ok(Self { client, link: Mutex::default(), tried: AtomicU64::new(0), born: Instant::now() })
    }

    async fn ask(&self, name: &str) -> Result<Claim, FmError> {
        let link = self.link().await?;
        let mut question = Pipeline::new();
        question.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).cmd("SENTINEL").arg("MASTER").arg(name);
        let answers = link.ask(&question, ANSWER).await.inspect_err(|reason| link.condemn(reason.clone()))?;
        claim(&answers).ok_or_else(|| failure::backend("a sentinel does not know a master of this name"))
    }

    async fn link(&self) -> Result<Arc<Link>, FmError> {
        let kept = self.kept().clone();
        if let Some(link) = kept.filter(|link| link.doom().is_none()) {
            return Ok(link);
        }
        self.rest()?;
        let link = Link::new(topology::connect(&self.client).await.map_err(failure::driver)?);
        *self.kept() = Some(Arc::clone(&link));
        Ok(link)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails while the sentinel is to be left alone.
    fn rest(&self) -> Result<(), FmError> {
        let now = crate::clock::millis(self.born.elapsed()) + 1;
        let tried = self.tried.load(Ordering::Relaxed);
        if tried > 0 && now - tried < crate::clock::millis(REST) {
            return Err(failure::backend("a sentinel cannot be reached"));
        }
        self.tried.store(now, Ordering::Relaxed);
        Ok(())
    }
}

/// From the address and the description of a master.
fn claim(answers: &[Value]) -> Option<Claim> {
    let [Value::Array(address), Value::Array(description)] = answers else { return None };
    let [host, port] = &address[..] else { return None };
    let epoch = description.chunks_exact(2).find(|pair| text(&pair[0]) == Some("config-epoch"))?;
    Some(Claim { epoch: text(&epoch[1])?.parse().ok()?, host: text(host)?.to_owned(), port: text(port)?.parse().ok()? })
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(texts: &[&str]) -> Value {
        Value::Array(texts.iter().map(|text| Value::BulkString(text.as_bytes().to_vec())).collect())
    }

    #[test]
    fn a_claim_is_read_from_the_two_answers_of_a_sentinel() {
        let description = array(&["name", "mymaster", "ip", "10.0.0.1", "config-epoch", "7"]);
        let found = claim(&[array(&["10.0.0.2", "6380"]), description.clone()]);
        assert_eq!(found, Some(Claim { epoch: 7, host: "10.0.0.2".into(), port: 6380 }));
        assert_eq!(claim(&[Value::Nil, description]), None, "a master it does not know");
        assert_eq!(claim(&[array(&["10.0.0.2", "6380"])]), None);
    }
}
