//! The arguments as words of a key.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::{Expr, GenericParam, spanned::Spanned};

use super::{Expansion, Param, mentioned_names, mentions_param, operand, site, site_at};

impl Expansion<'_> {
    /// The key of a call whose arguments are at hand under the names of the parameters.
    pub(super) fn key(&self) -> TokenStream {
        self.key_of(&self.key_arguments())
    }

    /// Adds the arguments of such a call to its key.
    pub(super) fn key_arguments(&self) -> TokenStream {
        match &self.config.key {
            Some(expr) => self.push_expression(expr),
            None => self.push_self().into_iter().chain(self.keyed().map(|param| self.push_param(param))).collect(),
        }
    }

    // Output: { let mut words = SPEC.key(); { let key = &mut words; argument(key, Part(&id) ..); } words }
    pub(super) fn key_of(&self, arguments: &TokenStream) -> TokenStream {
        let built = self.build_key(arguments);
        quote_spanned!(site()=> { #built __fm_words })
    }

    /// Statements that leave the key in `__fm_words`, where it stays: it is large, and a hit would pay for each move.
    pub(super) fn build_key(&self, arguments: &TokenStream) -> TokenStream {
        let private = &self.private;
        let spec = self.spec();
        let types = self.push_types();
        if types.is_empty() && arguments.is_empty() {
            return quote_spanned!(site()=> let __fm_words = #spec.key(););
        }
        quote_spanned! {site()=>
            let mut __fm_words = #spec.key();
            {
                #[allow(unused_imports)]
                use #private::probes::*;
                let __fm_key = &mut __fm_words;
                #types
                #arguments
            }
        }
    }

    /// The parameters that are in the key where `key = ..` doesn't say otherwise.
    pub(super) fn keyed(&self) -> impl Iterator<Item = &Param> {
        let skipped = |(at, param): &(usize, &Param)| !param.is_state && !self.config.skip.contains(at);
        self.params.list.iter().enumerate().filter(skipped).map(|(_, param)| param)
    }

    /// Whether `self` is in the key.
    pub(super) fn self_is_keyed(&self) -> bool {
        self.params.receiver.is_some() && !self.config.skip_self
    }

    pub(super) fn push_self(&self) -> Option<TokenStream> {
        let receiver = self.params.receiver.as_ref().filter(|_| self.self_is_keyed())?;
        let this = receiver.self_token;
        Some(self.push(receiver.self_token.span, &quote_spanned!(site()=> &#this)))
    }

    pub(super) fn push_param(&self, param: &Param) -> TokenStream {
        let ident = &param.ident;
        let private = &self.private;
        let argument = self.push(param.span(), &quote_spanned!(site()=> &#ident));
        if !param.is_impl() {
            return argument;
        }
        quote_spanned!(site()=> __fm_key.push_type(#private::std::any::type_name_of_val(&#ident)); #argument)
    }

    /// Adds the value behind a reference, by what its type can do.
    pub(super) fn push(&self, span: proc_macro2::Span, reference: &TokenStream) -> TokenStream {
        let private = &self.private;
        quote_spanned! {site_at(span)=>
            let __fm_value = #reference;
            let __fm_part = #private::Part(__fm_value).peel().peel();
            #private::argument(__fm_key, __fm_part, (&&&__fm_part).way());
        }
    }

    // Input:  key = (id, lang.to_lowercase())
    // Output: let id = ..; let lang = ..; argument(&mut key, Part(&id) ..); argument(&mut key, Part(&lang.to_lowercase()) ..);
    fn push_expression(&self, expr: &Expr) -> TokenStream {
        let bound = self.bind(&expr.to_token_stream());
        let elements: Vec<&Expr> = match expr {
            Expr::Tuple(tuple) => tuple.elems.iter().collect(),
            other => vec![other],
        };
        let pushed = elements.iter().map(|element| {
            let value = operand(element);
            self.push(element.span(), &quote_spanned!(site_at(element.span())=> &#value))
        });
        let pushed: TokenStream = pushed.collect();
        quote_spanned!(site()=> #bound #pushed)
    }

    /// Binds the arguments that `tokens` mention: by value where they are `Copy`, else by reference.
    pub(super) fn bind(&self, tokens: &TokenStream) -> TokenStream {
        let mentioned = self.params.list.iter().filter(|param| mentions_param(tokens, param));
        mentioned.map(|param| self.bind_param(param, tokens)).collect()
    }

    pub(super) fn bind_param(&self, param: &Param, tokens: &TokenStream) -> TokenStream {
        let private = &self.private;
        let ident = &param.ident;
        let used = mentioned_names(param, tokens);
        let matched = param.match_reference(&quote_spanned!(site()=> &#ident));
        quote_spanned! {site()=>
            #[allow(unused_variables, clippy::needless_borrowed_reference)]
            #matched
            #(#[allow(unused_variables)] let #used = (&#private::Bind(#used)).bind();)*
        }
    }

    /// `Self`, type and const parameters, which are part of the key.
    fn push_types(&self) -> TokenStream {
        let private = &self.private;
        let mut tokens = TokenStream::new();
        if self.is_method() {
            tokens.extend(quote_spanned!(site()=> __fm_key.push_type(#private::std::any::type_name::<Self>());));
        }
        for param in &self.function.sig.generics.params {
            tokens.extend(match param {
                GenericParam::Lifetime(_) => continue,
                GenericParam::Type(param) => {
                    let ident = &param.ident;
                    quote_spanned!(site()=> __fm_key.push_type(#private::std::any::type_name::<#ident>());)
                }
                GenericParam::Const(param) => {
                    let ident = &param.ident;
                    self.push(ident.span(), &quote_spanned!(site()=> &#ident))
                }
            });
        }
        tokens
    }
}
