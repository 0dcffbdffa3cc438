//! The response cache layer: the public suite, interpreted in process under paused time, and what must never leak.

mod leaks;
mod suite;
