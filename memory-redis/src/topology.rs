//! How a connection is made: the one place that knows what kind of Redis this is.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, RedisResult,
    aio::{MultiplexedConnection, PubSub},
};

/// How long bytes may stay unacknowledged before the kernel gives the connection up. Bounds how late a write can
/// reach the server whose caller has long gone.
const USER_TIMEOUT: Duration = Duration::from_secs(2);

/// The Redis behind a store.
#[derive(Clone, Debug)]
pub(crate) enum Topology {
    /// One server.
    Standalone(Client),
}

impl Topology {
    /// One server, with the socket settings that the rest of this crate relies on.
    pub(crate) fn standalone(info: ConnectionInfo) -> RedisResult<Self> {
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        let tcp = {
            let wanted = tcp.user_timeout().map_or(USER_TIMEOUT, |given| given.min(USER_TIMEOUT));
            tcp.set_user_timeout(wanted)
        };
        Client::open(info.set_tcp_settings(tcp)).map(Self::Standalone)
    }

    /// Where it is, without credentials.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Standalone(client) => client.get_connection_info().addr().to_string(),
        }
    }

    /// Makes a connection that hears messages, and logs in. Sets no limit of its own.
    pub(crate) async fn dial_for_messages(&self) -> RedisResult<PubSub> {
        match self {
            Self::Standalone(client) => {
                choose_crypto();
                client.get_async_pubsub().await
            }
        }
    }

    /// Makes a connection and logs in. Sets no limit of its own.
    pub(crate) async fn dial(&self) -> RedisResult<MultiplexedConnection> {
        match self {
            Self::Standalone(client) => {
                choose_crypto();
                // Every limit is ours: the driver's can't be told from a dead connection, and don't hold when a
                // call waits for its turn.
                let unlimited = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
                client.get_multiplexed_async_connection_with_config(&unlimited).await
            }
        }
    }
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
