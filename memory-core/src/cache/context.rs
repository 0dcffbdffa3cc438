//! What a call inherits from the task it is made in.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context as Task, Poll},
};

use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
#[cfg(feature = "retry")]
use tokio::time::Instant;

use super::{Exchange, FmCache, report::Report};
use crate::flight::RunId;
#[cfg(feature = "retry")]
use crate::retry::{Around, Nest};

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
    /// The retry in whose attempt we are: where this is taken along, or entered. What is in force is known to [`Around`].
    #[cfg(feature = "retry")]
    pub(crate) retry: Option<Nest>,
    /// When what is under way here has to end.
    #[cfg(feature = "retry")]
    pub(crate) deadline: Option<Instant>,
}

impl Context {
    /// The surroundings here and now.
    pub(crate) fn current() -> Self {
        let context: Self = CONTEXT.try_with(Clone::clone).unwrap_or_default();
        #[cfg(feature = "retry")]
        let context = Self { retry: Around::here(), ..context };
        context
    }

    /// The same for work that nobody here waits for.
    pub(crate) fn behind() -> Self {
        Self { cache: Self::scoped_cache(), ..Self::default() }
    }

    /// The same for work that others than the caller wait for as well: they have deadlines of their own.
    pub(crate) fn shared(self) -> Self {
        Self {
            #[cfg(feature = "retry")]
            deadline: None,
            ..self
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
    #[cfg_attr(not(debug_assertions), inline(always))]
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

    /// When what is under way here has to end.
    #[cfg(feature = "retry")]
    pub(crate) fn deadline() -> Option<Instant> {
        CONTEXT.try_with(|context| context.deadline).ok().flatten()
    }

    /// Runs `future` in these surroundings.
    pub(crate) fn scope<F: Future>(mut self, future: F) -> Surrounded<F> {
        self.announce();
        Surrounded { around: self.take_around(), future: CONTEXT.scope(self, future) }
    }

    /// Runs `work` in these surroundings.
    pub(crate) fn sync_scope<R>(mut self, work: impl FnOnce() -> R) -> R {
        self.announce();
        let mut around = self.take_around();
        around.enter(|| CONTEXT.sync_scope(self, work))
    }

    #[cfg(feature = "retry")]
    fn take_around(&mut self) -> Around {
        self.retry.take().map_or(Around::Nothing, Around::Named)
    }

    #[cfg(not(feature = "retry"))]
    fn take_around(&mut self) -> Around {
        Around::Nothing
    }

    fn announce(&self) {
        if self.cache.is_some() && !SCOPED.load(Ordering::Relaxed) {
            SCOPED.store(true, Ordering::Relaxed);
        }
    }
}

pin_project! {
    /// A future that runs in surroundings of its own.
    pub(crate) struct Surrounded<F> {
        around: Around,
        #[pin]
        future: TaskLocalFuture<Context, F>,
    }
}

impl<F: Future> Future for Surrounded<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.around.enter(|| this.future.poll(task))
    }
}

/// Without retries there is none around.
#[cfg(not(feature = "retry"))]
enum Around {
    Nothing,
}

#[cfg(not(feature = "retry"))]
impl Around {
    fn enter<R>(&mut self, work: impl FnOnce() -> R) -> R {
        work()
    }
}
