//! Other attributes are applied once: documentation, lints, `cfg`, `deprecated`, `instrument` on either side.
#![deny(warnings)]
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use memory_core::memorize;
use tracing::{instrument, span};

static RUNS: AtomicU32 = AtomicU32::new(0);

#[memorize]
#[instrument(skip(name))]
async fn span_below(id: u64, name: String) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    id + name.len() as u64
}

#[tracing::instrument]
#[memorize]
async fn span_above(id: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    id
}

struct Service;

impl Service {
    #[memorize(skip(self))]
    #[instrument(skip_all)]
    pub async fn method(&self, id: u64) -> Result<u64, String> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        let id = Ok::<u64, String>(id)?;
        Ok(id)
    }
}

trait Find {
    async fn find(&self, id: u64) -> u64;
}

impl Find for Service {
    #[memorize(skip(self))]
    #[instrument(skip(self))]
    async fn find(&self, id: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        id
    }
}

/// Documented.
#[must_use]
#[inline]
#[memorize(expire = 60)]
#[deprecated(note = "for the test")]
#[allow(clippy::needless_pass_by_value)]
#[expect(unused_variables, reason = "the test needs an unmet lint")]
pub fn old(id: u64, unused: u8) -> u64 {
    id
}

#[memorize]
#[cfg(any())]
async fn gone(_: Missing) -> u64 {
    0
}

#[memorize(skip(extra, other))]
async fn parameters(id: u64, #[cfg(any())] extra: Missing, #[cfg(not(any()))] other: u64, #[allow(unused)] unused: u8) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    id + other
}

/// Counts spans by name.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<&'static str>>>);

impl tracing::Subscriber for Spans {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.0.lock().unwrap().push(span.metadata().name());
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    let name = || "ann".to_owned();
    assert_eq!((span_below(1, name()).await, span_below(1, name()).await), (4, 4));
    assert_eq!((span_above(1).await, span_above(1).await), (1, 1));
    assert_eq!((Service.method(1).await, Service.method(1).await), (Ok(1), Ok(1)));
    assert_eq!((Service.find(1).await, Service.find(1).await), (1, 1));
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 4);
    let mut ours = spans.0.lock().unwrap().clone();
    ours.retain(|name| ["span_below", "span_above", "method", "find"].contains(name));
    assert_eq!(ours, ["span_below", "span_above", "method", "find"], "memorize is outside: a hit has no span");

    #[allow(deprecated)]
    let _ = old(1, 2);
    assert_eq!((parameters(1, 2, 3).await, parameters(1, 3, 3).await), (3, 3));
    assert_eq!(RUNS.load(Ordering::Relaxed), 1);
}
