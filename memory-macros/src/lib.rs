//! The attributes of `memory-core`: parse → validate → expand, nothing else.

mod memorize;
mod options;

use proc_macro::TokenStream;

/// Caches what a function returns, by its arguments.
#[proc_macro_attribute]
pub fn memorize(args: TokenStream, item: TokenStream) -> TokenStream {
    memorize::memorize(args.into(), item.into()).into()
}
