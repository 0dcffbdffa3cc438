//! The one order of attributes: fallback → memorize → timeout → retry → hedge → guards of one attempt → body.
//!
//! Attributes expand from the outside, and what expands first wraps the body most closely. So one that sees an attribute which
//! belongs further inside puts itself right behind it, once; in the end all are sorted.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, ItemFn, Meta};

/// The guards of one attempt: the one that expands first takes the others along.
pub(super) const GUARDS: [&str; 3] = ["circuit_breaker", "rate_limit", "bulkhead"];

/// What marks an attribute that has put itself behind the others, in front of its arguments.
const ORDERED: &str = "__ordered";
/// The whole of the arguments of a guard that another one has taken along. It stays, so that its import is used.
const TAKEN: &str = "__taken";

/// How far outside an attribute belongs: 0 is next to the body.
fn rank(name: &str, args: &TokenStream) -> Option<u8> {
    match name {
        _ if is_taken(args) => None,
        "instrument" => Some(0),
        "timeout" if is_of_attempt(args) => Some(1),
        name if GUARDS.contains(&name) => Some(2),
        "hedge" => Some(3),
        "retry" | "default_retry" => Some(4),
        "timeout" => Some(5),
        "memorize" | "outermost" => Some(6),
        "fallback" => Some(7),
        _ => None,
    }
}

/// Whether a timeout is one of each attempt, or has yet to be split into that and another.
fn is_of_attempt(args: &TokenStream) -> bool {
    args.clone().into_iter().any(|token| is_word(&token, "attempt"))
}

/// The function again, with this attribute behind those that belong further inside.
pub(crate) fn behind_inner(name: &str, args: &TokenStream, function: &mut ItemFn) -> Option<TokenStream> {
    if args.clone().into_iter().next().is_some_and(|first| is_word(&first, ORDERED)) {
        return None;
    }
    let own = rank(name, args)?;
    let is_inner = |attr: &Attribute| of(attr).is_some_and(|rank| rank < own);
    let last = function.attrs.iter().rposition(is_inner)?;
    let krate = crate::memorize::krate(&without_mark(args.clone()));
    let (name, mark) = (Ident::new(name, Span::call_site()), Ident::new(ORDERED, Span::call_site()));
    let this = syn::parse_quote!(#[#krate::#name(#mark #args)]);
    function.attrs.insert(last + 1, this);
    Some(quote!(#function))
}

/// The error for another attribute of the same name and place in the order. Guards find theirs when they take each other along.
pub(super) fn twice(name: &str, args: &TokenStream, function: &ItemFn) -> Option<syn::Error> {
    let is_marked = |args: &TokenStream| args.clone().into_iter().next().is_some_and(|first| is_word(&first, ORDERED));
    if is_marked(args) || GUARDS.contains(&name) {
        return None;
    }
    let own = rank(name, args);
    let is_same = |attr: &&Attribute| {
        attr.path().segments.last().is_some_and(|last| last.ident == name)
            && of(attr) == own
            && !is_marked(&args_of(attr))
    };
    let second = function.attrs.iter().find(is_same)?.path().segments.last()?.ident.span();
    Some(syn::Error::new(second, format!("`{name}` stands here twice: keep one of them")))
}

fn of(attr: &Attribute) -> Option<u8> {
    let name = attr.path().segments.last()?.ident.to_string();
    rank(&name, &args_of(attr))
}

/// What stands between the parentheses of an attribute.
pub(super) fn args_of(attr: &Attribute) -> TokenStream {
    match &attr.meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    }
}

/// The arguments without the mark of [`behind_inner`].
pub(crate) fn without_mark(args: TokenStream) -> TokenStream {
    args.into_iter().skip_while(|token| is_word(token, ORDERED)).collect()
}

/// Whether the attribute was taken along by another one.
pub(crate) fn is_taken(args: &TokenStream) -> bool {
    args.clone().into_iter().next().is_some_and(|first| is_word(&first, TAKEN))
}

/// Takes the arguments of the other guards out of their attributes.
pub(super) fn take_guards(function: &mut ItemFn) -> Vec<(Ident, TokenStream)> {
    let mut taken = Vec::new();
    for attr in &mut function.attrs {
        let Some(name) = attr.path().segments.last().map(|last| last.ident.clone()) else { continue };
        if GUARDS.iter().any(|guard| name == guard) {
            let args = args_of(attr);
            if is_taken(&args) {
                continue;
            }
            taken.push((name, without_mark(args)));
            let (path, mark) = (attr.path().clone(), Ident::new(TAKEN, Span::call_site()));
            *attr = syn::parse_quote!(#[#path(#mark)]);
        }
    }
    taken
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}
