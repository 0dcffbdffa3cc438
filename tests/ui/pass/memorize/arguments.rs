//! Arguments of every common type are keys; unequal ones are different keys.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use memory_core::memorize;
use serde::Serialize;

static RUNS: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Copy, Serialize)]
enum Order {
    Up,
    Down { by: u8 },
}

#[derive(Clone, Serialize)]
struct Filter<T> {
    words: Vec<T>,
    order: Option<Order>,
}

#[memorize]
async fn primitives(a: u8, b: i128, c: f64, d: bool, e: char, f: usize, g: f32, h: ()) -> u64 {
    let _ = (a, b, c, d, e, f, g, h);
    u64::from(RUNS.fetch_add(1, Ordering::Relaxed))
}

#[memorize]
async fn std_types(
    a: Vec<String>,
    b: Option<Box<str>>,
    c: HashMap<String, u8>,
    d: (u8, [i16; 3]),
    e: Duration,
    f: IpAddr,
    g: PathBuf,
    h: Arc<str>,
    i: BTreeMap<u8, BTreeSet<u8>>,
) -> u64 {
    let _ = (a, b, c, d, e, f, g, h, i);
    u64::from(RUNS.fetch_add(1, Ordering::Relaxed))
}

#[memorize]
async fn own_types(filter: Filter<String>, order: Order, shared: Arc<Filter<u8>>, slice: &[Order]) -> u64 {
    let _ = (filter, order, shared, slice);
    u64::from(RUNS.fetch_add(1, Ordering::Relaxed))
}

#[memorize]
async fn texts(a: String, b: String) -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    format!("{a}|{b}")
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let first = primitives(1, -2, 0.5, true, 'x', 3, 1.5, ()).await;
    assert_eq!(primitives(1, -2, 0.5, true, 'x', 3, 1.5, ()).await, first);
    for other in [
        primitives(2, -2, 0.5, true, 'x', 3, 1.5, ()).await,
        primitives(1, 2, 0.5, true, 'x', 3, 1.5, ()).await,
        primitives(1, -2, -0.5, true, 'x', 3, 1.5, ()).await,
        primitives(1, -2, 0.5, false, 'x', 3, 1.5, ()).await,
        primitives(1, -2, 0.5, true, 'y', 3, 1.5, ()).await,
        primitives(1, -2, 0.5, true, 'x', 4, 1.5, ()).await,
        primitives(1, -2, 0.5, true, 'x', 3, 2.5, ()).await,
    ] {
        assert_ne!(other, first);
    }
    assert!(primitives::invalidate(1, -2, 0.5, true, 'x', 3, 1.5, ()).await.unwrap());

    let call = |key: &str| {
        let map = HashMap::from([(key.to_owned(), 1), ("z".to_owned(), 2)]);
        let ip = IpAddr::from([127, 0, 0, 1]);
        let nested = BTreeMap::from([(1, BTreeSet::from([1, 2, 3]))]);
        let second = Duration::from_secs(1);
        std_types(vec!["a".into()], Some("b".into()), map, (1, [1, 2, 3]), second, ip, "/tmp".into(), "s".into(), nested)
    };
    assert_eq!(call("k").await, call("k").await);
    assert_ne!(call("k").await, call("l").await);

    let filter = |word: &str| Filter { words: vec![word.to_owned()], order: Some(Order::Up) };
    let bytes = || Arc::new(Filter { words: vec![1], order: None });
    let down = Order::Down { by: 1 };
    let first = own_types(filter("a"), down, bytes(), &[Order::Up]).await;
    assert_eq!(own_types(filter("a"), down, bytes(), &[Order::Up]).await, first);
    assert_ne!(own_types(filter("b"), down, bytes(), &[Order::Up]).await, first);
    assert_ne!(own_types(filter("a"), Order::Down { by: 2 }, bytes(), &[Order::Up]).await, first);
    assert!(own_types::invalidate(filter("a"), down, bytes(), &[Order::Up]).await.unwrap());

    RUNS.store(0, Ordering::Relaxed);
    let text = |a: &str, b: &str| texts(a.to_owned(), b.to_owned());
    let answers = (text("a", "b:c").await, text("a:b", "c").await, text("", "a:b:c").await, text("a%3Ab", "c").await);
    assert_eq!(answers, ("a|b:c".into(), "a:b|c".into(), "|a:b:c".into(), "a%3Ab|c".into()));
    assert_eq!(RUNS.load(Ordering::Relaxed), 4);
}
