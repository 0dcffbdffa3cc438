//! Type and const parameters are part of the key, and companions take them.
use std::{
    collections::HashMap,
    fmt::{Debug, Display},
    sync::atomic::{AtomicU32, Ordering},
};

use memory_core::memorize;
use serde::{Serialize, de::DeserializeOwned};

static RUNS: AtomicU32 = AtomicU32::new(0);

fn ran() -> u32 {
    RUNS.swap(0, Ordering::Relaxed)
}

#[memorize(expire = 60)]
async fn load<T>(id: u64) -> Option<T>
where
    T: From<u8> + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    RUNS.fetch_add(1, Ordering::Relaxed);
    (id > 0).then(|| T::from(7))
}

#[memorize]
async fn fill<const N: usize, const ON: bool>(x: [u8; 2]) -> Vec<u8> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    vec![x[0]; if ON { N } else { 0 }]
}

#[memorize]
async fn show<T: Display + Serialize + Send + 'static, U: Debug + Serialize + Clone + Send + Sync + 'static>(
    value: T,
    other: &U,
) -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    format!("{value}{other:?}")
}

#[memorize]
async fn any(value: impl Display + Serialize + Send + 'static) -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    value.to_string()
}

#[memorize(memory_only)]
async fn identity<T: Clone + Serialize + Send + Sync + 'static>(value: T) -> T {
    RUNS.fetch_add(1, Ordering::Relaxed);
    value
}

#[memorize]
async fn lifetimes<'a, 'b: 'a>(a: &'a str, b: &'b [u8], map: &'a HashMap<String, u8>) -> usize {
    RUNS.fetch_add(1, Ordering::Relaxed);
    a.len() + b.len() + map.len()
}

#[memorize]
fn sync_one<T: Serialize, const N: u8>(value: &T) -> u8 {
    let _ = value;
    RUNS.fetch_add(1, Ordering::Relaxed);
    N
}

struct Repo<T>(std::marker::PhantomData<T>);

impl<T: Send + 'static> Repo<T> {
    #[memorize(memory_only)]
    pub async fn get<U: Serialize + Send + 'static>(id: U) -> &'static str {
        let _ = id;
        RUNS.fetch_add(1, Ordering::Relaxed);
        std::any::type_name::<Self>()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!((load::<u16>(1).await, load::<u16>(1).await, load::<u32>(1).await), (Some(7), Some(7), Some(7)));
    assert_eq!(ran(), 2);
    assert!(load::invalidate::<u16>(1).await.unwrap());
    assert_eq!(load::peek::<u16>(1).await.unwrap(), None);
    assert_eq!(load::peek::<u32>(1).await.unwrap(), Some(Some(7)));
    load::put::<u16>(1, Some(8)).await.unwrap();
    assert_eq!(load::<u16>(1).await, Some(8));
    assert_ne!(load::key::<u16>(1).to_string(), load::key::<u32>(1).to_string());
    assert_eq!(ran(), 0);

    assert_eq!((fill::<2, true>([1, 2]).await, fill::<3, true>([1, 2]).await), (vec![1; 2], vec![1; 3]));
    assert_eq!((fill::<2, true>([1, 2]).await, fill::<2, false>([1, 2]).await), (vec![1; 2], vec![]));
    assert!(fill::invalidate::<2, true>([1, 2]).await.unwrap());
    assert_eq!(ran(), 3);

    assert_eq!((show(1, &"a").await, show(1, &"a").await, show("1", &"a").await), ("1\"a\"".into(), "1\"a\"".into(), "1\"a\"".into()));
    assert_eq!(ran(), 2);
    assert!(show::invalidate(1, &"a").await.unwrap());
    assert_eq!((any(1).await, any(1).await, any("1").await), ("1".to_owned(), "1".to_owned(), "1".to_owned()));
    assert_eq!(ran(), 2);
    assert!(any::invalidate(1).await.unwrap());
    assert_eq!((identity(Some(1)).await, identity(Some(1)).await), (Some(1), Some(1)));
    assert_eq!((identity(None::<u8>).await, identity(None::<u8>).await), (None, None));
    assert_eq!(ran(), 2, "a type parameter is plain, so its None is a value");

    let map = HashMap::from([("k".to_owned(), 1)]);
    assert_eq!((lifetimes("a", b"b", &map).await, lifetimes("a", b"b", &map).await), (3, 3));
    assert!(lifetimes::invalidate("a", b"b", &map).await.unwrap());
    assert_eq!(ran(), 1);
    assert_eq!((sync_one::<_, 1>(&1), sync_one::<_, 1>(&1), sync_one::<_, 2>(&1)), (1, 1, 2));
    assert!(sync_one::invalidate::<_, 1>(&1).unwrap());
    assert_eq!(ran(), 2);

    let names = (Repo::<u8>::get(1).await, Repo::<u16>::get(1).await, Repo::<u8>::get(1).await);
    assert_ne!(names.0, names.1);
    assert_eq!(names.0, names.2);
    assert!(Repo::<u8>::get_invalidate(1).await.unwrap());
    assert_eq!(ran(), 2);
}
