#![deny(warnings)]
#![allow(dead_code)]
//! Nothing that the user calls `core`, `std`, `Result`, `Ok`, `Some`, `lookup` … gets in the way.

mod core {}
mod std {}

struct Option;
struct Result;
struct String;
struct Sized;
struct CacheInfo;
trait Hash {
    fn kind(&self) {}
    fn outcome(&self) {}
    fn run(&self) {}
    fn cache_info(&self) {}
}
impl<T> Hash for T {}

#[allow(non_snake_case)]
fn Ok() {}
#[allow(non_snake_case)]
fn Some() {}
#[allow(non_snake_case)]
fn None() {}

use memory_core::fm_lru;

#[fm_lru(maxsize = None)]
fn sum(lookup: u8, miss: &u8, returned: u8) -> u8 {
    let instance = lookup + miss;
    instance + returned
}

#[fm_lru(maxsize = 1)]
async fn later(lookup: u8, argument_1: (u8, u8), (miss, returned): (u8, u8)) -> u8 {
    lookup + argument_1.0 + miss + returned
}

fn main() {
    assert_eq!((sum(1, &2, 3), sum(1, &2, 3), sum::cache_info().hits), (6, 6, 1));
    drop(later(1, (2, 3), (4, 5)));
    assert_eq!(later::cache_info().misses, 0);
}
