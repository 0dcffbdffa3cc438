//! Expansions work where everything they could lean on means something else.
#![no_implicit_prelude]
#![allow(dead_code, non_camel_case_types)]

mod core {}
mod std {}
mod alloc {}
mod axum {}
mod serde {}
struct Result;
struct Option;
struct Some;
struct None;
struct Ok;
struct Err;
struct Vec;
struct Box;
struct String;
struct Future;
struct Send;
struct Pin;
struct u64;
struct bool;
fn drop() {}

use ::memory_core::memorize;

type Number = ::std::primitive::u64;

#[memorize(expire = 60, cache_if = |value| *value > 0, jitter = 0.1, time_to_idle = 60, refresh_if = key > 100)]
async fn number(key: Number, cache: &::std::primitive::str, this: ::std::option::Option<&Number>) -> Number {
    let _ = (cache, this);
    key
}

#[memorize(cache_none = 5, cache_err = 5)]
async fn fallible(spec: Number) -> ::std::result::Result<::std::option::Option<Number>, Number> {
    ::std::result::Result::Ok(::std::option::Option::Some(spec))
}

#[memorize(key = (value, judge))]
fn sync(value: Number, judge: Number) -> Number {
    value + judge
}

struct Service;
impl Service {
    #[memorize(skip(self))]
    pub async fn method(&self, plan: Number) -> Number {
        plan
    }

    #[memorize(skip(self))]
    async fn inline(&self, plan: Number) -> Number {
        plan
    }
}

fn main() {
    ::tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        ::std::assert_eq!(number(1, "a", ::std::option::Option::Some(&2)).await, 1);
        ::std::assert_eq!(number::peek(1, "a", ::std::option::Option::Some(&2)).await.unwrap(), ::std::option::Option::Some(1));
        ::std::assert_eq!(fallible(1).await.unwrap(), ::std::option::Option::Some(1));
        ::std::assert!(fallible::invalidate(1).await.unwrap());
        ::std::assert_eq!(sync(1, 2), 3);
        ::std::assert_eq!(Service.method(1).await + Service.inline(1).await, 2);
    });
}
