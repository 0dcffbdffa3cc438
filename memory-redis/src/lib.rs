//! The Redis backend of `memory-core`.
