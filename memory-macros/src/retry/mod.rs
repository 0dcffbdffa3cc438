//! `#[retry(..)]` and `#[default_retry(..)]`: call the body again while it fails.
//!
//! A `#[memorize]` below stays on the function and wraps what is made here; one above puts itself below (its `order.rs`). So
//! memorize is outside of a retry, whichever is written first.

mod blocks;
pub(crate) mod expand;
mod parse;
pub(crate) mod shape;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemFn;

use crate::resilience::order;

/// Which of the two attributes was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Retry,
    DefaultRetry,
}

impl Attribute {
    fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::DefaultRetry => "default_retry",
        }
    }
}

/// Expands either attribute.
pub(crate) fn expand(attribute: Attribute, args: TokenStream, item: TokenStream) -> TokenStream {
    let mut function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => return with_item(&not_a_function(attribute, &item, error), &item),
    };
    if let Some(reordered) = order::behind_inner(attribute.name(), &args, &mut function) {
        return reordered;
    }
    let args = order::without_mark(args);
    let (config, errors) = parse::config(attribute, args, &function);
    let expanded = shape::of(&function, &config).map(|shape| expand::function(&config, &shape, function));
    match (expanded, errors) {
        (Ok(expanded), None) => expanded,
        // The function still retries by what is valid, so that one mistake is one message.
        (Ok(expanded), Some(errors)) => with_item(&errors, &expanded),
        (Err(error), None) => with_item(&error, &item),
        (Err(error), Some(mut errors)) => {
            errors.combine(error);
            with_item(&errors, &item)
        }
    }
}

fn with_item(error: &syn::Error, item: &TokenStream) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#error #item)
}

/// A mistake inside a function is better reported where it is; everything else is not a function at all.
fn not_a_function(attribute: Attribute, item: &TokenStream, error: syn::Error) -> syn::Error {
    let name = attribute.name();
    if syn::parse2::<syn::TraitItemFn>(item.clone()).is_ok() {
        return syn::Error::new_spanned(item, format!("`{name}` needs a body: put it on the implementation"));
    }
    match syn::parse2::<syn::Item>(item.clone()) {
        Ok(_) => syn::Error::new_spanned(item, format!("`{name}` goes on a function that returns a `Result`")),
        Err(_) => error,
    }
}
