//! What a call inherits from the task it is made in.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::task::futures::TaskLocalFuture;
#[cfg(feature = "retry")]
use tokio::time::Instant;

use super::{Exchange, FmCache, report::Report};
use crate::flight::RunId;
#[cfg(feature = "retry")]
use crate::retry::Nest;

tokio::task_local! {
    static CONTEXT: Context;
}

/// Whether any cache was ever scoped: until then no hit looks for one. Whoever is in a scope has seen it set: the scope is entered
/// after, in the same task.
static SCOPED: AtomicBool = AtomicBool::new(false);

/// The task-local surroundings of a call: read once, and entered again in every task that the engine spawns.
#[derive(Clone, Default)]
pub(crate) struct Context {
    /// The cache that `FmCache::scope` made the global one.
    pub(crate) cache: Option<FmCache>,
    /// The run in whose body we are.
    pub(crate) run: Option<RunId>,
    /// Where calls are noted down, if somebody observes them.
    pub(crate) report: Option<Report>,
    /// The HTTP request that is being answered, until a call has taken that on.
    pub(crate) exchange: Option<Exchange>,
    /// The retry in whose attempt we are.
    #[cfg(feature = "retry")]
    pub(crate) retry: Option<Nest>,
    /// When what is under way here has to end.
    #[cfg(feature = "retry")]
    pub(crate) deadline: Option<Instant>,
}

impl Context {
    /// The surroundings here and now.
    pub(crate) fn current() -> Self {
        CONTEXT.try_with(Clone::clone).unwrap_or_default()
    }

    /// The same for work that nobody here waits for.
    pub(crate) fn behind() -> Self {
        Self { cache: Self::scoped_cache(), ..Self::default() }
    }

    /// The same for work that others than the caller wait for as well: they have deadlines of their own.
    pub(crate) fn shared() -> Self {
        Self {
            #[cfg(feature = "retry")]
            deadline: None,
            ..Self::current()
        }
    }

    /// The run in whose body we are.
    pub(crate) fn current_run() -> Option<RunId> {
        CONTEXT.try_with(|context| context.run).ok().flatten()
    }

    /// The surroundings of the body of a call: what it calls answers no request.
    pub(crate) fn inside(run: Option<RunId>) -> Self {
        let current = Self::current();
        Self { run: run.or(current.run), exchange: None, ..current }
    }

    /// The HTTP request that a call here answers.
    pub(crate) fn exchange() -> Option<Exchange> {
        CONTEXT.try_with(|context| context.exchange.clone().filter(|_| context.run.is_none())).ok().flatten()
    }

    /// The scoped cache, where there is one.
    #[inline(always)]
    pub(crate) fn scoped_cache() -> Option<FmCache> {
        if SCOPED.load(Ordering::Relaxed) { Self::look_for_cache() } else { None }
    }

    fn look_for_cache() -> Option<FmCache> {
        CONTEXT.try_with(|context| context.cache.clone()).ok().flatten()
    }

    /// Where calls are noted down, if somebody observes them.
    pub(crate) fn report() -> Option<Report> {
        CONTEXT.try_with(|context| context.report.clone()).ok().flatten()
    }

    /// The retry in whose attempt we are, and when what is under way has to end.
    #[cfg(feature = "retry")]
    pub(crate) fn retry_around() -> (Option<Nest>, Option<Instant>) {
        CONTEXT.try_with(|context| (context.retry.clone(), context.deadline)).unwrap_or_default()
    }

    /// As [`scope`](Self::scope), where the type of the future needs a name.
    #[cfg(feature = "retry")]
    pub(crate) fn around<F: Future>(self, future: F) -> Surrounded<F> {
        CONTEXT.scope(self, future)
    }

    /// Runs `future` in these surroundings.
    pub(crate) fn scope<F: Future>(self, future: F) -> TaskLocalFuture<Self, F> {
        self.announce();
        CONTEXT.scope(self, future)
    }

    /// Runs `work` in these surroundings.
    pub(crate) fn sync_scope<R>(self, work: impl FnOnce() -> R) -> R {
        self.announce();
        CONTEXT.sync_scope(self, work)
    }

    fn announce(&self) {
        if self.cache.is_some() && !SCOPED.load(Ordering::Relaxed) {
            SCOPED.store(true, Ordering::Relaxed);
        }
    }
}

/// A future that runs in surroundings of its own.
#[cfg(feature = "retry")]
pub(crate) type Surrounded<F> = TaskLocalFuture<Context, F>;
