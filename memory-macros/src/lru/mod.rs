//! `#[fm_lru]`: a function that remembers its last results, as Python's `functools.lru_cache` does.

mod arguments;
mod expand;
mod validate;

use proc_macro2::TokenStream;

use crate::{
    options::Options,
    plain_fn::{PlainFn, support},
};

const ATTRIBUTE: &str = "fm_lru";

/// The expansion; on a mistake the item as it was, with the error and, where it can have one, a companion.
pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut options = Options::parse(ATTRIBUTE, &["maxsize", "in_impl", "crate"], args);
    let settings = validate::settings(&mut options);
    let support = support(settings.krate.clone());
    let mut tokens = match PlainFn::parse(ATTRIBUTE, item.clone()) {
        Ok(function) => {
            let placed = validate::place(&function, &settings, &mut options);
            match validate::validate(&function) {
                Ok(arguments) => expand::expand(&function, &arguments, placed, &settings.maxsize, &support),
                Err(error) => {
                    options.report(error);
                    let companion = expand::companion(&function, placed, &settings.maxsize, &support);
                    quote::quote!(#function #companion)
                }
            }
        }
        Err(error) => {
            options.report(error);
            item
        }
    };
    tokens.extend(options.into_errors().map(syn::Error::into_compile_error));
    tokens
}
