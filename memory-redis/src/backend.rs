//! `FmRedisBackend`: where Redis is, and what may be set about it.

use std::{fmt, sync::Arc, time::Duration};

use memory_core::{
    FmError, IntoDuration,
    backend::{FmBackend, Kind, Prefix, Tier},
};
use redis::{Client, ConnectionInfo, IntoConnectionInfo};

use crate::{names::Names, settings::Settings, slot::Slot, tier::RedisTier, topology::Topology};

/// Keeps a cache in Redis, shared between processes.
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
    info: ConnectionInfo,
    settings: Result<Settings, FmError>,
}

impl FmRedisBackend {
    /// A Redis by its URL: `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS (with the feature
    /// `tls`), `redis+unix:///path` for a socket. Does no I/O.
    ///
    /// # Errors
    ///
    /// A URL that is none of these; the message does not repeat it, since it may hold a password.
    pub fn connect(url: impl AsRef<str>) -> Result<Self, FmError> {
        let info = url.as_ref().into_connection_info().map_err(|_| refused_url(url.as_ref()))?;
        Ok(Self { info, settings: Ok(Settings::default()) })
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
        Self { info: client.get_connection_info().clone(), settings: Ok(Settings::default()) }
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
        let topology = Topology::standalone(self.info)
            .map_err(|error| FmError::with_source(Kind::Config, "these Redis settings cannot work", error))?;
        let slot = Slot::new(topology, self.settings?, Names::new(prefix));
        Ok(Tier::Remote(Arc::new(RedisTier::new(slot))))
    }
}

impl fmt::Debug for FmRedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FmRedisBackend")
            .field("address", &self.info.addr().to_string())
            .field("settings", &self.settings)
            .finish()
    }
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

    #[cfg(not(feature = "tls"))]
    #[test]
    fn a_tls_url_without_the_feature_says_which_one_is_missing() {
        let error = FmRedisBackend::connect("rediss://localhost").unwrap_err();
        assert!(error.to_string().contains("feature `tls`"));
    }
}
