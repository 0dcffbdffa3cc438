//! What a company's own prelude crate does with its dependencies.

pub use memory_core as memory;
