//! Many tasks, one cold key.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use cached::macros::cached;
use memory_core::memorize;
use quick_cache::sync::Cache as QuickCache;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    clock::Deadline,
    report::{Goal, Row},
    rounds::{Contender, Effort, OURS, Samples, take_turns},
    support::{LIFE, ROOM, init, moka, runtime},
};

const BODY: Duration = Duration::from_millis(50);
const FAILING_BODY: Duration = Duration::from_millis(10);

pub(crate) fn of_10k(effort: Effort) -> Vec<Row> {
    init(ROOM);
    let moka: &'static moka::future::Cache<u64, u64> = Box::leak(Box::new(moka(ROOM)));
    let contenders = vec![
        stampede(OURS, 10_000, slow),
        // The body once, and ten thousand tasks that do nothing else.
        with_body("body", 10_000),
        stampede("cached", 10_000, slow_by_cached),
        stampede("moka", 10_000, move |key| moka.try_get_with(key, async move { Ok::<_, String>(body(key).await) })),
    ];
    let samples = milliseconds(take_turns(contenders, effort.of_experiments()));
    let about = "10,000 tasks, one cold key, a body of 50 ms";
    let goals = vec![Goal::at_most(1.1, &["body"])];
    let mut rows = vec![Row::new("stampede_10k", about, "ms", &samples, goals)];
    rows.push(runs("stampede_10k_runs", &samples));
    rows
}

pub(crate) fn failing(effort: Effort) -> Vec<Row> {
    init(ROOM);
    let moka: &'static moka::future::Cache<u64, u64> = Box::leak(Box::new(moka(ROOM)));
    let quick: &'static QuickCache<u64, (u64, Deadline)> = Box::leak(Box::new(QuickCache::new(ROOM)));
    let contenders = vec![
        stampede(OURS, 100, failing_ours),
        Contender::new("body", {
            let runtime = runtime();
            move |times| (0..times).for_each(|_| drop(black_box(runtime.block_on(failing_body(1)))))
        }),
        stampede("moka", 100, move |key| moka.try_get_with(key, failing_body(key))),
        stampede("quick_cache", 100, move |key| async move {
            let body = async { Ok::<_, String>((failing_body(key).await?, Deadline::after(LIFE))) };
            quick.get_or_insert_async(&key, body).await
        }),
    ];
    let samples = milliseconds(take_turns(contenders, effort.of_experiments()));
    let about = "100 tasks, one cold key, a body that fails after 10 ms";
    let mut rows = vec![Row::new("stampede_failing", about, "ms", &samples, vec![Goal::at_most(1.3, &["body"])])];
    rows.push(runs("stampede_failing_runs", &samples));
    rows
}

/// Bodies run by ours, and stampedes of ours.
static RUNS: AtomicU64 = AtomicU64::new(0);
static STAMPEDES: AtomicU64 = AtomicU64::new(0);

fn runs(name: &str, _: &[Samples]) -> Row {
    let runs = RUNS.load(Relaxed) as f64 / STAMPEDES.load(Relaxed) as f64;
    Row::new(name, "bodies run for one stampede", "runs", &[Samples::new(OURS, vec![runs])], Vec::new())
}

fn milliseconds(samples: Vec<Samples>) -> Vec<Samples> {
    samples.into_iter().map(|samples| samples.map(|nanoseconds| nanoseconds / 1e6)).collect()
}

#[memorize(expire = 60)]
async fn slow(key: u64) -> u64 {
    RUNS.fetch_add(1, Relaxed);
    body(key).await
}

#[memorize(expire = 60)]
async fn failing_ours(key: u64) -> Result<u64, String> {
    RUNS.fetch_add(1, Relaxed);
    failing_body(key).await
}

#[cached(ttl_secs = 60, max_size = 100_000, sync_writes = "by_key")]
async fn slow_by_cached(key: u64) -> u64 {
    body(key).await
}

async fn body(key: u64) -> u64 {
    sleep(BODY).await;
    key
}

async fn failing_body(_: u64) -> Result<u64, String> {
    sleep(FAILING_BODY).await;
    Err("it failed".to_owned())
}

/// So many tasks ask for one new key.
fn stampede<F>(name: &'static str, tasks: usize, call: impl Fn(u64) -> F + Copy + 'static) -> Contender
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let runtime = runtime();
    let mut key = 0;
    Contender::new(name, move |times| {
        for _ in 0..times {
            key += 1;
            if name == OURS {
                STAMPEDES.fetch_add(1, Relaxed);
            }
            runtime.block_on(async {
                let mut all: JoinSet<_> = (0..tasks).map(|_| call(key)).collect();
                while let Some(answer) = all.join_next().await {
                    black_box(answer.is_ok());
                }
            });
        }
    })
}

fn with_body(name: &'static str, tasks: usize) -> Contender {
    let runtime = runtime();
    Contender::new(name, move |times| {
        for _ in 0..times {
            runtime.block_on(async {
                let mut all: JoinSet<u64> = (0..tasks as u64).map(|key| async move { key }).collect();
                while let Some(answer) = all.join_next().await {
                    black_box(answer.is_ok());
                }
                black_box(body(1).await);
            });
        }
    })
}
