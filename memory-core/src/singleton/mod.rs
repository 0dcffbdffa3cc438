//! Values that are made once and live as long as the program: what stands behind `#[cached_singleton]`.
//!
//! A read is one look at a `OnceLock`. Those who find it empty take turns: one runs, the others wait, and where the run
//! fails, panics or is dropped, the next in line runs. [`waits`] turns a wait that could never end into a panic.

mod blocking;
mod future;
mod waits;

pub use blocking::Singleton;
pub use future::AsyncSingleton;

#[cfg(test)]
mod tests;
