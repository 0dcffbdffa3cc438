//! A memorized function may call itself, directly or through another one.
use std::sync::atomic::{AtomicU32, Ordering};

use memory_core::memorize;

static RUNS: AtomicU32 = AtomicU32::new(0);

#[memorize]
async fn fibonacci(n: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    if n < 2 { n } else { fibonacci(n - 1).await + fibonacci(n - 2).await }
}

#[memorize]
async fn is_even(n: u64) -> bool {
    if n == 0 { true } else { is_odd(n - 1).await }
}

#[memorize(in_place)]
async fn is_odd(n: u64) -> bool {
    if n == 0 { false } else { is_even(n - 1).await }
}

#[memorize(in_place)]
async fn factorial(n: u64) -> u64 {
    if n == 0 { 1 } else { n * factorial(n - 1).await }
}

#[memorize]
fn ackermann(m: u64, n: u64) -> u64 {
    match (m, n) {
        (0, n) => n + 1,
        (m, 0) => ackermann(m - 1, 1),
        (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
    }
}

struct Tree;

impl Tree {
    #[memorize(skip(self))]
    pub async fn depth(&self, n: u64) -> u64 {
        if n == 0 { 0 } else { 1 + self.depth(n - 1).await }
    }

    #[memorize(skip(self))]
    async fn private_depth(&self, n: u64) -> u64 {
        if n == 0 { 0 } else { 1 + self.private_depth(n - 1).await }
    }
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::main]
async fn main() {
    assert_eq!(tokio::spawn(fibonacci(30)).await.unwrap(), 832_040);
    assert_eq!(RUNS.load(Ordering::Relaxed), 31);
    assert!(is_send(is_even(10)).await);
    assert!(!is_send(is_odd(10)).await);
    assert_eq!(is_send(factorial(10)).await, 3_628_800);
    assert_eq!(ackermann(2, 3), 9);
    assert_eq!((Tree.depth(5).await, Tree.private_depth(5).await), (5, 5));
}
