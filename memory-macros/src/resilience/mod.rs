//! `#[circuit_breaker]`, `#[rate_limit]`, `#[bulkhead]`, `#[timeout]`, `#[hedge]`, `#[fallback]` and `#[resilient]`: what stands around a call.
//!
//! However they are stacked, they run in one order, [`order`]: an attribute that was written outside of one that belongs inside of it
//! puts itself behind it.

mod expand;
pub(crate) mod order;
mod parse;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Ident, ItemFn, ReturnType, spanned::Spanned};

use self::expand::Around;
pub(crate) use self::parse::Policy;
use crate::retry::shape::{self, Kind};

/// Expands one of these attributes.
pub(crate) fn attribute(policy: Policy, args: TokenStream, item: TokenStream) -> TokenStream {
    if order::is_taken(&args) {
        return item;
    }
    let mut function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => return with_item(&not_a_function(policy, &item, error), &item),
    };
    let twice = order::twice(policy.name(), &args, &function);
    let expanded = order::behind_inner(policy.name(), &args, &mut function)
        .unwrap_or_else(|| expanded(policy, order::without_mark(args), function, &item));
    match twice {
        Some(error) => with_item(&error, &expanded),
        None => expanded,
    }
}

fn expanded(policy: Policy, args: TokenStream, mut function: ItemFn, item: &TokenStream) -> TokenStream {
    let around = match around(policy, args, &mut function) {
        Ok(around) => around,
        Err(error) => return with_item(&error, item),
    };
    match (expand::function(&around, function), around.error) {
        (Ok(expanded), None) => expanded,
        (Ok(expanded), Some(error)) => with_item(&error, &expanded),
        (Err(error), _) => with_item(&error, item),
    }
}

fn around(policy: Policy, args: TokenStream, function: &mut ItemFn) -> syn::Result<Around> {
    let kind = shape::kind(function);
    returns_a_result(policy, function, kind)?;
    let around = parse::around(policy, args, function)?;
    if policy == Policy::Hedge && kind == Kind::Blocking {
        let message = "a blocking call has no second one beside it: make the function `async`, or remove `hedge`";
        return Err(syn::Error::new(function.sig.fn_token.span, message));
    }
    if let (Kind::Blocking, Some(span)) = (kind, around.limit_span()) {
        let message = "a blocking call can't be ended: make the function `async`, or remove this limit";
        return Err(syn::Error::new(span, message));
    }
    Ok(around)
}

/// `#[resilient(fallback(..), timeout(..), retry(..), ..)]`: the same attributes, stacked.
pub(crate) fn resilient(args: TokenStream, item: &TokenStream) -> TokenStream {
    match parse::stacked(args) {
        Ok(attributes) => quote!(#(#attributes)* #item),
        Err(error) => with_item(&error, item),
    }
}

/// Refuses what is no `Result` by its name alone; behind an alias, the compiler finds out.
fn returns_a_result(policy: Policy, function: &ItemFn, kind: Kind) -> syn::Result<()> {
    let message =
        format!("`#[{}]` needs a function that returns a `Result`: only then can it be seen to fail", policy.name());
    let ReturnType::Type(_, returned) = &function.sig.output else {
        return Err(syn::Error::new(function.sig.ident.span(), message));
    };
    let resolved = match kind {
        Kind::Async | Kind::Blocking => Some(&**returned),
        Kind::Boxed | Kind::Future => shape::output(returned),
    };
    match resolved {
        Some(ty) if shape::is_no_result(ty) => Err(syn::Error::new(ty.span(), message)),
        _ => Ok(()),
    }
}

pub(crate) fn with_item(error: &syn::Error, item: &impl ToTokens) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#error #item)
}

/// A mistake inside a function is better reported where it is; everything else is not a function at all.
fn not_a_function(policy: Policy, item: &TokenStream, error: syn::Error) -> syn::Error {
    let name = policy.name();
    if syn::parse2::<syn::TraitItemFn>(item.clone()).is_ok() {
        return syn::Error::new_spanned(item, format!("`{name}` needs a body: put it on the implementation"));
    }
    match syn::parse2::<syn::Item>(item.clone()) {
        Ok(_) => syn::Error::new_spanned(item, format!("`{name}` goes on a function that returns a `Result`")),
        Err(_) => error,
    }
}

/// A name that the body does not see.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
