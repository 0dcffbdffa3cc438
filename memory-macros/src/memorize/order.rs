//! Rewrites that hand the function to the compiler once more, with this attribute in another place.
//!
//! A retry or a span below `#[memorize]` is to run inside of it: attributes expand from the outside, so they are put
//! first, and this one wraps what they make. A parameter under a `cfg` makes two functions, one with and one without it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, FnArg, Ident};

use super::parse::Function;

/// Attributes that belong inside of a memorized run.
const INNER: [&str; 8] =
    ["retry", "default_retry", "instrument", "circuit_breaker", "rate_limit", "bulkhead", "timeout", "hedge"];

/// What marks a function that was handed back, in front of the arguments.
const AGAIN: &str = "__again";

/// What earlier expansions of the same attribute have done.
#[derive(Clone, Default)]
pub(crate) struct History {
    /// The attributes that belong inside have been put first; one that is still there can't be resolved.
    ordered: bool,
    /// The parameters that a `cfg` has taken away, so that `skip(..)` may still name them.
    pub(crate) absent: Vec<Ident>,
}

/// Splits the mark of earlier expansions from the arguments.
pub(crate) fn history(args: TokenStream) -> (History, TokenStream) {
    let mut tokens = args.clone().into_iter();
    let (Some(TokenTree::Ident(mark)), Some(TokenTree::Group(names))) = (tokens.next(), tokens.next()) else {
        return (History::default(), args);
    };
    if mark != AGAIN {
        return (History::default(), args);
    }
    let mut names = names.stream().into_iter().filter_map(|token| match token {
        TokenTree::Ident(name) => Some(name),
        _ => None,
    });
    let ordered = names.next().is_some_and(|first| first == "true");
    (History { ordered, absent: names.collect() }, tokens.collect())
}

/// The function again, with this attribute behind those that belong inside, or once with and once without a parameter.
pub(crate) fn reordered(function: &Function, history: &History, args: &TokenStream) -> Option<TokenStream> {
    with_and_without(function, history, args).or_else(|| inside_first(function, history, args))
}

// Input:  #[memorize(..)] #[doc = ".."] #[instrument] async fn f() { .. }
// Output: #[doc = ".."] #[instrument] #[::memory_core::__private::outermost(__again(true) ..)] async fn f() { .. }
fn inside_first(function: &Function, history: &History, args: &TokenStream) -> Option<TokenStream> {
    let last = function.attrs.iter().rposition(is_inner).filter(|_| !history.ordered)?;
    let (inner, outer) = function.attrs.split_at(last + 1);
    let this = this(&History { ordered: true, ..history.clone() }, args);
    let rest = without_attrs(function, &function.sig.inputs.iter().collect::<Vec<_>>());
    Some(quote!(#(#inner)* #this #(#outer)* #rest))
}

// Input:  #[memorize(..)] async fn f(id: u64, #[cfg(x)] extra: u64) { .. }
// Output: #[cfg(x)] #[::memory_core::__private::outermost(__again(false) ..)] async fn f(id: u64, extra: u64) { .. }
//         #[cfg(not(x))] #[::memory_core::__private::outermost(__again(false extra) ..)] async fn f(id: u64) { .. }
fn with_and_without(function: &Function, history: &History, args: &TokenStream) -> Option<TokenStream> {
    let inputs = &function.sig.inputs;
    let at = inputs.iter().position(|input| attrs_of(input).iter().any(is_cfg))?;
    let conditions: Vec<TokenStream> =
        attrs_of(&inputs[at]).iter().filter(|attr| is_cfg(attr)).filter_map(condition).collect();
    let mut kept = inputs[at].clone();
    attrs_of_mut(&mut kept).retain(|attr| !is_cfg(attr));
    let with: Vec<&FnArg> = inputs.iter().enumerate().map(|(i, input)| if i == at { &kept } else { input }).collect();
    let without: Vec<&FnArg> = inputs.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, input)| input).collect();
    let attrs = &function.attrs;
    let mut gone = history.clone();
    gone.absent.extend(names(&inputs[at]));
    let (this_with, this_without) = (this(history, args), this(&gone, args));
    let (with, without) = (without_attrs(function, &with), without_attrs(function, &without));
    Some(quote! {
        #[cfg(all(#(#conditions),*))] #this_with #(#attrs)* #with
        #[cfg(not(all(#(#conditions),*)))] #this_without #(#attrs)* #without
    })
}

/// This attribute again, under a name that no other attribute looks for. A `crate = path` among the arguments says where it is.
fn this(history: &History, args: &TokenStream) -> TokenStream {
    let krate = super::validate::krate(args);
    let mark = Ident::new(AGAIN, Span::call_site());
    let History { ordered, absent } = history;
    quote!(#[#krate::__private::outermost(#mark(#ordered #(#absent)*) #args)])
}

fn without_attrs(function: &Function, inputs: &[&FnArg]) -> TokenStream {
    let Function { vis, default, sig, body, .. } = function;
    let mut sig = sig.clone();
    sig.inputs = inputs.iter().map(|input| (*input).clone()).collect();
    quote!(#vis #default #sig #body)
}

fn is_inner(attr: &Attribute) -> bool {
    attr.path().segments.last().is_some_and(|segment| INNER.iter().any(|inner| segment.ident == inner))
}

fn is_cfg(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg")
}

fn condition(attr: &Attribute) -> Option<TokenStream> {
    attr.meta.require_list().ok().map(|list| list.tokens.clone())
}

fn attrs_of(input: &FnArg) -> &[Attribute] {
    match input {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(typed) => &typed.attrs,
    }
}

fn attrs_of_mut(input: &mut FnArg) -> &mut Vec<Attribute> {
    match input {
        FnArg::Receiver(receiver) => &mut receiver.attrs,
        FnArg::Typed(typed) => &mut typed.attrs,
    }
}

fn names(input: &FnArg) -> Vec<Ident> {
    match input {
        FnArg::Receiver(_) => Vec::new(),
        FnArg::Typed(typed) => super::params::bindings(&typed.pat).into_iter().collect(),
    }
}
