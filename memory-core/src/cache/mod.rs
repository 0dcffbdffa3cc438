// STUB: the lead replaces this file.
//! Stub.

/// Stub.
#[derive(Clone, Default)]
pub struct FmCache(
    pub(crate)  std::sync::Arc<
        std::sync::Mutex<std::collections::HashMap<crate::key::Key, std::sync::Arc<dyn std::any::Any + Send + Sync>>>,
    >,
);
