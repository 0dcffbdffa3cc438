//! What becomes of a returned value, decided on a miss.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;

use super::{Expansion, mentions_param, operand, site, site_at};
use crate::memorize::{
    mentions::mentions,
    params::Param,
    validate::{Kept, Life},
};

impl Expansion<'_> {
    /// What judges a returned value: a function, or a closure where an argument is mentioned.
    pub(super) fn judge(&self) -> TokenStream {
        let private = &self.private;
        if !self.has_judge() {
            return quote_spanned!(site()=> #private::keep);
        }
        if self.judge_is_closure() {
            return self.judge_closure();
        }
        if matches!(self.host, super::Host::Inline) {
            let verdict = self.verdict();
            let returned = &self.returned;
            return quote_spanned!(site()=> move |__fm_returned: &#returned| #verdict);
        }
        let judge = self.part("judge");
        let turbofish = self.turbofish();
        quote_spanned!(site()=> #judge #turbofish)
    }

    // Output: { let id = ..; move |returned: &R| { .. } }
    fn judge_closure(&self) -> TokenStream {
        let private = &self.private;
        let returned = &self.returned;
        let bound = self.bind(&self.judge_tokens());
        let verdict = self.verdict();
        quote_spanned! {site()=> {
            #[allow(unused_imports)]
            use #private::probes::*;
            #bound
            move |__fm_returned: &#returned| #verdict
        }}
    }

    /// Whether anything was said about returned values.
    pub(super) fn has_judge(&self) -> bool {
        !self.judge_tokens().is_empty()
    }

    /// Whether what was said mentions an argument, so that no separate function can say it.
    pub(super) fn judge_is_closure(&self) -> bool {
        self.mentions_arguments(&self.judge_tokens())
    }

    /// Whether what was said mentions this parameter.
    pub(super) fn judge_mentions(&self, param: &Param) -> bool {
        mentions_param(&self.judge_tokens(), param)
    }

    /// Whether what was said mentions nothing beyond these parameters, and `self` only where it is at hand.
    pub(super) fn judge_needs_only(&self, params: &[&Param], has_self: bool) -> bool {
        let tokens = self.judge_tokens();
        let given = |param: &Param| params.iter().any(|given| given.ident == param.ident);
        (has_self || !mentions(&tokens, "self"))
            && self.params.list.iter().all(|param| given(param) || !mentions_param(&tokens, param))
    }

    /// All that was said, as one expression.
    fn judge_tokens(&self) -> TokenStream {
        let config = self.config;
        let expire = config.expire.as_ref().map(|life| match life {
            Life::Value(expr) => expr.to_token_stream(),
            Life::Returned(closure) => closure.to_token_stream(),
        });
        let kept = [&config.cache_none, &config.cache_err].into_iter().flatten();
        let own = kept.filter_map(|kept| kept.life.as_ref());
        let rest = [&config.cache_if, &config.jitter, &config.idle].into_iter().flatten();
        let all: Vec<TokenStream> = expire.into_iter().chain(own.chain(rest).map(ToTokens::to_token_stream)).collect();
        if all.is_empty() { TokenStream::new() } else { quote!((#(#all,)*)) }
    }

    // Output: { let mut verdict = Verdict::keep(); verdict.expiry = Some(life(60)); .. verdict }
    pub(super) fn verdict(&self) -> TokenStream {
        let private = &self.private;
        let config = self.config;
        let fields: TokenStream = [
            config
                .cache_if
                .as_ref()
                .map(|expr| quote_spanned!(site()=> __fm_verdict.store = #private::kept_when(__fm_returned, #expr);)),
            self.expiry().map(|expiry| quote_spanned!(site()=> __fm_verdict.expiry = #expiry;)),
            config
                .jitter
                .as_ref()
                .map(|expr| quote_spanned!(site()=> __fm_verdict.jitter = #private::some(#private::ratio(#expr));)),
            config
                .idle
                .as_ref()
                .map(|expr| quote_spanned!(site()=> __fm_verdict.idle = #private::some(#private::span(#expr));)),
        ]
        .into_iter()
        .flatten()
        .collect();
        quote_spanned! {site()=> {
            let mut __fm_verdict = #private::Verdict::keep();
            #fields
            __fm_verdict
        }}
    }

    // Output: if shape.is_none(returned) { Some(life(5)) } else { Some(life(60)) }
    fn expiry(&self) -> Option<TokenStream> {
        let private = &self.private;
        let usual = self.config.expire.as_ref().map(|life| match life {
            Life::Value(expr) => self.life(expr),
            Life::Returned(closure) => {
                quote_spanned!(site()=> #private::some(#private::life_of(__fm_returned, #closure)))
            }
        });
        let own = |kept: &Option<Kept>| kept.as_ref().and_then(|kept| kept.life.as_ref()).map(|expr| self.life(expr));
        let (none, err) = (own(&self.config.cache_none), own(&self.config.cache_err));
        if none.is_none() && err.is_none() {
            return usual;
        }
        let usual = usual.unwrap_or_else(|| quote_spanned!(site()=> #private::none()));
        let shape = self.shape();
        let none = none
            .map(|life| quote_spanned!(site()=> if #private::Outcome::is_none(#shape, __fm_returned) { #life } else));
        let err =
            err.map(|life| quote_spanned!(site()=> if #private::Outcome::is_err(#shape, __fm_returned) { #life } else));
        Some(quote_spanned!(site()=> #none #err { #usual }))
    }

    fn shape(&self) -> TokenStream {
        let private = &self.private;
        let plan = self.plan();
        quote_spanned!(site()=> #private::Plan::shape(#plan))
    }

    fn life(&self, expr: &Expr) -> TokenStream {
        let private = &self.private;
        let value = operand(expr);
        quote_spanned!(site_at(syn::spanned::Spanned::span(expr))=> #private::some(#private::life(#value)))
    }
}
