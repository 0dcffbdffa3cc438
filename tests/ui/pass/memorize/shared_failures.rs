//! A run that fails answers its waiters: with a clone, with ours around the original, or else they run themselves.
use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use memory_core::{FmError, memorize};

static RUNS: AtomicU32 = AtomicU32::new(0);

async fn failing() -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    "down".to_owned()
}

#[memorize]
async fn cloned(id: u64) -> Result<u64, String> {
    Err(format!("{}{id}", failing().await))
}

#[memorize]
async fn counted(id: u64) -> Result<u64, Arc<std::io::Error>> {
    let message = failing().await;
    if id > 9 { Ok(id) } else { Err(Arc::new(std::io::Error::other(message))) }
}

#[derive(Debug)]
enum AppError {
    Down(String),
    Cache(FmError),
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(message) => f.write_str(message),
            Self::Cache(error) => write!(f, "{error}: {}", error.source().map(ToString::to_string).unwrap_or_default()),
        }
    }
}

impl Error for AppError {}

impl From<FmError> for AppError {
    fn from(error: FmError) -> Self {
        Self::Cache(error)
    }
}

#[memorize]
async fn wrapped(id: u64) -> Result<u64, AppError> {
    let message = failing().await;
    if id > 9 { Ok(id) } else { Err(AppError::Down(message)) }
}

#[memorize]
async fn any(id: u64) -> anyhow::Result<u64> {
    anyhow::bail!("{}{id}", failing().await)
}

#[memorize]
async fn alone(id: u64) -> Result<u64, std::io::Error> {
    let message = failing().await;
    if id > 9 { Ok(id) } else { Err(std::io::Error::other(message)) }
}

fn ran() -> u32 {
    RUNS.swap(0, Ordering::Relaxed)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (a, b) = tokio::join!(cloned(1), cloned(1));
    assert_eq!((a, b, ran()), (Err("down1".to_owned()), Err("down1".to_owned()), 1));
    let (a, b) = tokio::join!(counted(1), counted(1));
    assert!(a.is_err() && b.is_err() && ran() == 1);
    let (a, b) = tokio::join!(wrapped(1), wrapped(1));
    assert!([a, b].into_iter().all(|answer| answer.unwrap_err().to_string().contains("down")));
    assert_eq!(ran(), 1);
    let (a, b) = tokio::join!(any(1), any(1));
    assert!([a, b].into_iter().all(|answer| format!("{:#}", answer.unwrap_err()).contains("down1")));
    assert_eq!(ran(), 1);
    let (a, b) = tokio::join!(alone(1), alone(1));
    assert!(a.is_err() && b.is_err());
    assert_eq!(ran(), 2, "an error that can't be shared stays with its run");
    let (a, b) = tokio::join!(alone(10), alone(10));
    assert_eq!((a.unwrap(), b.unwrap(), ran()), (10, 10, 1));
}
