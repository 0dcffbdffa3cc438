#![deny(warnings)]
//! Sync and async, owned and borrowed, generic, associated, in every visibility.

use std::{
    borrow::Cow,
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use memory_core::{CacheInfo, fm_lru};

/// Documented.
#[fm_lru(maxsize = 128)]
pub fn get_config(name: &str) -> String {
    name.to_owned()
}

#[fm_lru]
#[must_use]
pub(crate) fn nothing_to_ask() -> u8 {
    1
}

#[fm_lru(maxsize = None)]
fn r#match(path: &Path, at: usize, _unused: u8) -> Option<PathBuf> {
    path.ancestors().nth(at).map(Path::to_owned)
}

#[fm_lru(maxsize = 4)]
fn patterns((a, b): (u8, u8), mut words: Vec<String>, [x, ..]: [u8; 3], _: bool) -> usize {
    words.push(String::new());
    words.len() + usize::from(a + b + x)
}

#[fm_lru()]
fn optional<'a>(name: Option<&'a str>, text: Cow<'a, str>, bytes: &'a [u8]) -> String {
    format!("{name:?} {text} {bytes:?}")
}

#[fm_lru(maxsize = 2 * 2)]
fn generic<T: Clone + Eq + std::hash::Hash + Send + 'static, const N: usize>(value: T) -> [T; N] {
    std::array::from_fn(|_| value.clone())
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[fm_lru]
async fn later(number: &str) -> Fallible<Arc<dyn std::fmt::Display + Send + Sync>> {
    if number.is_empty() {
        return Ok(Arc::new("empty"));
    }
    Ok(Arc::new(number.parse::<u8>()?))
}

#[fm_lru]
async fn quiet(_level: u8) {}

struct Table;

impl Table {
    #[fm_lru(in_impl)]
    pub fn square(n: u64) -> u64 {
        n * n
    }

    #[fm_lru]
    fn cube(n: u64) -> u64 {
        Self::square(n) * n
    }
}

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

fn main() {
    assert_eq!(get_config("a"), get_config(&String::from("a")));
    let info: CacheInfo = get_config::cache_info();
    let CacheInfo { hits, misses, maxsize, currsize } = info;
    assert_eq!((hits, misses, maxsize, currsize), (1, 1, Some(128), 1));
    get_config::cache_clear();
    assert_eq!(nothing_to_ask() + nothing_to_ask(), 2);
    assert_eq!(nothing_to_ask::cache_info().hits, 1);
    assert_eq!(r#match(Path::new("/a/b"), 1, 0), Some(PathBuf::from("/a")));
    assert_eq!(r#match::cache_info().maxsize, None);
    assert_eq!(patterns((1, 2), vec![], [3, 4, 5], true), 7);
    assert_eq!(optional(Some("n"), "t".into(), &[1]), "Some(\"n\") t [1]");
    assert_eq!((generic::<u8, 2>(1), generic::<String, 1>(String::new())), ([1, 1], [String::new()]));
    assert_eq!(generic::cache_info::<u8, 2>().maxsize, Some(4));
    generic::cache_clear::<u8, 2>();
    assert!(ready(later("x")).is_err() && ready(later("x")).is_err());
    assert_eq!(ready(later("5")).unwrap().to_string() + &ready(later("")).unwrap().to_string(), "5empty");
    assert_eq!(later::cache_info().misses, 4);
    ready(quiet(1));
    assert_eq!((Table::cube(3), Table::square(3)), (27, 9));
    assert_eq!((Table::cube_cache_info().misses, Table::square_cache_info().hits), (1, 1));
    Table::square_cache_clear();
    Table::cube_cache_clear();
}
