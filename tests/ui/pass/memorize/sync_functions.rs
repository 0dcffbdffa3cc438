//! A plain `fn` is memorized too, with companions that are not async.
use std::sync::atomic::{AtomicU32, Ordering};

use memory_core::memorize;

static RUNS: AtomicU32 = AtomicU32::new(0);

#[memorize(expire = 60)]
fn slow(name: &str, n: u32) -> Result<String, String> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    if n == 0 {
        return Err("zero".to_owned());
    }
    Ok(name.repeat(n as usize))
}

#[memorize]
fn unit() {
    RUNS.fetch_add(1, Ordering::Relaxed);
}

#[memorize(key = text.len())]
fn by_length(text: Vec<String>) -> usize {
    RUNS.fetch_add(1, Ordering::Relaxed);
    text.len()
}

fn main() {
    assert_eq!((slow("a", 2), slow("a", 2)), (Ok("aa".to_owned()), Ok("aa".to_owned())));
    assert!(slow("a", 0).is_err() && slow("a", 0).is_err());
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 3);
    assert_eq!(slow::peek("a", 2).unwrap(), Some(Ok("aa".to_owned())));
    assert!(slow::invalidate("a", 2).unwrap());
    slow::put("a", 2, Ok("put".to_owned())).unwrap();
    slow::put("a", 3, Err("not stored".to_owned())).unwrap();
    assert_eq!((slow("a", 2), slow("a", 3)), (Ok("put".to_owned()), Ok("aaa".to_owned())));
    assert_eq!(slow::refresh("a", 2), Ok("aa".to_owned()));
    assert_eq!(slow::uncached("a", 0), Err("zero".to_owned()));
    assert!(slow::key("a", 2).to_string().ends_with("::slow:a:2"), "{}", slow::key("a", 2));
    RUNS.store(0, Ordering::Relaxed);
    (unit(), unit());
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((by_length(words(&["a"])), by_length(words(&["b"])), by_length(words(&["b", "c"]))), (1, 1, 2));
    assert_eq!(RUNS.load(Ordering::Relaxed), 3);
    assert!(by_length::invalidate(words(&["x"])).unwrap());
}
