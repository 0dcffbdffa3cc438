//! What `#[memorize]` promises at run time, as a user would check it.

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod batch;
mod companions;
mod context;
mod failures;
mod handlers;
mod hostile;
mod invalidation;
mod judged;
mod kept;
mod keys;
mod kinds;
mod on_redis;
mod recursion;
mod runs;
mod stale;
mod tags;
mod timeouts;

use std::{
    future::Future,
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use memory_core::{FmCache, FmCacheManager, FmMemoryBackend};
use tracing::subscriber::DefaultGuard;

/// A cache of the test's own.
fn cache() -> FmCache {
    FmCacheManager::builder(FmMemoryBackend::new()).prefix("test").build().unwrap()
}

/// Awaits `test` with a cache of its own, under the name of the global one.
async fn alone<F: Future>(test: F) -> F::Output {
    cache().scope(test).await
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Counts the runs of a body; an argument that is not in the key.
#[derive(Clone, Debug, Default)]
struct Runs(Arc<AtomicU32>);

impl Runs {
    /// One more; how many that makes.
    fn begin(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How many there were since the last question.
    fn take(&self) -> u32 {
        self.0.swap(0, Ordering::SeqCst)
    }
}

/// What this thread logs while it lives.
struct Logs {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logs {
    fn capture() -> Self {
        let text = Text::default();
        let writer = text.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// The lines of this level that contain `what`.
    fn lines(&self, level: &str, what: &str) -> Vec<String> {
        let text = String::from_utf8(self.text.0.lock().unwrap().clone()).unwrap();
        let level = format!(" {level} ");
        text.lines().filter(|line| line.contains(&level) && line.contains(what)).map(str::to_owned).collect()
    }
}
