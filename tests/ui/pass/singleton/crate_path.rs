//! A facade says where the crate is.

mod facade {
    pub mod inner {
        pub use memory_core::*;
    }
}

use facade::inner::cached_singleton;

#[cached_singleton(crate = crate::facade::inner)]
fn number() -> u8 {
    7
}

#[cached_singleton(crate = facade::inner)]
async fn later() -> Result<u8, String> {
    Ok(8)
}

fn main() {
    assert_eq!(number(), &7);
    drop(later());
}
