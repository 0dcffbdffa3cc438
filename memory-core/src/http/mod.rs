//! HTTP: what clients see of memorized handlers, what a shared cache may do with requests and responses, and the tower layers
//! that do both.

mod body;
mod cache;
mod fields;
mod headers;
mod json;
mod layer;
mod page;

#[cfg(feature = "client")]
pub use self::layer::FmHttpCache;
#[cfg(feature = "client")]
pub(crate) use self::{
    cache::Elsewhere,
    layer::{HasStandIn, Origin},
};
pub use self::{
    headers::{FmCacheHeadersFuture, FmCacheHeadersLayer, FmCacheHeadersService},
    json::FmJson,
    layer::{FmResponseCacheLayer, FmResponseCacheService},
};
pub(crate) use self::{
    json::StoredJson,
    page::{Head, Page, poll_whole},
};
