//! Plain async functions: one run per set of arguments, companions typed like the function.
use std::sync::atomic::{AtomicU32, Ordering};

use memory_core::memorize;

static RUNS: AtomicU32 = AtomicU32::new(0);

/// Doubles.
#[memorize(expire = 60)]
async fn double(x: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    x * 2
}

#[memorize]
async fn nothing() {
    RUNS.fetch_add(1, Ordering::Relaxed);
}

#[memorize()]
pub async fn text(name: &str, suffix: Option<&str>) -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    format!("{name}{}", suffix.unwrap_or_default())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!((double(2).await, double(2).await, double(3).await), (4, 4, 6));
    assert_eq!(RUNS.load(Ordering::Relaxed), 2);
    assert_eq!(double::peek(2).await.unwrap(), Some(4));
    assert!(double::invalidate(2).await.unwrap());
    assert!(!double::invalidate(2).await.unwrap());
    assert_eq!(double::peek(2).await.unwrap(), None);
    double::put(2, 5).await.unwrap();
    assert_eq!(double(2).await, 5);
    assert_eq!(double::refresh(2).await, 4);
    assert_eq!(double(2).await, 4);
    assert_eq!(RUNS.load(Ordering::Relaxed), 3);
    assert_eq!(double::uncached(2).await, 4);
    assert_eq!(RUNS.load(Ordering::Relaxed), 4);
    assert!(double::key(2).to_string().ends_with("::double:2"), "{}", double::key(2));

    nothing().await;
    nothing().await;
    assert_eq!(RUNS.load(Ordering::Relaxed), 5);

    assert_eq!(text("a", Some("b")).await, "ab");
    assert_eq!(text("a", Some("b")).await, "ab");
    assert_eq!(text("a", None).await, "a");
    assert_eq!(RUNS.load(Ordering::Relaxed), 7);
    assert!(text::invalidate("a", None).await.unwrap());
    assert_eq!(text::refresh("a", None).await, "a");
    assert_eq!(text::uncached("a", None).await, "a");
}
