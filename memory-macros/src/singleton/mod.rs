//! `#[cached_singleton]`: a function whose value is made once, ever.

mod expand;
mod validate;

use proc_macro2::TokenStream;

use crate::{
    options::Options,
    plain_fn::{PlainFn, support},
};

const ATTRIBUTE: &str = "cached_singleton";

/// The expansion; on a mistake the item as it was, with the error.
pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut options = Options::parse(ATTRIBUTE, &["crate"], args);
    let krate = options.take("crate").and_then(|krate| options.keep(krate.assigned("crate = path::to::memory_core")));
    let mut tokens = PlainFn::parse(ATTRIBUTE, item.clone())
        .and_then(|function| Ok(expand::expand(&validate::validate(function)?, &support(krate))))
        .unwrap_or_else(|error| {
            options.report(error);
            item
        });
    tokens.extend(options.into_errors().map(syn::Error::into_compile_error));
    tokens
}
