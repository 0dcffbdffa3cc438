//! The hasher of maps that hold finished keys.

use std::hash::{BuildHasherDefault, Hasher};

use super::hash::Mix;

/// For maps whose keys are [`Key`](super::Key)s: their hash is taken as it is.
pub(crate) type BuildKeyHasher = BuildHasherDefault<KeyHasher>;

/// Hands on the hash that a key carries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// Keys write one `u64`; whatever else comes is still hashed soundly.
    fn write(&mut self, bytes: &[u8]) {
        let mut mix = Mix::new();
        mix.add(self.0);
        for chunk in bytes.chunks(8) {
            mix.add(chunk.iter().fold(1, |word, byte| word << 8 ^ u64::from(*byte)));
        }
        self.0 = mix.finish();
    }
}
