//! `--once`: makes the calls, prints what they cost as a table, and checks it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use axum::extract::{Path, State};
use futures::future::try_join_all;
use memory_core::{FmCacheManager, FmFunctionStats, FmResilientClient};
use tokio::{net::TcpListener, time::Instant};

use super::{App, User, exchange_rate, get_user, router, upstream::Upstream};

const HITS: usize = 100;
/// How many times faster than the first call the median hit must be.
const FASTER: u32 = 100;

pub(crate) async fn run(app: &App, upstream: &Upstream) -> Result<()> {
    let lines = in_process(app, upstream).await?;
    print_table(&lines);
    over_http(app).await?;
    all_at_once(app, upstream).await?;
    for line in &lines {
        line.check()?;
    }
    println!("\nIn process, a hit was at least {FASTER} times faster than the first call.");
    Ok(())
}

/// What one call did and cost.
struct Line {
    call: &'static str,
    counts: FmFunctionStats,
    requests: u64,
    first: Duration,
    median_hit: Duration,
}

impl Line {
    fn retries(&self) -> u64 {
        self.requests - self.counts.runs
    }

    fn check(&self) -> Result<()> {
        let Self { call, counts, first, median_hit, .. } = self;
        ensure!((counts.hits, counts.misses, counts.runs) == (HITS as u64, 1, 1), "{call}: {counts:?}");
        ensure!(self.retries() == 2, "{call}: {} retries instead of 2", self.retries());
        ensure!(*median_hit * FASTER <= *first, "{call}: {median_hit:?} for a hit, {first:?} for the first call");
        Ok(())
    }
}

async fn in_process(app: &App, upstream: &Upstream) -> Result<[Line; 2]> {
    let (first, median_hit) = timed(async || Ok(get_user(State(app.clone()), Path(7)).await?)).await?;
    let requests = upstream.requests.of("users/7");
    let user = Line { call: "get_user(7)", counts: counts("get_user")?, requests, first, median_hit };

    let (first, median_hit) = timed(async || exchange_rate(app.rates, "EUR".to_owned()).await).await?;
    let requests = upstream.requests.of("rates/EUR");
    let rate = Line { call: "exchange_rate(EUR)", counts: counts("exchange_rate")?, requests, first, median_hit };
    Ok([user, rate])
}

/// How long the first call takes, and the median of the next ones.
async fn timed<T>(call: impl AsyncFn() -> Result<T>) -> Result<(Duration, Duration)> {
    let began = Instant::now();
    call().await?;
    let first = began.elapsed();
    let mut hits = Vec::with_capacity(HITS);
    for _ in 0..HITS {
        let began = Instant::now();
        call().await?;
        hits.push(began.elapsed());
    }
    hits.sort_unstable();
    Ok((first, hits[HITS / 2]))
}

/// What the cache has counted for one function; its name is its path.
fn counts(function: &str) -> Result<FmFunctionStats> {
    let mut functions = FmCacheManager::stats().functions.into_iter();
    let found = functions.find(|(path, _)| path.rsplit("::").next() == Some(function));
    Ok(found.with_context(|| format!("no statistics of {function}"))?.1)
}

fn print_table(lines: &[Line]) {
    println!("{HITS} calls after the first one, in process:\n");
    println!(
        "  {:<20}{:>6}{:>8}{:>10}{:>9}{:>14}{:>14}{:>10}",
        "call", "hits", "misses", "requests", "retries", "first call", "median hit", "ratio"
    );
    for line in lines {
        println!(
            "  {:<20}{:>6}{:>8}{:>10}{:>9}{:>14}{:>14}{:>10.0}",
            line.call,
            line.counts.hits,
            line.counts.misses,
            line.requests,
            line.retries(),
            format!("{:.1?}", line.first),
            format!("{:.1?}", line.median_hit),
            line.first.as_secs_f64() / line.median_hit.as_secs_f64(),
        );
    }
}

/// The same handler through the router and a socket.
async fn over_http(app: &App) -> Result<()> {
    let service = FmResilientClient::new(format!("http://{}", start(app).await?))?;
    get_user::invalidate(7).await?;
    let began = Instant::now();
    let user: User = service.get_json("users/7").await?;
    let first = began.elapsed();
    let began = Instant::now();
    let _: User = service.get_json("users/7").await?;
    println!("\nOver HTTP, {} came in {first:.1?}, and again in {:.1?}.", user.name, began.elapsed());
    let missing = service.get_json::<User>("users/0").await.err().context("user 0 should be missing")?;
    ensure!(missing.status() == 404, "user 0: {missing}");
    println!("User 0 is a 404, which was neither repeated nor stored: {missing}.");
    Ok(())
}

async fn start(app: &App) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = router(app.clone());
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok(address)
}

/// Many callers of a key that is not stored make one run.
async fn all_at_once(app: &App, upstream: &Upstream) -> Result<()> {
    let before = counts("get_user")?;
    try_join_all((0..1000).map(|_| get_user(State(app.clone()), Path(8)))).await?;
    let after = counts("get_user")?;
    let (runs, joined) = (after.runs - before.runs, after.coalesced - before.coalesced);
    let requests = upstream.requests.of("users/8");
    println!("1000 callers of a new user at once: {runs} run, {joined} joined it, {requests} requests.");
    ensure!((runs, joined, requests) == (1, 999, 3));
    Ok(())
}
