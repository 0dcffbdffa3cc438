//! `FmRedisBackend`: where Redis is, and what may be set about it.

use std::{fmt, sync::Arc, time::Duration};

use memory_core::{
    FmError, IntoDuration,
    backend::{FmBackend, Kind, Prefix, Tier},
};
use redis::{Client, ConnectionInfo, IntoConnectionInfo};

#[cfg(feature = "sentinel")]
use crate::place;
use crate::{names::Names, place::Place, settings::Settings, slot::Slot, tier::RedisTier, topology::Topology};

/// Where sentinels listen unless told otherwise.
#[cfg(feature = "sentinel")]
const SENTINEL_PORT: u16 = 26_379;

/// Keeps a cache in Redis, shared between processes: in one server, in the master that Redis Sentinel names (with the
/// feature `sentinel`), or spread over a Redis Cluster (with the feature `cluster`).
///
/// Making one does no I/O, and neither does opening a cache on it: a service boots without Redis. A background task
/// connects on first use, watches the connection and replaces it whenever it can't be trusted, for as long as it
/// takes. While there is no connection, calls fail at once, which to the cache is a miss. Removals that Redis has
/// missed are queued and made up for before it is read again.
///
/// # Default
///
/// Payloads up to 1 MiB; 100 ms for a round trip and 120 ms for a whole call; a queue of 10,000 removals.
///
/// # Examples
///
/// ```
/// use memory_redis::FmRedisBackend;
///
/// # fn main() -> Result<(), memory_core::FmError> {
/// let backend = FmRedisBackend::connect("redis://127.0.0.1:6379")?.payload_limit(4 << 20);
/// # drop(backend);
/// # Ok(())
/// # }
/// ```
#[must_use = "a backend does nothing until a cache is opened on it"]
#[derive(Clone)]
pub struct FmRedisBackend {
    place: Result<Place, FmError>,
    #[cfg(feature = "tls")]
    certificates: Option<redis::TlsCertificates>,
    settings: Result<Settings, FmError>,
}

impl FmRedisBackend {
    /// A Redis by its URL: `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS (with the feature
    /// `tls`), `redis+unix:///path` for a socket; `valkey` in place of `redis` means the same. Does no I/O.
    ///
    /// # Errors
    ///
    /// A URL that is none of these; the message does not repeat it, since it may hold a password.
    pub fn connect(url: impl AsRef<str>) -> Result<Self, FmError> {
        Ok(Self::at(Place::One(address(url.as_ref())?)))
    }

