//! What a call inherits from the task it is made in.

use std::future::Future;

use super::{FmCache, report::Report};
use crate::flight::RunId;

tokio::task_local! {
    static CONTEXT: Context;
}

/// The task-local surroundings of a call: read once, and entered again in every task that the engine spawns.
#[derive(Clone, Default)]
pub(crate) struct Context {
    /// The cache that `FmCache::scope` made the global one.
    pub(crate) cache: Option<FmCache>,
    /// The run in whose body we are.
    pub(crate) run: Option<RunId>,
    /// Where calls are noted down, if somebody observes them.
    pub(crate) report: Option<Report>,
}

impl Context {
    /// The surroundings here and now.
    pub(crate) fn current() -> Self {
        CONTEXT.try_with(Clone::clone).unwrap_or_default()
    }

    /// The same for work that nobody here waits for.
    pub(crate) fn behind() -> Self {
        Self { run: None, report: None, ..Self::current() }
    }

    /// The run in whose body we are.
    pub(crate) fn current_run() -> Option<RunId> {
        CONTEXT.try_with(|context| context.run).ok().flatten()
    }

    /// The scoped cache, where there is one.
    pub(crate) fn scoped_cache() -> Option<FmCache> {
        CONTEXT.try_with(|context| context.cache.clone()).ok().flatten()
    }

    /// Where calls are noted down, if somebody observes them.
    pub(crate) fn report() -> Option<Report> {
        CONTEXT.try_with(|context| context.report.clone()).ok().flatten()
    }

    /// Runs `future` in these surroundings.
    pub(crate) fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> + use<F> {
        CONTEXT.scope(self, future)
    }

    /// Runs `work` in these surroundings.
    pub(crate) fn sync_scope<R>(self, work: impl FnOnce() -> R) -> R {
        CONTEXT.sync_scope(self, work)
    }
}
