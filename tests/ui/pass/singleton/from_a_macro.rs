#![deny(warnings)]
//! A `macro_rules` may write the function.

use memory_core::cached_singleton;

macro_rules! singleton {
    ($name:ident: $ty:ty = $value:expr) => {
        #[cached_singleton]
        fn $name() -> $ty {
            $value
        }
    };
}

singleton!(one: u8 = 1);
singleton!(two: Result<u8, String> = Ok(2));

fn main() {
    let inner = {
        singleton!(three: Vec<u8> = vec![3]);
        three()
    };
    assert_eq!((one(), two(), inner), (&1, Ok(&2), &vec![3]));
}
