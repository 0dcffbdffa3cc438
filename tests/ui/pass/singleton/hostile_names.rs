#![deny(warnings)]
#![allow(dead_code)]
//! Nothing that the user calls `core`, `std`, `Result`, `Ok`, `Some` … gets in the way.

mod core {}
mod std {}

struct Option;
struct Result<T, E>(T, E);
struct Box;
struct Future;
trait DeclaredPlain {
    fn kind(&self) {}
    fn get_or_init(&self) {}
}
impl<T> DeclaredPlain for T {}

#[allow(non_snake_case)]
fn Ok() {}
#[allow(non_snake_case)]
fn Some() {}

use memory_core::cached_singleton;

#[cached_singleton]
fn number() -> u8 {
    let declared = 1;
    let returned = declared + 1;
    returned
}

mod fallible {
    use ::std::result::Result;
    use memory_core::cached_singleton;

    #[allow(non_snake_case, dead_code)]
    fn Ok() {}

    #[cached_singleton]
    pub fn number() -> Result<u8, ()> {
        Result::Ok(3)
    }
}

fn main() {
    assert_eq!((number(), fallible::number()), (&2, ::std::result::Result::Ok(&3)));
}
