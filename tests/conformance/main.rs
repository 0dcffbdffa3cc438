//! The recorded behaviour of the Python original, case by case, through the public API.
//!
//! The cases are in `tests/vectors`, or in the folder that `VECTORS_DIR` names: any cases of the same schema can be run.
//! Each file prints how many cases ran, matched and were left out, by which rule.

mod backoff;
mod cache_manager;
mod client;
mod failures;
mod lru;
mod report;
mod retry;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/upstream.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod upstream;
