//! HTTP: what a shared cache may do with requests and responses, and the tower layer that does it.

mod cache;
mod fields;
mod layer;

pub use self::layer::{FmResponseCacheLayer, FmResponseCacheService};
