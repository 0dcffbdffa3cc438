//! The Redis backend against real servers and real faults, through the seam that the engine uses.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bus;
mod calls;
mod clearing;
mod cluster;
mod generations;
mod leases;
mod logins;
mod outages;
mod removals;
mod sentinel;
mod storing;
mod tags;
mod tiers;
mod tls;
mod traffic;

use std::{sync::Arc, time::Duration};

use memory_core::backend::{
    Fetched, FmBackend, Group, Prefix, RemoteKey, RemoteTier, RemoteWrite, Removed, Stamp, Tier, Written,
};
use memory_redis::FmRedisBackend;

/// The longest a call may take while Redis is in trouble.
const PATIENCE: Duration = Duration::from_millis(150);
/// Calls that know that there is no connection take less than this.
const AT_ONCE: Duration = Duration::from_millis(20);
/// The longest until Redis is used again once it can be.
const HEALED: Duration = Duration::from_secs(5);

/// The longest until Redis itself has put a replica in the place of its master: on a busy machine its votes fail at first.
const PROMOTION: Duration = Duration::from_secs(60);

/// The store of one process, under the prefix `app`.
struct Store {
    prefix: Prefix,
    tier: Arc<dyn RemoteTier>,
    spread: bool,
}

/// How keys may lie: all on one server, or as in a cluster.
const LAYOUTS: [fn(&str) -> Store; 2] = [Store::patient, Store::spread];

impl Store {
    /// With the default limits.
    fn at(url: &str) -> Self {
        Self::with("app", FmRedisBackend::connect(url).unwrap())
    }

    /// Where time is not what is tested: with limits that hold on a machine that is busy with other tests.
    fn patient(url: &str) -> Self {
        Self::with("app", patient(FmRedisBackend::connect(url).unwrap()))
    }

    /// The same, talking to one server as to a cluster.
    fn spread(url: &str) -> Self {
        let store = Self::with("app", patient(FmRedisBackend::connect(url).unwrap()).spread());
        Self { spread: true, ..store }
    }

    fn with(prefix: &str, backend: FmRedisBackend) -> Self {
        let prefix = Prefix::new(prefix).unwrap();
        let Tier::Remote(tier) = backend.open(&prefix).unwrap() else { panic!("Redis is not in this process") };
        Self { prefix, tier, spread: false }
    }

    fn key(&self, name: &str) -> RemoteKey {
        RemoteKey {
            text: format!("{}{name}", self.prefix.group_start(&Group::All).unwrap()).into(),
            namespace: None,
            wire: Arc::default(),
        }
    }

    fn key_in(&self, namespace: &str, name: &str) -> RemoteKey {
        let start = self.prefix.group_start(&Group::Namespace(namespace.into())).unwrap();
        RemoteKey { text: format!("{start}{name}").into(), namespace: Some(namespace.into()), wire: Arc::default() }
    }

    async fn fetch(&self, key: &RemoteKey) -> Result<Fetched, memory_core::FmError> {
        let mut fetched = self.tier.fetch(std::slice::from_ref(key)).await?;
        assert_eq!(fetched.len(), 1);
        Ok(fetched.remove(0))
    }

    /// The payload under a key, on a server that answers.
    async fn payload(&self, key: &RemoteKey) -> Option<String> {
        let payload = self.fetch(key).await.expect("an answer").payload;
        payload.map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    /// What a run notes when it begins.
    async fn stamp(&self, key: &RemoteKey) -> Stamp {
        self.fetch(key).await.expect("an answer").stamp
    }

    async fn store(
        &self,
        key: &RemoteKey,
        payload: &str,
        stamp: Option<Stamp>,
    ) -> Result<Written, memory_core::FmError> {
        self.store_with(key, payload, stamp, &[]).await
    }

    async fn store_with(
        &self,
        key: &RemoteKey,
        payload: &str,
        stamp: Option<Stamp>,
        tags: &[&str],
    ) -> Result<Written, memory_core::FmError> {
        let write = RemoteWrite {
            key: key.clone(),
            payload: payload.into(),
            life: Some(Duration::from_secs(60)),
            stamp,
            tags: tags.iter().map(|tag| (*tag).into()).collect(),
        };
        self.tier.store(&[write]).await.map(|written| written[0])
    }

    /// Tries to store what a run made that began at `stamp`, and has been overtaken by an invalidation of one of its
    /// groups: it is refused or, where the script can't know, never seen.
    async fn is_overtaken(&self, key: &RemoteKey, stamp: Stamp, tags: &[&str]) {
        let written = self.store_with(key, "overtaken", Some(stamp), tags).await.expect("an answer");
        assert!(written == Written::Outdated || (self.spread && written == Written::Stored), "{written:?}");
        assert_eq!(self.payload(key).await, None);
    }

    /// Stores what a run made that began just now.
    async fn run_and_store(&self, key: &RemoteKey, payload: &str) {
        let stamp = self.stamp(key).await;
        assert_eq!(self.store(key, payload, Some(stamp)).await.expect("an answer"), Written::Stored);
    }

    /// The same for one with tags.
    async fn run_and_store_with(&self, key: &RemoteKey, payload: &str, tags: &[&str]) {
        let stamp = Some(self.stamp(key).await);
        assert_eq!(self.store_with(key, payload, stamp, tags).await.expect("an answer"), Written::Stored);
    }

    async fn invalidate(&self, tag: &str) {
        assert_eq!(now(self.tier.clear(&Group::Tag(tag.into())).await), 0);
    }

    async fn remove(&self, key: &RemoteKey) -> Removed {
        self.tier.remove(std::slice::from_ref(key)).await
    }

    /// Waits until a fetch succeeds; how long that took, and what it gave.
    async fn healed(&self, key: &RemoteKey) -> (Duration, Fetched) {
        support::eventually(HEALED, "Redis is used again", || async { self.fetch(key).await.ok() }).await
    }

    /// Waits until a run can be stored and read.
    async fn works(&self, key: &RemoteKey) {
        support::eventually(HEALED, "a run is stored", || async {
            let stamp = self.fetch(key).await.ok()?.stamp;
            let written = self.store(key, "works", Some(stamp)).await.ok()?;
            assert_eq!(written, Written::Stored);
            let payload = self.fetch(key).await.ok()?.payload;
            assert_eq!(payload.as_deref(), Some(&b"works"[..]));
            Some(())
        })
        .await;
    }

    /// Waits until it is known that there is no connection, each call within its time.
    async fn fails_fast(&self, key: &RemoteKey) {
        support::eventually(HEALED, "calls fail at once", || async {
            let (time, outcome) = support::timed(self.fetch(key)).await;
            assert!(time < PATIENCE, "a call took {time:?}");
            (outcome.is_err() && time < AT_ONCE).then_some(())
        })
        .await;
    }
}

fn patient(backend: FmRedisBackend) -> FmRedisBackend {
    backend.response_timeout(5).deadline(5)
}

fn now(removed: Removed) -> u64 {
    match removed {
        Removed::Now(count) => count,
        Removed::Queued(reason) => panic!("only queued: {reason}"),
    }
}

fn is_queued(removed: &Removed) -> bool {
    matches!(removed, Removed::Queued(reason) if reason.is_backend())
}
