// STUB: the lead replaces this file.
//! Stub.
use std::sync::OnceLock;

use crate::key::{KeyBuf, registry};

/// Stub.
pub struct FnSpec {
    type_name: fn() -> &'static str,
    site: registry::Site,
    name: Option<&'static str>,
    namespace: Option<&'static str>,
    version: Option<u64>,
    number: OnceLock<u32>,
    pub(crate) runs: std::sync::atomic::AtomicU64,
}

impl FnSpec {
    /// Stub.
    pub const fn new(type_name: fn() -> &'static str, file: &'static str, line: u32, column: u32) -> Self {
        let site = registry::Site { file, line, column };
        Self {
            type_name,
            site,
            name: None,
            namespace: None,
            version: None,
            number: OnceLock::new(),
            runs: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Stub.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Stub.
    #[must_use]
    pub const fn namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Stub.
    #[must_use]
    pub const fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Stub.
    pub fn key(&'static self) -> KeyBuf {
        KeyBuf::function(*self.number.get_or_init(|| {
            let id = self.name.unwrap_or_else(self.type_name);
            registry::register(id, self.namespace, self.version, self.site)
        }))
    }
}