    /// A Redis by a client that is there already, with its address, login and certificates. No connection is shared
    /// with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use memory_redis::{FmRedisBackend, redis};
    ///
    /// # fn main() -> Result<(), redis::RedisError> {
    /// let client = redis::Client::open("redis://127.0.0.1:6379")?;
    /// let backend = FmRedisBackend::from_client(client);
    /// # drop(backend);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_client(client: Client) -> Self {
        Self::at(Place::One(client.get_connection_info().clone()))
    }

    /// The master that Redis Sentinel calls `name`, by the URLs of the sentinels (26379 where they name no port). Does
    /// no I/O.
    ///
    /// All sentinels are asked at once, so that some of them may be away, and are asked again every 500 ms: after a
    /// failover, planned or not, the old master is left although it may go on answering.
    ///
    /// A user and password in these URLs are those of the sentinels. Those of the master, and whether it speaks TLS, are
    /// set by [`node_connection`](Self::node_connection). A sentinel has no databases: a database number in its URL is
    /// the master's.
    ///
    /// # Errors
    ///
    /// No URL, or one that is not a Redis URL.
    ///
    /// # Examples
    ///
    /// ```
    /// use memory_redis::FmRedisBackend;
    ///
    /// # fn main() -> Result<(), memory_core::FmError> {
    /// let backend = FmRedisBackend::sentinel("mymaster", ["redis://s1:26379", "redis://s2:26379"])?
    ///     .node_connection("redis://user:password@master");
    /// # drop(backend);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "sentinel")]
    pub fn sentinel<U: AsRef<str>>(
        name: impl Into<String>,
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, FmError> {
        let sentinels = urls.into_iter().map(|url| sentinel_address(url.as_ref())).collect::<Result<_, _>>()?;
        Place::sentinel(name.into(), sentinels).map(Self::at)
    }

    /// A Redis Cluster, found by the URLs of some of its nodes. Does no I/O.
    ///
    /// Entries are spread over all masters. Each master has a connection of its own: while one is down, the keys of the
    /// others go on being cached, as far as the cluster itself serves them.
    ///
    /// The login and TLS of the first URL are those of all nodes, unless
    /// [`node_connection`](Self::node_connection) says otherwise.
    ///
    /// # Errors
    ///
    /// No URL, one that is not a Redis URL, or one with a database number.
    ///
    /// # Examples
    ///
    /// ```
    /// use memory_redis::FmRedisBackend;
    ///
    /// # fn main() -> Result<(), memory_core::FmError> {
    /// let backend = FmRedisBackend::cluster(["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"])?;
    /// # drop(backend);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "cluster")]
    pub fn cluster<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Self, FmError> {
        let seeds = urls.into_iter().map(|url| address(url.as_ref())).collect::<Result<_, _>>()?;
        Place::cluster(seeds).map(Self::at)
    }

    /// How the nodes that Redis Sentinel or Redis Cluster name are connected to: with the login, the database and the TLS
    /// of this URL or [`ConnectionInfo`]. Its host and port are not used.
    ///
    /// # Default
    ///
    /// Sentinel: without login and TLS. Cluster: as the first URL says.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(all(feature = "sentinel", feature = "tls"))]
    /// # fn main() -> Result<(), memory_core::FmError> {
    /// use memory_redis::FmRedisBackend;
    ///
    /// let backend = FmRedisBackend::sentinel("mymaster", ["redis://:of-sentinels@s1", "redis://:of-sentinels@s2"])?
    ///     .node_connection("rediss://user:password@any/2");
    /// # drop(backend);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(feature = "sentinel", feature = "tls")))]
    /// # fn main() {}
    /// ```
    #[cfg(any(feature = "sentinel", feature = "cluster"))]
    pub fn node_connection(mut self, like: impl IntoConnectionInfo) -> Self {
        self.place = self.place.and_then(|place| {
            let like = like.into_connection_info().map_err(|_| refused_url(""))?;
            place.with_nodes(like)
        });
        self
    }

    /// The authority to trust, and the certificate to show, on every TLS connection: to the one server, to sentinels and
    /// to nodes. A single server's may also come with [`from_client`](Self::from_client).
    ///
    /// # Default
    ///
    /// The authorities that this machine trusts, and no certificate of our own.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use memory_redis::{FmRedisBackend, redis::TlsCertificates};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let authority = std::fs::read("authority.pem")?;
    /// let backend = FmRedisBackend::connect("rediss://redis.internal")?
    ///     .certificates(TlsCertificates { client_tls: None, root_cert: Some(authority) });
    /// # drop(backend);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn certificates(mut self, certificates: redis::TlsCertificates) -> Self {
        self.certificates = Some(certificates);
        self
    }

    /// The longest encoded value that is stored, in bytes; a longer one is returned to its caller and not stored.
    ///
    /// # Default
    ///
    /// 1 MiB.
    pub fn payload_limit(self, bytes: usize) -> Self {
        self.with(|settings| {
            settings.payload_limit = bytes;
            Ok(())
        })
    }

    /// How long one round trip may take: seconds or a [`Duration`].
    ///
    /// # Default
    ///
    /// 100 ms.
    pub fn response_timeout(self, limit: impl IntoDuration) -> Self {
        self.with(|settings| {
            settings.response_timeout = positive(limit)?;
            Ok(())
        })
    }

    /// How long one call may take in all, with the waiting for its turn and for the first connection: seconds or a
    /// [`Duration`]. Clearing many entries may take longer; they are out of sight within this time.
    ///
    /// # Default
    ///
    /// 120 ms.
    pub fn deadline(self, limit: impl IntoDuration) -> Self {
        self.with(|settings| {
            settings.deadline = positive(limit)?;
            Ok(())
        })
    }

    /// How many removals of single keys are kept while Redis can't be reached; beyond it, everything under the prefix
    /// is removed when Redis is back.
    ///
    /// # Default
    ///
    /// 10,000.
    pub fn removal_queue(self, keys: usize) -> Self {
        self.with(|settings| {
            settings.removal_queue = keys;
            Ok(())
        })
    }

    fn at(place: Place) -> Self {
        Self {
            place: Ok(place),
            #[cfg(feature = "tls")]
            certificates: None,
            settings: Ok(Settings::default()),
        }
    }

    /// Talks to one server as to a cluster, where keys lie on different nodes: for tests.
    #[doc(hidden)]
    pub fn spread(self) -> Self {
        self.with(|settings| {
            settings.spread = true;
            Ok(())
        })
    }

    /// Applies one setting; the first one that is refused is reported when the cache is opened.
    fn with(mut self, set: impl FnOnce(&mut Settings) -> Result<(), FmError>) -> Self {
        self.settings = self.settings.and_then(|mut settings| set(&mut settings).map(|()| settings));
        self
    }
}

impl FmBackend for FmRedisBackend {
    fn open(self, prefix: &Prefix) -> Result<Tier, FmError> {
        let place = self.place?;
        #[cfg(feature = "tls")]
        let place = place.with_certificates(self.certificates.as_ref())?;
        let topology = Topology::new(place)
            .map_err(|error| FmError::with_source(Kind::Config, "these Redis settings cannot work", error))?;
        let mut settings = self.settings?;
        settings.spread |= topology.is_spread();
        let slot = Slot::new(topology, settings, Names::new(prefix));
        Ok(Tier::Remote(Arc::new(RedisTier::new(slot))))
    }
}

