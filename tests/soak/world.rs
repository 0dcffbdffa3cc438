//! One configuration: its caches, its services, its Redis.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use memory_core::{FmCache, FmCacheManager, FmError, FmMemoryBackend};
use memory_redis::FmRedisBackend;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{faults::Rig, service, support::redis_server::RedisServer};

pub(crate) const PREFIX: &str = "soak";
/// The longest until everything is used again once it can be.
pub(crate) const HEALED: Duration = Duration::from_secs(5);
/// More than are asked for in one life, fewer than there are: entries are pushed out, and memory is level.
const ENTRIES: u64 = 150;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Configuration {
    Memory,
    Redis,
    Both,
    TwoProcesses,
}

impl Configuration {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Redis, Self::Both, Self::TwoProcesses];

    fn build(self, rig: Option<&Rig>) -> FmCache {
        let memory = || FmMemoryBackend::builder().max_entries(ENTRIES).build();
        let redis = || FmRedisBackend::connect(rig.expect("a server").proxy.url()).expect("a URL");
        let builder = match self {
            Self::Memory => FmCacheManager::builder(memory()),
            Self::Redis => FmCacheManager::builder(redis()),
            Self::Both | Self::TwoProcesses => FmCacheManager::builder(memory()).l2(redis()).l1_trust(1),
        };
        builder.prefix(PREFIX).stale_throttle(0.1).build().expect("a cache")
    }
}

pub(crate) struct World {
    pub(crate) caches: Vec<FmCache>,
    pub(crate) services: Arc<[SocketAddr]>,
    pub(crate) rig: Option<Rig>,
    serving: Vec<JoinHandle<()>>,
}

impl World {
    pub(crate) async fn start(configuration: Configuration) -> Self {
        let rig = (configuration != Configuration::Memory).then(Rig::start);
        let processes = if configuration == Configuration::TwoProcesses { 2 } else { 1 };
        let caches: Vec<FmCache> = (0..processes).map(|_| configuration.build(rig.as_ref())).collect();
        let (mut services, mut serving) = (Vec::new(), Vec::new());
        for cache in &caches {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            services.push(listener.local_addr().expect("an address"));
            serving.push(tokio::spawn(service::serve(listener, cache)));
        }
        Self { caches, services: services.into(), rig, serving }
    }

    /// Waits until every process stores in Redis and finds there; how long that took.
    pub(crate) async fn healed(&self) -> Duration {
        let Some(Rig { server, .. }) = &self.rig else { return Duration::ZERO };
        let mut longest = Duration::ZERO;
        for cache in &self.caches {
            longest = longest.max(heals(cache, server).await);
        }
        longest
    }

    /// Waits until nothing is done in the background any more.
    pub(crate) async fn settled(&self) {
        for cache in &self.caches {
            tokio::time::timeout(HEALED, cache.settle()).await.expect("`settle()` ends");
        }
    }

    pub(crate) async fn end(self) {
        for serving in self.serving {
            serving.abort();
        }
        for cache in self.caches {
            tokio::time::timeout(HEALED, cache.close()).await.expect("`close()` ends");
        }
    }
}

/// How long it takes until a process stores and finds, and not past the time for that.
async fn heals(cache: &FmCache, server: &RedisServer) -> Duration {
    let start = Instant::now();
    let mut reasons = Vec::new();
    while let Err(reason) = stores(cache, server).await {
        if reasons.last() != Some(&reason) {
            println!("    {:.0?} {reason}", start.elapsed());
            reasons.push(reason);
        }
        assert!(start.elapsed() < HEALED, "Redis is not used again: {reasons:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// Stores something and finds it; or tells why that is not so.
async fn stores(cache: &FmCache, server: &RedisServer) -> Result<(), String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let key = format!("probe-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    cache.set(key.as_str(), 1_u32).expire(2).strict().await.map_err(|error| told(&error))?;
    let text = format!("{PREFIX}:{key}");
    let exists: bool = tokio::task::block_in_place(|| server.run(&[b"EXISTS", text.as_bytes()]));
    let found = cache.get::<u32>(key.as_str()).strict().await.map_err(|error| told(&error))?;
    if exists && found == Some(1) { Ok(()) } else { Err(format!("in Redis: {exists}, found: {found:?}")) }
}

fn told(error: &FmError) -> String {
    std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
