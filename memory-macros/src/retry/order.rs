//! `#[memorize]` is outside of a retry, whichever is written first.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute as Written, Ident, ItemFn, Path, parse_quote};

use super::Attribute;
use crate::options::Options;

// Input:
//     #[default_retry(attempts = 5)]      (this one)
//     #[memorize(expire = 60)]
//     async fn f() -> Result<u8, E> { .. }
//
// Output:
//     #[memorize(expire = 60)]
//     #[::memory_core::default_retry(attempts = 5)]
//     async fn f() -> Result<u8, E> { .. }
/// The same function with `#[memorize]` first, where it stands below this attribute.
pub(crate) fn memorize_first(attribute: Attribute, args: &TokenStream, function: &ItemFn) -> Option<TokenStream> {
    let is_memorize =
        |written: &Written| written.path().segments.last().is_some_and(|segment| segment.ident == "memorize");
    if !function.attrs.iter().any(is_memorize) {
        return None;
    }
    let mut function = function.clone();
    let (mut attrs, rest): (Vec<_>, Vec<_>) = function.attrs.into_iter().partition(is_memorize);
    let name = Ident::new(attribute.name(), proc_macro2::Span::call_site());
    let krate = krate(attribute, args);
    attrs.push(parse_quote!(#[#krate::#name(#args)]));
    attrs.extend(rest);
    function.attrs = attrs;
    Some(quote!(#function))
}

/// Where this attribute can be named from; mistakes in the arguments are reported when it is expanded for good.
fn krate(attribute: Attribute, args: &TokenStream) -> Path {
    let mut options = Options::parse(attribute.name(), &["crate"], args.clone());
    let written = options.take("crate").and_then(|opt| opt.assigned("crate = path").ok());
    written.unwrap_or(parse_quote!(::memory_core))
}
