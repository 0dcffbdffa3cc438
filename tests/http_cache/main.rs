//! The response cache layer: the public suite, interpreted in process under paused time, and what must never leak.

#[path = "../support/mod.rs"]
mod support;

mod leaks;
mod shared;
mod stale;
mod suite;
