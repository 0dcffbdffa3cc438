//! One connection (to a server, or to a whole cluster), from its birth to its condemnation.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use memory_core::FmError;
use redis::{Pipeline, Value, aio::MultiplexedConnection};
use tokio::sync::Notify;

#[cfg(feature = "cluster")]
use crate::cluster::Cluster;
use crate::{failure, real_time};

/// So many round trips in a row without an answer in time condemn a connection.
const PATIENCE: u32 = 10;

/// A connection and what is thought of it. Once condemned it is never used again; the supervisor makes another.
pub(crate) struct Link {
    wire: Wire,
    unanswered: AtomicU32,
    doom: OnceLock<FmError>,
    condemned: Notify,
    /// Whether a server that takes no writes is the wrong one.
    to_master: bool,
}

enum Wire {
    /// To one server.
    One(MultiplexedConnection),
    /// To the masters of a cluster.
    #[cfg(feature = "cluster")]
    Cluster {
        cluster: Arc<Cluster>,
        /// Whether slots are used that are set apart until removals are made up for.
        to_all: bool,
    },
}

impl Link {
    pub(crate) fn new(connection: MultiplexedConnection) -> Arc<Self> {
        Self::with(Wire::One(connection), false)
    }

    /// A connection to the master of several servers: it is given up when this one turns out to be none.
    #[cfg(feature = "sentinel")]
    pub(crate) fn to_master(connection: MultiplexedConnection) -> Arc<Self> {
        Self::with(Wire::One(connection), true)
    }

    /// The connections to the masters of a cluster.
    #[cfg(feature = "cluster")]
    pub(crate) fn to_cluster(cluster: Arc<Cluster>) -> Arc<Self> {
        Self::with(Wire::Cluster { cluster, to_all: false }, false)
    }

    /// The same, for making up for what was missed.
    #[cfg(feature = "cluster")]
    pub(crate) fn to_all_of(cluster: &Arc<Cluster>) -> Arc<Self> {
        Self::with(Wire::Cluster { cluster: Arc::clone(cluster), to_all: true }, false)
    }

    /// The cluster that it leads to, if it does.
    #[cfg(feature = "cluster")]
    pub(crate) fn cluster(&self) -> Option<&Arc<Cluster>> {
        match &self.wire {
            Wire::One(_) => None,
            Wire::Cluster { cluster, .. } => Some(cluster),
        }
    }

    fn with(wire: Wire, to_master: bool) -> Arc<Self> {
        Arc::new(Self {
            wire,
            unanswered: AtomicU32::new(0),
            doom: OnceLock::new(),
            condemned: Notify::new(),
            to_master,
        })
    }

    /// The connections to each of the servers that keep keys.
    ///
    /// # Errors
    ///
    /// One of them can't be reached.
    pub(crate) fn servers(self: &Arc<Self>) -> Result<Vec<Arc<Self>>, FmError> {
        match &self.wire {
            Wire::One(_) => Ok(vec![Arc::clone(self)]),
            #[cfg(feature = "cluster")]
            Wire::Cluster { cluster, .. } => cluster.view().links.iter().cloned().collect(),
        }
    }

    /// Where these are, in the same order; nothing where there is only one.
    pub(crate) fn masters(&self) -> Vec<String> {
        match &self.wire {
            Wire::One(_) => Vec::new(),
            #[cfg(feature = "cluster")]
            Wire::Cluster { cluster, .. } => cluster.view().shards.masters.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether the keys of one command must lie in one slot.
    pub(crate) fn is_spread(&self) -> bool {
        match &self.wire {
            Wire::One(_) => false,
            #[cfg(feature = "cluster")]
            Wire::Cluster { .. } => true,
        }
    }

    /// One round trip: sends the commands together and gives their answers in order, each of which may be an error
    /// of the server. May be dropped at any time.
    ///
    /// # Errors
    ///
    /// No answers: not in time, or the connection broke. The connection is condemned where it can't be trusted on.
    pub(crate) async fn ask(&self, commands: &Pipeline, limit: Duration) -> Result<Vec<Value>, FmError> {
        if let Some(doom) = self.doom() {
            return Err(doom);
        }
        match &self.wire {
            Wire::One(connection) => self.ask_one(connection.clone(), commands, limit).await,
            #[cfg(feature = "cluster")]
            Wire::Cluster { cluster, to_all } => cluster.ask(commands, limit, *to_all).await,
        }
    }

    async fn ask_one(
        &self,
        mut connection: MultiplexedConnection,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, FmError> {
        let round_trip = connection.send_packed_commands(commands, 0, commands.len());
        let answers = match real_time::within(limit, round_trip).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => return Err(self.broke(error)),
            Err(real_time::Elapsed) => return Err(self.was_slow(limit)),
        };
        self.unanswered.store(0, Ordering::Relaxed);
        self.check(commands, answers)
    }

    /// Gives the connection up, for this reason (the first one counts).
    pub(crate) fn condemn(&self, reason: FmError) {
        if self.doom.set(reason).is_ok() {
            self.condemned.notify_one();
        }
    }

    /// Why the connection was given up, if it was.
    pub(crate) fn doom(&self) -> Option<FmError> {
        self.doom.get().cloned()
    }

    /// Waits until the connection is given up. For the supervisor alone.
    pub(crate) async fn condemned(&self) -> FmError {
        loop {
            if let Some(doom) = self.doom() {
                return doom;
            }
            self.condemned.notified().await;
        }
    }

    /// Condemns the connection because an answer made no sense, and says so.
    pub(crate) fn out_of_step(&self) -> FmError {
        let reason = failure::out_of_step();
        self.condemn(reason.clone());
        reason
    }

    /// Counts a call that got no answer within `limit`.
    pub(crate) fn was_slow(&self, limit: Duration) -> FmError {
        let error = failure::too_slow(limit);
        #[cfg(feature = "cluster")]
        if self.cluster().is_some() {
            // Each of its connections counts for itself.
            return error;
        }
        if self.unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= PATIENCE {
            self.condemn(error.clone());
        }
        error
    }

    fn broke(&self, error: redis::RedisError) -> FmError {
        let condemned = failure::condemns(&error);
        let error = failure::driver(error);
        if condemned {
            self.condemn(error.clone());
        }
        error
    }

    fn check(&self, commands: &Pipeline, answers: Vec<Value>) -> Result<Vec<Value>, FmError> {
        if answers.len() != commands.len() {
            return Err(self.out_of_step());
        }
        let ends_it =
            |answer: &&Value| failure::refuses_us(answer) || (self.to_master && failure::refuses_writes(answer));
        if let Some(Value::ServerError(error)) = answers.iter().find(ends_it) {
            let reason = failure::refused(error);
            self.condemn(reason.clone());
            return Err(reason);
        }
        Ok(answers)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("doom", &self.doom).finish_non_exhaustive()
    }
}
