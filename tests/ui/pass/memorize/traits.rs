//! Default methods of traits, generic impls, impls of references: `Self` is part of the key.
use std::sync::atomic::{AtomicU32, Ordering};

use memory_core::memorize;
use serde::Serialize;

static RUNS: AtomicU32 = AtomicU32::new(0);

trait Named {
    const NAME: &'static str;

    #[memorize(in_impl)]
    fn constant(id: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::Relaxed);
        id
    }

    #[memorize(skip(self))]
    async fn name(&self, id: u64) -> String
    where
        Self: Sync,
    {
        RUNS.fetch_add(1, Ordering::Relaxed);
        format!("{}{id}", Self::NAME)
    }
}

struct A;
struct B;

impl Named for A {
    const NAME: &'static str = "a";
}
impl Named for B {
    const NAME: &'static str = "b";
}

#[derive(Serialize)]
struct Wrapper<T>(T);

trait Get<T> {
    async fn get(&self, other: &str) -> Result<T, String>;
}

impl<T: Clone + Serialize + serde::de::DeserializeOwned + Send + Sync + 'static> Get<T> for Wrapper<T> {
    #[memorize(expire = 60)]
    async fn get(&self, other: &str) -> Result<T, String> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        let other: usize = other.parse::<usize>().map_err(|error| error.to_string())?;
        if other > 5 {
            return Err("big".to_owned());
        }
        Ok(self.0.clone())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!((A.name(1).await, B.name(1).await, A.name(1).await), ("a1".to_owned(), "b1".to_owned(), "a1".to_owned()));
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 2);
    assert_eq!((A::constant(1), A::constant(1), B::constant(1)), (1, 1, 1));
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 2);
    let (one, two) = (Wrapper(1u8), Wrapper(2u8));
    assert_eq!((one.get("1").await, two.get("1").await, one.get("1").await), (Ok(1), Ok(2), Ok(1)));
    assert_eq!(Wrapper(1u16).get("1").await, Ok(1));
    assert!(one.get("x").await.is_err() && one.get("6").await == Err("big".to_owned()));
    assert_eq!(RUNS.swap(0, Ordering::Relaxed), 5);
}