impl fmt::Debug for FmRedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmRedisBackend").field("place", &self.place).field("settings", &self.settings).finish()
    }
}

/// One URL.
fn address(url: &str) -> Result<ConnectionInfo, FmError> {
    url.into_connection_info().map_err(|_| refused_url(url))
}

#[cfg(feature = "sentinel")]
fn sentinel_address(url: &str) -> Result<ConnectionInfo, FmError> {
    let info = address(url)?;
    let names_a_port = redis::parse_redis_url(url).is_some_and(|url| url.port().is_some());
    Ok(if names_a_port { info } else { place::moved_to_port(info, SENTINEL_PORT) })
}

fn positive(limit: impl IntoDuration) -> Result<Duration, FmError> {
    match limit.into_duration()? {
        Duration::ZERO => {
            Err(FmError::new(Kind::Config, "a timeout of zero lets no call succeed: give a positive length"))
        }
        limit => Ok(limit),
    }
}

fn refused_url(url: &str) -> FmError {
    let message = if !cfg!(feature = "tls") && (url.starts_with("rediss:") || url.starts_with("valkeys:")) {
        "a TLS connection to Redis needs the feature `tls` of memory-redis"
    } else {
        "this is not the URL of a Redis: write redis://[user:password@]host[:port][/database], or rediss:// for TLS"
    };
    FmError::new(Kind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(backend: FmRedisBackend) -> Result<Tier, FmError> {
        backend.open(&Prefix::new("app").unwrap())
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        for url in ["http://host", "", "redis://", "redis://:secret@host:99999", "redis://:secret@host/database"] {
            let error = FmRedisBackend::connect(url).unwrap_err();
            assert!(error.is_config(), "{url}");
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
    }

    #[test]
    fn what_is_shown_holds_no_password() {
        let backend = FmRedisBackend::connect("redis://user:secret@localhost:7000/2").unwrap();
        let shown = format!("{backend:?}");
        assert!(shown.contains("localhost:7000") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn opening_does_no_io_and_needs_no_runtime() {
        assert!(open(FmRedisBackend::connect("redis://127.0.0.1:1").unwrap()).is_ok());
    }

    #[test]
    fn a_timeout_that_cannot_work_is_refused_on_opening() {
        let backend = || FmRedisBackend::connect("redis://127.0.0.1:1").unwrap();
        assert!(open(backend().response_timeout(0)).err().unwrap().is_config());
        assert!(open(backend().deadline(-1).payload_limit(5)).err().unwrap().is_config());
        assert!(open(backend().deadline(0.5)).is_ok());
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn a_cluster_is_found_by_one_url_at_least_and_has_no_databases() {
        assert!(FmRedisBackend::cluster([""; 0]).unwrap_err().is_config());
        assert!(FmRedisBackend::cluster(["redis://:secret@a", "redis://:secret@b/1"]).unwrap_err().is_config());
        let backend = FmRedisBackend::cluster(vec!["redis://:secret@a".to_owned(), "valkey://b:1".to_owned()]).unwrap();
        let shown = format!("{backend:?}");
        assert!(shown.contains("a:6379, b:1") && !shown.contains("secret"), "{shown}");
        assert!(open(backend.clone().node_connection("redis://host/1")).err().unwrap().is_config());
        assert!(open(backend.node_connection("redis://user:word@host")).is_ok());
    }

    #[cfg(feature = "sentinel")]
    #[test]
    fn sentinels_have_a_port_of_their_own_and_no_databases() {
        assert!(FmRedisBackend::sentinel("mymaster", [""; 0]).unwrap_err().is_config());
        let backend = FmRedisBackend::sentinel("mymaster", ["redis://:secret@a/2", "redis://b:1"]).unwrap();
        let shown = format!("{backend:?}");
        assert!(shown.contains("mymaster of a:26379, b:1") && !shown.contains("secret"), "{shown}");
        let Ok(Place::Sentinel { sentinels, node, .. }) = &backend.place else { panic!("{shown}") };
        assert_eq!((sentinels[0].redis_settings().db(), node.redis_settings().db()), (0, 2));
        assert_eq!(
            (sentinels[0].redis_settings().password(), node.redis_settings().password()),
            (Some("secret"), None)
        );
        assert!(open(backend.node_connection("nonsense")).err().unwrap().is_config());
    }

    #[cfg(any(feature = "sentinel", feature = "cluster"))]
    #[test]
    fn a_single_server_has_no_other_nodes() {
        let backend = FmRedisBackend::connect("redis://a").unwrap().node_connection("redis://b");
        assert!(open(backend).err().unwrap().is_config());
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn a_tls_url_without_the_feature_says_which_one_is_missing() {
        let error = FmRedisBackend::connect("rediss://localhost").unwrap_err();
        assert!(error.to_string().contains("feature `tls`"));
    }
}
