//! What the expansion of `#[memorize]` knows about its function at compile time.

use std::sync::OnceLock;

use crate::key::{
    KeyBuf,
    registry::{self, Site},
};

/// One memorized function: the only thing an expansion keeps in a `static`.
pub struct FnSpec {
    type_name: fn() -> &'static str,
    site: Site,
    name: Option<&'static str>,
    namespace: Option<&'static str>,
    version: Option<u64>,
    number: OnceLock<u32>,
}

impl FnSpec {
    /// The function whose companion type has this name, at this place of the source.
    pub const fn new(type_name: fn() -> &'static str, file: &'static str, line: u32, column: u32) -> Self {
        let site = Site { file, line, column };
        Self { type_name, site, name: None, namespace: None, version: None, number: OnceLock::new() }
    }

    /// The name in keys, instead of the path in the source.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// The group for `clear_namespace`.
    #[must_use]
    pub const fn namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// The version of the values' meaning.
    #[must_use]
    pub const fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// An empty key of this function.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn key(&'static self) -> KeyBuf {
        KeyBuf::function(*self.number.get_or_init(|| self.register()))
    }

    #[cold]
    fn register(&self) -> u32 {
        let id = self.name.unwrap_or_else(|| (self.type_name)());
        registry::register(id, self.namespace, self.version, self.site)
    }
}
