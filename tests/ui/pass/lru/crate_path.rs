//! A facade says where the crate is.

mod facade {
    pub mod inner {
        pub use memory_core::*;
    }
}

use facade::inner::fm_lru;

#[fm_lru(crate = crate::facade::inner)]
fn number(n: u8) -> u8 {
    n
}

#[fm_lru(maxsize = 0, crate = facade::inner)]
fn other(n: u8) -> u8 {
    n
}

fn main() {
    assert_eq!((number(7), other(8), other::cache_info().maxsize), (7, 8, Some(0)));
}
