//! The recorded behaviour of the Python original, case by case, through the public API.
//!
//! The cases are in `tests/vectors`, or in the folder that `VECTORS_DIR` names: any cases of the same schema can be run.
//! Each file prints how many cases ran, matched and were left out, by which rule.

mod cache_manager;
mod lru;
mod report;
#[path = "../support/mod.rs"]
mod support;
