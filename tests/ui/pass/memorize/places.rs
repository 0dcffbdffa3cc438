//! Functions in functions, in modules, from macros, with raw names, with names of companions, seen through imports.
use memory_core::memorize;

mod users {
    pub mod inner {
        use memory_core::memorize;

        #[memorize]
        pub(in super::super) async fn get(id: u64) -> u64 {
            id
        }

        #[memorize]
        pub async fn public(id: u64) -> u64 {
            get(id).await
        }
    }

    pub use inner::public as renamed;

    pub async fn reset(id: u64) -> bool {
        inner::get::invalidate(id).await.unwrap()
    }
}

use users::{inner::public, renamed};

macro_rules! getters {
    ($($name:ident: $ty:ty => $body:expr;)*) => {$(
        #[memorize(expire = 60)]
        async fn $name(id: $ty) -> $ty {
            $body + id
        }
    )*};
}
getters! {
    one: u64 => 1;
    two: u32 => 2;
}

// What stands in an `impl` here becomes free functions.
macro_rules! lift {
    (impl $name:ident { $($function:item)* }) => { struct $name; $($function)* };
}
lift! {
    impl Lifted {
        #[memorize]
        async fn lifted(id: u64) -> u64 {
            id
        }
    }
}

impl Lifted {
    async fn of_a_method() -> u64 {
        #[memorize]
        async fn of_its_body(id: u64) -> u64 {
            id
        }
        of_its_body(3).await
    }
}

#[memorize]
async fn r#type(r#in: u64) -> u64 {
    r#in
}

#[memorize]
async fn refresh(key: u64) -> u64 {
    key
}

#[memorize]
async fn key(cache: u64) -> u64 {
    cache
}

struct Taken;

#[memorize(companions = taken_cache)]
#[allow(non_snake_case)]
async fn Taken_(id: u64) -> u64 {
    id
}

#[memorize(companions = false)]
async fn alone(id: u64) -> u64 {
    id
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    #[memorize]
    async fn inner(id: u64) -> u64 {
        id * 10
    }
    async fn other() -> (u64, String) {
        #[memorize]
        async fn inner(id: u64) -> u64 {
            id * 100
        }
        (inner(1).await, inner::key(1).to_string())
    }

    assert_eq!((inner(1).await, other().await.0), (10, 100));
    assert_ne!(inner::key(1).to_string(), other().await.1);
    assert_eq!((public(1).await, renamed(2).await), (1, 2));
    assert!(users::reset(1).await);
    assert!(renamed::invalidate(1).await.unwrap());
    assert_eq!((one(1).await, two(1).await), (2, 3));
    assert!(one::invalidate(1).await.unwrap() && two::invalidate(1).await.unwrap());
    assert_eq!((lifted(1).await, Lifted::of_a_method().await), (1, 3));
    assert!(lifted::invalidate(1).await.unwrap());
    assert_eq!(r#type(1).await, 1);
    assert!(r#type::invalidate(1).await.unwrap());
    assert_eq!((refresh(1).await, refresh::refresh(1).await, key(1).await), (1, 1, 1));
    assert!(key::key(1).to_string().contains("::key:"), "{}", key::key(1));
    let _ = Taken;
    assert_eq!((Taken_(1).await, alone(1).await), (1, 1));
    assert!(taken_cache::key(1).to_string().contains("::Taken_:"), "{}", taken_cache::key(1));
}
