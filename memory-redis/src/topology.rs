//! How a connection is made: the one place that knows what kind of Redis this is.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use memory_core::FmError;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, RedisResult,
    aio::{MultiplexedConnection, PubSub},
};

#[cfg(feature = "cluster")]
use crate::seeds::Seeds;
#[cfg(feature = "sentinel")]
use crate::sentinels::Sentinels;
use crate::{failure, link::Link, place::Place};

/// How long bytes may stay unacknowledged before the kernel gives the connection up. Bounds how late a write can
/// reach the server whose caller has long gone.
const USER_TIMEOUT: Duration = Duration::from_secs(2);

/// The Redis behind a store.
#[derive(Debug)]
pub(crate) enum Topology {
    /// One server.
    Standalone(Client),
    /// One server at a time: the master.
    #[cfg(feature = "sentinel")]
    Sentinel(Sentinels),
    /// Many servers, each with a part of the keys.
    #[cfg(feature = "cluster")]
    Cluster(Seeds),
}

impl Topology {
    /// Does no I/O.
    pub(crate) fn new(place: Place) -> RedisResult<Self> {
        match place {
            Place::One(info) => client(info).map(Self::Standalone),
            #[cfg(feature = "sentinel")]
            Place::Sentinel { name, sentinels, node } => Sentinels::new(name, sentinels, node).map(Self::Sentinel),
            #[cfg(feature = "cluster")]
            Place::Cluster { seeds, node } => Seeds::new(seeds, node).map(Self::Cluster),
        }
    }

    /// Where it is, without credentials.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Standalone(client) => client.get_connection_info().addr().to_string(),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels) => sentinels.name().to_owned(),
            #[cfg(feature = "cluster")]
            Self::Cluster(seeds) => seeds.address(),
        }
    }

    /// Makes connections that hear messages, one to each of the servers on which they are published, and logs in. Sets no
    /// limit of its own.
    pub(crate) async fn dial_for_messages(&self, link: &Link) -> Result<Vec<PubSub>, FmError> {
        let clients = match self {
            Self::Standalone(client) => vec![client.clone()],
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels) => vec![sentinels.master().await?],
            #[cfg(feature = "cluster")]
            Self::Cluster(seeds) => seeds.masters(link)?,
        };
        choose_crypto();
        let _ = link;
        let dialled = try_join_all(clients.iter().map(Client::get_async_pubsub)).await;
        dialled.map_err(failure::driver)
    }

    /// Makes a connection and logs in. Sets no limit of its own to the whole.
    pub(crate) async fn dial(&self) -> Result<Arc<Link>, FmError> {
        match self {
            Self::Standalone(client) => connect(client).await.map(Link::new).map_err(failure::driver),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels) => sentinels.dial().await,
            #[cfg(feature = "cluster")]
            Self::Cluster(seeds) => seeds.dial().await,
        }
    }

    /// Whether keys may lie on different servers.
    pub(crate) fn is_spread(&self) -> bool {
        #[cfg(feature = "cluster")]
        if matches!(self, Self::Cluster(_)) {
            return true;
        }
        false
    }

    /// Whether a write that was confirmed can be lost, since another server takes over that has not heard of it.
    pub(crate) fn may_lose_writes(&self) -> bool {
        !matches!(self, Self::Standalone(_))
    }

    /// Why a connection must be left although it answers: the master is another server by now.
    pub(crate) async fn left_behind(&self) -> Option<FmError> {
        match self {
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels) => sentinels.left_behind().await,
            _ => None,
        }
    }
}

/// A client for one server, with the socket settings that the rest of this crate relies on.
pub(crate) fn client(info: ConnectionInfo) -> RedisResult<Client> {
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let tcp = {
        let wanted = tcp.user_timeout().map_or(USER_TIMEOUT, |given| given.min(USER_TIMEOUT));
        tcp.set_user_timeout(wanted)
    };
    Client::open(info.set_tcp_settings(tcp))
}

/// Connects to one server and logs in, without any limit.
pub(crate) async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    choose_crypto();
    // Every limit is ours: the driver's can't be told from a dead connection, and don't hold when a call waits for its
    // turn.
    let unlimited = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&unlimited).await
}

/// The driver asks rustls for the process's choice of cryptography, and panics where nobody has chosen.
#[cfg(feature = "tls")]
fn choose_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that somebody else has chosen in the meantime.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}

#[cfg(not(feature = "tls"))]
fn choose_crypto() {}
