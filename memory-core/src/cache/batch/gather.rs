//! Requests of many calls to the shared store, made in one round trip.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    backend::{BoxFuture, Fetched, Group, RemoteKey, RemoteTier, RemoteWrite, Removed, Watcher, Written},
    error::{FmError, Kind},
    sync::{Mutex, lock},
};

/// The shared store for calls that are awaited [`together`]: their reads and writes wait until none of the calls gets any further,
/// then go out as one read and one write.
pub(crate) struct Gathering {
    remote: Arc<dyn RemoteTier>,
    reads: Queue<RemoteKey, Fetched>,
    writes: Queue<RemoteWrite, Written>,
}

/// Requests that wait to be made, with whom to tell the answers.
struct Queue<Q, A>(Mutex<Vec<Asked<Q, A>>>);

struct Asked<Q, A> {
    requests: Vec<Q>,
    whom: oneshot::Sender<Answers<A>>,
}

type Answers<A> = Result<Vec<A>, FmError>;

impl Gathering {
    pub(crate) fn new(remote: Arc<dyn RemoteTier>) -> Self {
        Self { remote, reads: Queue(Mutex::default()), writes: Queue(Mutex::default()) }
    }

    /// What the calls have asked for since the last time.
    fn requests(&self) -> impl Iterator<Item = BoxFuture<'static, ()>> {
        let read = self.reads.take().map(|asked| -> BoxFuture<'static, ()> {
            let remote = self.remote.clone();
            Box::pin(async move {
                let (keys, whom) = gathered(asked);
                whom.tell(remote.fetch(&keys).await);
            })
        });
        let write = self.writes.take().map(|asked| -> BoxFuture<'static, ()> {
            let remote = self.remote.clone();
            Box::pin(async move {
                let (writes, whom) = gathered(asked);
                whom.tell(remote.store(&writes).await);
            })
        });
        read.into_iter().chain(write)
    }
}

impl<Q: Clone, A> Queue<Q, A> {
    async fn ask(&self, requests: &[Q]) -> Answers<A> {
        let (whom, answers) = oneshot::channel();
        lock(&self.0).push(Asked { requests: requests.to_vec(), whom });
        answers.await.unwrap_or_else(|_| Err(FmError::new(Kind::Backend, "a request of several calls was given up")))
    }

    fn take(&self) -> Option<Vec<Asked<Q, A>>> {
        let mut asked = std::mem::take(&mut *lock(&self.0));
        asked.retain(|asked| !asked.whom.is_closed());
        (!asked.is_empty()).then_some(asked)
    }
}

/// Whom to tell which part of the answers.
struct Parts<A>(Vec<(usize, oneshot::Sender<Answers<A>>)>);

fn gathered<Q, A>(asked: Vec<Asked<Q, A>>) -> (Vec<Q>, Parts<A>) {
    let mut requests = Vec::with_capacity(asked.len());
    let parts = asked.into_iter().map(|Asked { requests: mut part, whom }| {
        let length = part.len();
        requests.append(&mut part);
        (length, whom)
    });
    let parts = parts.collect();
    (requests, Parts(parts))
}

impl<A> Parts<A> {
    fn tell(self, answers: Answers<A>) {
        let expected: usize = self.0.iter().map(|(length, _)| length).sum();
        // Where the number is wrong nobody can say whose is which: all get none, which is a wrong number to each.
        let answers = answers.map(|answers| if answers.len() == expected { answers } else { Vec::new() });
        match answers {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for (length, whom) in self.0 {
                    let _ = whom.send(Ok(answers.by_ref().take(length).collect()));
                }
            }
            Err(error) => self.0.into_iter().for_each(|(_, whom)| drop(whom.send(Err(error.clone())))),
        }
    }
}

impl RemoteTier for Gathering {
    fn now_ms(&self) -> u64 {
        self.remote.now_ms()
    }

    fn fetch<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Result<Vec<Fetched>, FmError>> {
        Box::pin(self.reads.ask(keys))
    }

    fn store<'a>(&'a self, writes: &'a [RemoteWrite]) -> BoxFuture<'a, Result<Vec<Written>, FmError>> {
        Box::pin(self.writes.ask(writes))
    }

    fn remove<'a>(&'a self, keys: &'a [RemoteKey]) -> BoxFuture<'a, Removed> {
        self.remote.remove(keys)
    }

    fn clear<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Removed> {
        self.remote.clear(group)
    }

    fn touch<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<(), FmError>> {
        self.remote.touch(key, life)
    }

    fn lease<'a>(&'a self, key: &'a RemoteKey, life: Duration) -> BoxFuture<'a, Result<bool, FmError>> {
        self.remote.lease(key, life)
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.remote.watch(watcher);
    }

    fn distrust(&self) {
        self.remote.distrust();
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.remote.close()
    }
}

/// Awaits all calls side by side; their outputs are in the order of the calls. What they ask `gathering` for goes out together.
pub(super) async fn together<F: Future>(
    gathering: Option<&Gathering>,
    calls: impl Iterator<Item = F>,
) -> Vec<F::Output> {
    let mut calls: Vec<Side<F>> = calls.map(|call| Side::Under(Box::pin(call))).collect();
    let mut requests: Vec<BoxFuture<'static, ()>> = Vec::new();
    poll_fn(|task| {
        loop {
            calls.iter_mut().for_each(|call| call.poll(task));
            if calls.iter().all(Side::is_over) {
                return Poll::Ready(());
            }
            requests.extend(gathering.into_iter().flat_map(Gathering::requests));
            let under_way = requests.len();
            requests.retain_mut(|request| request.as_mut().poll(task).is_pending());
            if requests.len() == under_way {
                return Poll::Pending;
            }
        }
    })
    .await;
    calls.into_iter().filter_map(Side::output).collect()
}

/// One of several calls side by side.
enum Side<F: Future> {
    Under(Pin<Box<F>>),
    Over(F::Output),
}

impl<F: Future> Side<F> {
    fn poll(&mut self, task: &mut Context<'_>) {
        if let Self::Under(call) = self
            && let Poll::Ready(output) = call.as_mut().poll(task)
        {
            *self = Self::Over(output);
        }
    }

    fn is_over(&self) -> bool {
        matches!(self, Self::Over(_))
    }

    fn output(self) -> Option<F::Output> {
        match self {
            Self::Under(_) => None,
            Self::Over(output) => Some(output),
        }
    }
}
