//! The attributes of `memory-core`: parse → validate → expand, nothing else.

mod derive;
mod options;

use proc_macro::TokenStream;

/// Says which fields of a type are its key, wherever it is an argument of a memorized function.
///
/// Mark them with `#[cache_key]`; they must be `serde::Serialize`. Companions take the value, or its key: the marked
/// field, or the tuple of them. `#[cache_key(crate = path)]` on the type says where `memory_core` is.
#[proc_macro_derive(CacheKey, attributes(cache_key))]
pub fn cache_key(input: TokenStream) -> TokenStream {
    derive::cache_key::derive(input.into()).into()
}
