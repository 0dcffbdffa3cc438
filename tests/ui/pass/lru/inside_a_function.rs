#![deny(warnings)]
//! A function inside a function, with types that only that one knows, and one written by a `macro_rules`.

use memory_core::fm_lru;

macro_rules! remembered {
    ($name:ident($argument:ident: $ty:ty) -> $output:ty $body:block) => {
        #[fm_lru(maxsize = 8)]
        fn $name($argument: $ty) -> $output $body
    };
}

remembered!(twice(n: u32) -> u32 { n * 2 });
remembered!(length(text: &str) -> usize { text.len() });

fn main() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Local(u8);

    #[fm_lru(maxsize = 8)]
    fn next(local: &Local) -> Local {
        Local(local.0 + 1)
    }

    assert_eq!((next(&Local(1)), next(&Local(1)), next::cache_info().hits), (Local(2), Local(2), 1));
    assert_eq!((twice(2), length("abc"), twice::cache_info().misses), (4, 3, 1));
    length::cache_clear();
}
