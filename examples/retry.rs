//! Retries: the waits of a policy, an attribute on a function, and the same by hand.
//!
//! Runs alone: `cargo run --example retry`. The upstream is a function that fails on purpose, and the waits are
//! milliseconds, so that it ends at once.

use std::{
    io,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use memory_core::{
    default_retry, exponential_backoff, fixed, full_jitter, incrementing, is_retryable_error, retry, retry_on_error,
    stop_after_delay, stop_after_retries,
};

/// Fails twice, then answers.
static UPSTREAM: AtomicU32 = AtomicU32::new(0);

fn upstream() -> io::Result<&'static str> {
    match UPSTREAM.fetch_add(1, Ordering::Relaxed) % 3 {
        2 => Ok("hello"),
        _ => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

#[default_retry(wait_min = 0.01, wait_max = 0.05, multiplier = 0.01, before_sleep = told)]
async fn by_attribute() -> io::Result<&'static str> {
    upstream()
}

#[retry(
    stop = stop_after_retries(5) | stop_after_delay(60),
    wait = exponential_backoff(multiplier = 0.005, max = 0.1) + fixed(0.001),
    retry = retry_on_error(|error| error.kind() == io::ErrorKind::ConnectionReset),
    before_sleep = told,
)]
async fn by_blocks() -> io::Result<&'static str> {
    upstream()
}

fn told(attempt: u32, error: &io::Error, wait: Duration) {
    println!("    attempt {attempt} failed ({error}), waiting {wait:?}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    println!("The first waits of some policies, in seconds:\n");
    for (name, wait) in [
        ("default_retry", exponential_backoff().min(2).max(10)),
        ("exponential_backoff().multiplier(2).max(30)", exponential_backoff().multiplier(2).max(30)),
        ("incrementing(1, 2, 8)", incrementing(1, 2, 8)),
        ("full_jitter().max(30)", full_jitter().max(30)),
    ] {
        let waits: Vec<String> = wait.iter().take(6).map(|wait| format!("{:6.2}", wait.as_secs_f64())).collect();
        println!("  {name:44} {}", waits.join(" "));
    }

    let began = Instant::now();
    println!("\nBy #[default_retry]:");
    println!("  {} after {:.0?}", by_attribute().await?, began.elapsed());

    let began = Instant::now();
    println!("By #[retry] and blocks:");
    println!("  {} after {:.0?}", by_blocks().await?, began.elapsed());

    println!("By hand, as soon as possible:");
    let answer = retry().stop(stop_after_retries(3)).when(is_retryable_error).run(|| async { upstream() }).await?;
    println!("  {answer}");
    Ok(())
}
