//! An argument that only the attribute mentions is used all the same.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Ident;

use super::{mentions::mentions, params::Params, parse::Function, validate::Config};

// Input:  #[memorize(expire = life)] async fn f(life: u64) -> u32 { 1 }
// Output: async fn f(life: u64) -> u32 { let _ = &life; 1 }
/// The body, so that no lint says that such an argument is unused.
pub(crate) fn marked(function: &Function, params: &Params, config: &Config) -> Group {
    let names: Vec<&Ident> = params
        .list
        .iter()
        .flat_map(|param| &param.names)
        .filter(|name| config.expressions().iter().any(|expression| mentions(expression, &name.to_string())))
        .collect();
    let body = function.body.stream();
    if names.is_empty() || has_inner_attribute(&body) {
        return function.body.clone();
    }
    let mut group = Group::new(function.body.delimiter(), quote!(#(let _ = &#names;)* #body));
    group.set_span(function.body.span());
    group
}

/// `#![..]` must stay the first thing in a body.
fn has_inner_attribute(body: &TokenStream) -> bool {
    let mut tokens = body.clone().into_iter();
    let is = |token: Option<TokenTree>, char| token.is_some_and(|token| token.to_string() == char);
    is(tokens.next(), "#") && is(tokens.next(), "!")
}

impl Config {
    /// The expressions that may mention arguments.
    fn expressions(&self) -> Vec<TokenStream> {
        let asked_before = [&self.key, &self.refresh_if, &self.cache, &self.soft_timeout, &self.timeout];
        asked_before.into_iter().flatten().map(ToTokens::to_token_stream).chain(self.judging()).collect()
    }
}
