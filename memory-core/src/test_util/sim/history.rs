//! What happened, in order.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{backend::Group, sync::lock};

/// The events of one simulation. The place of an event is its moment: two events may share an instant, never a place.
pub(crate) struct History {
    events: Mutex<Vec<Event>>,
    began: Instant,
    numbers: AtomicU64,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    /// `None`: the world.
    pub(crate) process: Option<Process>,
    pub(crate) what: What,
}

/// One life of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Process {
    pub(crate) node: usize,
    pub(crate) life: u32,
}

/// A key, as its text in the store.
pub(crate) type Text = Arc<str>;

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A client begins an operation.
    Began { operation: u64, act: Act },
    /// It has its answer.
    Ended { operation: u64, answer: Answer },
    /// A body begins; it reads this version of the database.
    RunBegan { value: u64, key: Text, version: u64 },
    /// A body has ended.
    RunEnded { value: u64, failed: bool },
    /// A read of the store, or a write to it by a run, begins.
    FlightBegan { flight: u64, keys: Vec<Text> },
    /// Its caller knows the outcome, or has gone away.
    FlightEnded { flight: u64 },
    /// The store has missed a removal of this operation: it is queued.
    Missed { operation: u64 },
    /// The store has caught up on it.
    Replayed { operation: u64 },
    /// The subscription is there, and what was kept before it is no longer trusted.
    BusUp,
    /// The subscription is broken.
    BusDown,
    /// Something happens to a process or to the store.
    Fault(String),
    /// A process is no more.
    Crashed,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Compute(Text),
    Get(Text),
    /// By hand; the operation is also the number of the value.
    Set {
        key: Text,
        strict: bool,
    },
    Invalidate {
        target: Target,
        strict: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Key(Text),
    Group(Group),
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Value(u64),
    /// No value, or nothing to answer with.
    Done,
    /// The body failed.
    BodyFailed,
    /// The cache failed, and whether it said that it was the store.
    CacheFailed {
        backend: bool,
        error: String,
    },
    /// The client went away.
    GaveUp,
    /// It took too long.
    Hung,
}

impl Process {
    /// The next life of its node.
    pub(crate) fn reborn(self) -> Self {
        Self { life: self.life + 1, ..self }
    }
}

impl History {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { events: Mutex::new(Vec::new()), began: Instant::now(), numbers: AtomicU64::new(1) })
    }

    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn note(&self, process: Option<Process>, what: What) {
        let at = self.began.elapsed();
        lock(&self.events).push(Event { at, process, what });
    }

    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *lock(&self.events))
    }

    pub(crate) fn recorder(self: &Arc<Self>, process: Process) -> Recorder {
        Recorder { history: Arc::clone(self), process }
    }
}

/// What one process writes into the history.
#[derive(Clone)]
pub(crate) struct Recorder {
    history: Arc<History>,
    process: Process,
}

impl Recorder {
    pub(crate) fn note(&self, what: What) {
        self.history.note(Some(self.process), what);
    }

    pub(crate) fn number(&self) -> u64 {
        self.history.number()
    }

    pub(crate) fn flight(&self, keys: Vec<Text>) -> Flight {
        let flight = self.number();
        self.note(What::FlightBegan { flight, keys });
        Flight { recorder: self.clone(), flight }
    }
}

/// Notes its end when dropped.
pub(crate) struct Flight {
    recorder: Recorder,
    flight: u64,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.recorder.note(What::FlightEnded { flight: self.flight });
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} ms  ", self.at.as_secs_f64() * 1000.0)?;
        match self.process {
            Some(Process { node, life }) => write!(f, "{node}.{life}  ")?,
            None => write!(f, "     ")?,
        }
        write!(f, "{}", self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began { operation, act } => write!(f, "[{operation}] {act}"),
            Self::Ended { operation, answer } => write!(f, "[{operation}] … {answer}"),
            Self::RunBegan { value, key, version } => write!(f, "run #{value} of {key} reads version {version}"),
            Self::RunEnded { value, failed: false } => write!(f, "run #{value} ends"),
            Self::RunEnded { value, failed: true } => write!(f, "run #{value} fails"),
            Self::FlightBegan { flight, keys } => write!(f, "({flight}) asks the store about {}", keys.join(", ")),
            Self::FlightEnded { flight } => write!(f, "({flight}) … is done"),
            Self::Missed { operation } => write!(f, "[{operation}] was missed by the store: queued"),
            Self::Replayed { operation } => write!(f, "[{operation}] was replayed"),
            Self::BusUp => f.write_str("subscribed, and resynced"),
            Self::BusDown => f.write_str("the subscription is broken"),
            Self::Fault(fault) => write!(f, "! {fault}"),
            Self::Crashed => f.write_str("! crashes"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, strict) = match self {
            Self::Compute(key) => return write!(f, "compute {key}"),
            Self::Get(key) => return write!(f, "get {key}"),
            Self::Set { key, strict } => (format!("set {key}"), strict),
            Self::Invalidate { target, strict } => (format!("invalidate {target}"), strict),
        };
        write!(f, "{what}{}", if *strict { ", strict" } else { "" })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "{key}"),
            Self::Group(Group::All) => f.write_str("everything"),
            Self::Group(Group::Namespace(name)) => write!(f, "namespace {name}"),
            Self::Group(Group::Tag(tag)) => write!(f, "tag {tag}"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "value #{value}"),
            Self::Done => f.write_str("done"),
            Self::BodyFailed => f.write_str("the body's error"),
            Self::CacheFailed { error, .. } => write!(f, "the cache's error: {error}"),
            Self::GaveUp => f.write_str("the client has gone away"),
            Self::Hung => f.write_str("no answer: it hangs"),
        }
    }
}
