#![no_implicit_prelude]
//! No prelude at all.

#[::memory_core::fm_lru(maxsize = 2)]
fn generic<T: ::std::clone::Clone + ::std::cmp::Eq + ::std::hash::Hash + ::std::marker::Send + 'static>(value: T) -> T {
    value
}

#[::memory_core::fm_lru(maxsize = None)]
async fn later(text: &str) -> ::std::result::Result<usize, ()> {
    ::std::result::Result::Ok(text.len())
}

#[::memory_core::cached_singleton]
fn single() -> u8 {
    1
}

#[::memory_core::cached_singleton]
async fn single_later() -> ::std::result::Result<u8, ()> {
    ::std::result::Result::Ok(1)
}

fn main() {
    ::std::assert_eq!((generic(1), single()), (1, &1));
    ::std::mem::drop((later("a"), single_later()));
    ::std::assert_eq!(later::cache_info().maxsize, ::std::option::Option::None);
}
