//! The Redis backend against real servers and real faults, through the seam that the engine uses.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod calls;
mod clearing;
mod cluster;
mod generations;
mod outages;
mod removals;
mod sentinel;
mod storing;
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

/// The store of one process, under the prefix `app`.
struct Store {
    prefix: Prefix,
    tier: Arc<dyn RemoteTier>,
}

impl Store {
    /// With the default limits.
    fn at(url: &str) -> Self {
        Self::with("app", FmRedisBackend::connect(url).unwrap())
    }

    /// Where time is not what is tested: with limits that hold on a machine that is busy with other tests.
    fn patient(url: &str) -> Self {
        Self::with("app", patient(FmRedisBackend::connect(url).unwrap()))
    }

    fn with(prefix: &str, backend: FmRedisBackend) -> Self {
        let prefix = Prefix::new(prefix).unwrap();
        let Tier::Remote(tier) = backend.open(&prefix).unwrap() else { panic!("Redis is not in this process") };
        Self { prefix, tier }
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
        let write = RemoteWrite {
            key: key.clone(),
            payload: payload.into(),
            life: Some(Duration::from_secs(60)),
            stamp,
            tags: Vec::new(),
        };
        self.tier.store(&[write]).await.map(|written| written[0])
    }

    /// Stores what a run made that began just now.
    async fn run_and_store(&self, key: &RemoteKey, payload: &str) {
        let stamp = self.stamp(key).await;
        assert_eq!(self.store(key, payload, Some(stamp)).await.expect("an answer"), Written::Stored);
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
