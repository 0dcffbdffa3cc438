//! Under construction.

pub mod lru;
pub mod singleton;

#[doc(hidden)]
pub use ::std;
