//! Canonical keys: arguments become self-delimiting 64-bit words, which compare and hash fast in memory
//! and render as readable, injective text for Redis.
//!
//! A key is words. The first word is the number of the function in [`registry`] (0: a direct key, whose
//! namespace and name follow as strings); the rest are the arguments.

/// Placeholder until the room is built.
pub(crate) fn escape(part: &str) -> String {
    part.to_owned()
}
/// Placeholder.
pub struct Key;
/// Placeholder.
#[derive(Clone, Copy)]
pub struct KeyRef<'a>(&'a ());
