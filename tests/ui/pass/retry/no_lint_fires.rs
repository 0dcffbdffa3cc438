//! An expansion is clean under the strictest lints.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery, rust_2018_idioms, unused_qualifications)]

use std::{fmt::Display, io, time::Duration};

use memory_core::{FmError, RetryError, Retryable, exponential_backoff, retry, retry_on_error, stop_after_retries};

/// The error of this program.
#[derive(Debug, thiserror::Error, Retryable)]
enum AppError {
    /// Input or output.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] FmError),
    /// Exhausted.
    #[error("exhausted")]
    Retry(#[from] RetryError),
}

/// A body of one expression, without arguments.
#[retry]
async fn brief() -> Result<u64, AppError> {
    Ok(1)
}

/// The same on a thread.
#[retry]
fn brief_blocking() -> Result<u64, AppError> {
    Ok(1)
}

/// Everything at once.
#[retry(
    stop = stop_after_retries(attempts),
    wait = exponential_backoff(min = 0, max = 0.001),
    retry = retry_on_error(|error| matches!(error, AppError::Io(_))),
    attempt_timeout = 2,
    deadline = Duration::from_secs(30),
    before_sleep = |_, _, _| {},
    jitter = "decorrelated",
    reraise = false
)]
async fn call<'a>(
    attempts: u32,
    mut name: String,
    (a, _b): (u8, u8),
    _unused: u8,
    list: &mut Vec<u8>,
    text: &'a str,
) -> Result<impl Display + use<'a>, AppError> {
    const LIMIT: usize = 2;
    name.push('!');
    list.push(a);
    if list.len() < LIMIT || name.is_empty() {
        return Err(io::Error::from(io::ErrorKind::TimedOut).into());
    }
    tokio::task::yield_now().await;
    Ok(text)
}

/// Blocking.
#[retry(deadline = 5)]
fn blocking(value: u8) -> Result<u8, AppError> {
    Ok(value)
}

/// By default.
#[retry]
async fn short() -> Result<u8, AppError> {
    tokio::task::yield_now().await;
    Ok(1)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let outcome = call(3, String::new(), (1, 2), 0, &mut Vec::new(), "text").await;
    assert_eq!(outcome.map(|text| text.to_string()).ok().as_deref(), Some("text"));
    assert!(matches!(blocking(1), Ok(1)));
    assert!(matches!(short().await, Ok(1)));
    assert!(matches!((brief().await, brief_blocking()), (Ok(1), Ok(1))));
}
