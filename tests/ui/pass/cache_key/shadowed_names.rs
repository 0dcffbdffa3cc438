//! The expansion is hygienic, lint-clean, and finds `memory_core` where it is told to.
#![deny(warnings, clippy::pedantic)]

mod facade {
    pub use memory_core as inner;
}

mod shadowed {
    #![allow(dead_code)]

    mod core {}
    mod std {}
    mod memory_core {}
    struct KeyBuf;
    struct Option;
    trait FnOnce {}
    trait Serialize {}

    #[derive(crate::facade::inner::CacheKey)]
    #[cache_key(crate = crate::facade::inner)]
    pub struct User {
        #[cache_key]
        pub key: u64,
        #[cache_key]
        pub r#self_: u8,
    }
}

fn main() {
    use memory_core::CacheKey as _;
    let mut key = memory_core::__private::KeyBuf::function(1);
    shadowed::User { key: 1, self_: 2 }.push_key(&mut key);
    assert_eq!(key.failure(), None);
}
