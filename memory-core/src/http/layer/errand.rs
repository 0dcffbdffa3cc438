//! What requests wait for together.

use crate::{flight::Lookup, key::Key};

/// What one request goes for, and others wait for: a resource; in a private cache, for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Errand {
    pub(super) key: Key,
    /// A digest of the fields by which users differ; the same for all where they are not told apart.
    pub(super) user: u64,
    /// Of a request for which nobody waits, since its answer may be for itself only.
    pub(super) is_apart: bool,
}

impl Lookup<Self> for Errand {
    fn hash(&self) -> u64 {
        self.key.as_key().hash() ^ self.user ^ u64::from(self.is_apart)
    }

    fn is(&self, errand: &Self) -> bool {
        self == errand
    }

    fn to_key(&self) -> Self {
        self.clone()
    }
}
