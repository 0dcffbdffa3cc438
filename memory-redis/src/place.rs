//! Where the user says that Redis is, before anything is made of it.

use std::fmt;

#[cfg(any(feature = "sentinel", feature = "cluster", feature = "tls"))]
use memory_core::{FmError, backend::Kind};
#[cfg(any(feature = "sentinel", feature = "cluster", feature = "tls"))]
use redis::ConnectionAddr;
use redis::ConnectionInfo;
#[cfg(feature = "sentinel")]
use redis::RedisConnectionInfo;
#[cfg(feature = "tls")]
use redis::{Client, TlsCertificates};

/// Where Redis is, and how it is connected to.
#[derive(Clone)]
pub(crate) enum Place {
    /// One server.
    One(ConnectionInfo),
    /// Wherever the sentinels say that the master of this name is.
    #[cfg(feature = "sentinel")]
    Sentinel {
        name: String,
        sentinels: Vec<ConnectionInfo>,
        /// How the master is connected to; the address in it is not used.
        node: ConnectionInfo,
    },
    /// Wherever one of the seeds says that the nodes are.
    #[cfg(feature = "cluster")]
    Cluster {
        seeds: Vec<ConnectionInfo>,
        /// How the nodes are connected to; the address in it is not used.
        node: ConnectionInfo,
    },
}

impl Place {
    /// With a node that needs no login; a database number of the sentinels is the node's, since they have none.
    #[cfg(feature = "sentinel")]
    pub(crate) fn sentinel(name: String, sentinels: Vec<ConnectionInfo>) -> Result<Self, FmError> {
        let first = sentinels.first().ok_or_else(nowhere)?;
        let settings = RedisConnectionInfo::default().set_db(first.redis_settings().db());
        let node = first.clone().set_addr(ConnectionAddr::Tcp(String::new(), 0)).set_redis_settings(settings);
        let sentinels = sentinels.into_iter().map(without_database).collect();
        Ok(Self::Sentinel { name, sentinels, node })
    }

    /// With nodes that are connected to as the first seed is.
    #[cfg(feature = "cluster")]
    pub(crate) fn cluster(seeds: Vec<ConnectionInfo>) -> Result<Self, FmError> {
        let node = seeds.first().ok_or_else(nowhere)?.clone();
        seeds.iter().try_for_each(has_no_database)?;
        Ok(Self::Cluster { seeds, node })
    }

    /// With nodes that are connected to like this.
    #[cfg(any(feature = "sentinel", feature = "cluster"))]
    pub(crate) fn with_nodes(self, node: ConnectionInfo) -> Result<Self, FmError> {
        match self {
            Self::One(_) => Err(FmError::new(Kind::Config, "a single Redis has no other nodes: put this into its URL")),
            #[cfg(feature = "sentinel")]
            Self::Sentinel { name, sentinels, .. } => Ok(Self::Sentinel { name, sentinels, node }),
            #[cfg(feature = "cluster")]
            Self::Cluster { seeds, .. } => {
                has_no_database(&node)?;
                Ok(Self::Cluster { seeds, node })
            }
        }
    }
}

#[cfg(feature = "tls")]
impl Place {
    /// With these certificates on every TLS connection.
    pub(crate) fn with_certificates(self, given: Option<&TlsCertificates>) -> Result<Self, FmError> {
        let Some(given) = given else { return Ok(self) };
        let put = |info| certified(info, given);
        Ok(match self {
            Self::One(info) => Self::One(put(info)?),
            #[cfg(feature = "sentinel")]
            Self::Sentinel { name, sentinels, node } => {
                let sentinels = sentinels.into_iter().map(put).collect::<Result<_, _>>()?;
                Self::Sentinel { name, sentinels, node: put(node)? }
            }
            #[cfg(feature = "cluster")]
            Self::Cluster { seeds, node } => {
                let seeds = seeds.into_iter().map(put).collect::<Result<_, _>>()?;
                Self::Cluster { seeds, node: put(node)? }
            }
        })
    }
}

#[cfg(feature = "tls")]
fn certified(info: ConnectionInfo, certificates: &TlsCertificates) -> Result<ConnectionInfo, FmError> {
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Ok(info);
    }
    let client = Client::build_with_tls(info, certificates.clone());
    let client = client.map_err(|_| FmError::new(Kind::Config, "these certificates cannot be read"))?;
    Ok(client.get_connection_info().clone())
}

/// Addresses only: the rest may hold passwords.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(info) => write!(f, "{}", info.addr()),
            #[cfg(feature = "sentinel")]
            Self::Sentinel { name, sentinels, .. } => write!(f, "{name} of {}", addresses(sentinels)),
            #[cfg(feature = "cluster")]
            Self::Cluster { seeds, .. } => write!(f, "the cluster of {}", addresses(seeds)),
        }
    }
}

/// The same server under another port.
#[cfg(feature = "sentinel")]
pub(crate) fn moved_to_port(info: ConnectionInfo, port: u16) -> ConnectionInfo {
    let host = match info.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => return info,
    };
    at(&info, host, port)
}

/// A node at this address, connected to like another one.
#[cfg(any(feature = "sentinel", feature = "cluster"))]
pub(crate) fn at(like: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let address = match like.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    like.clone().set_addr(address)
}

#[cfg(any(feature = "sentinel", feature = "cluster"))]
fn addresses(of: &[ConnectionInfo]) -> String {
    of.iter().map(|info| info.addr().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(any(feature = "sentinel", feature = "cluster"))]
fn nowhere() -> FmError {
    FmError::new(Kind::Config, "at least one URL is needed to find Redis")
}

#[cfg(feature = "sentinel")]
fn without_database(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_db(0);
    info.set_redis_settings(settings)
}

#[cfg(feature = "cluster")]
fn has_no_database(info: &ConnectionInfo) -> Result<(), FmError> {
    match info.redis_settings().db() {
        0 => Ok(()),
        _ => Err(FmError::new(Kind::Config, "a Redis Cluster has no databases but number 0")),
    }
}
