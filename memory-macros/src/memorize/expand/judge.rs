//! What becomes of a returned value, decided on a miss.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Ident};

use super::{Expansion, mentioned_names, mentions_param, operand, site, site_at};
use crate::memorize::{
    mentions::{mentions, with_self_as},
    params::{Param, Pass},
    validate::{Kept, Life, Tags},
};

impl Expansion<'_> {
    /// What judges a value at once, while the arguments are at hand: a function, or a closure where it mentions any.
    pub(super) fn judge(&self) -> TokenStream {
        if !self.judge_is_closure() {
            return self.judge_without_arguments();
        }
        self.judge_closure(&self.bind(&self.judge_tokens()), &TokenStream::new(), &self.verdict())
    }

    /// What judges the value that a run returns: as the other, but of arguments that have gone to the body it keeps copies.
    pub(super) fn judge_of_run(&self) -> TokenStream {
        if !self.judge_is_closure() {
            return self.judge_without_arguments();
        }
        let tokens = self.judge_tokens();
        let mentioned = self.params.list.iter().filter(|param| mentions_param(&tokens, param));
        let (kept, bound): (TokenStream, TokenStream) = mentioned.map(|param| self.keep(param, &tokens)).unzip();
        match self.params.receiver.as_ref().filter(|_| mentions(&tokens, "self") && !self.self_is_reference()) {
            None => self.judge_closure(&kept, &bound, &self.verdict()),
            Some(receiver) => {
                let copy = Ident::new("__fm_self", site());
                let value = self.copy(receiver.self_token.span, &receiver.self_token.to_token_stream());
                let kept = quote_spanned!(site()=> #kept let #copy = #value;);
                let private = &self.private;
                let bound = quote_spanned!(site()=> #bound let #copy = (&#private::Bind(#copy.lend())).bind(););
                self.judge_closure(&kept, &bound, &with_self_as(&copy, self.verdict()))
            }
        }
    }

    pub(super) fn judge_without_arguments(&self) -> TokenStream {
        let private = &self.private;
        if !self.has_judge() {
            return quote_spanned!(site()=> #private::keep);
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

    // Output: { use probes::*; let id = ..; move |returned: &R| { let id = ..; { .. } } }
    fn judge_closure(&self, outside: &TokenStream, inside: &TokenStream, verdict: &TokenStream) -> TokenStream {
        let private = &self.private;
        let returned = &self.returned;
        quote_spanned! {site()=> {
            #[allow(unused_imports)]
            use #private::probes::*;
            #outside
            move |__fm_returned: &#returned| { #inside #verdict }
        }}
    }

    /// What the judge of a run keeps of a parameter, and how it binds the names that the parameter binds.
    pub(super) fn keep(&self, param: &Param, tokens: &TokenStream) -> (TokenStream, TokenStream) {
        match param.pass {
            _ if self.is_owned_by_task(param) => self.keep_whole(param, tokens),
            Pass::Reference(_) => (self.bind_param(param, tokens), TokenStream::new()),
            _ => self.keep_names(param, tokens),
        }
    }

    // Input:  Path(id): Path<u64>
    // Output: let Path(id) = &arg0; let id = copy(id); .. let id = (&Bind(id.lend())).bind();
    fn keep_names(&self, param: &Param, tokens: &TokenStream) -> (TokenStream, TokenStream) {
        let private = &self.private;
        let ident = &param.ident;
        let names = mentioned_names(param, tokens);
        let matched = param.match_reference(&quote_spanned!(site()=> &#ident));
        let copies = names.iter().map(|name| self.copy(param.span(), &quote!(*#name)));
        let kept = quote_spanned! {site()=>
            #[allow(unused_variables, clippy::needless_borrowed_reference)]
            #matched
            #(let #names = #copies;)*
        };
        let bound = quote_spanned!(site()=> #(#[allow(unused_variables)] let #names = (&#private::Bind(#names.lend())).bind();)*);
        (kept, bound)
    }

    // Input:  name: &str
    // Output: let name = name.to_owned(); .. let name = Borrow::<str>::borrow(&name);
    /// A borrowed argument of a body that runs in a task of its own, kept as the task keeps it.
    fn keep_whole(&self, param: &Param, tokens: &TokenStream) -> (TokenStream, TokenStream) {
        let private = &self.private;
        let ident = &param.ident;
        let owned = match param.pass {
            Pass::Cow(_) => quote_spanned!(site()=> #private::std::clone::Clone::clone(&#ident).into_owned()),
            _ => self.owned(param),
        };
        let (argument, bound) = (self.task_argument(param), self.bind_param(param, tokens));
        (quote_spanned!(site()=> let #ident = #owned;), quote_spanned!(site()=> let #ident = #argument; #bound))
    }

    fn copy(&self, span: Span, place: &TokenStream) -> TokenStream {
        let private = &self.private;
        let held = self.held();
        quote_spanned! {site_at(span)=> {
            let __fm_mention = #private::Mention::#held(&#place);
            let __fm_way = (&&__fm_mention).way();
            #private::mentionable(__fm_mention, __fm_way);
            __fm_way.copy(__fm_mention)
        }}
    }

    /// Whether anything was said about returned values.
    pub(super) fn has_judge(&self) -> bool {
        self.config.judges()
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
    pub(super) fn judge_tokens(&self) -> TokenStream {
        let all = self.config.judging();
        if all.is_empty() { TokenStream::new() } else { quote!((#(#all,)*)) }
    }

    // Output: { let mut verdict = Verdict::keep(); { verdict.expiry = Some(life(60)); .. } verdict }
    // Where an argument takes a closure, it takes no path: clippy must not propose one.
    pub(super) fn verdict(&self) -> TokenStream {
        let private = &self.private;
        let config = self.config;
        let some = |field: &str, how: TokenStream, expr: &Option<Expr>| {
            let field = Ident::new(field, site());
            expr.as_ref()
                .map(|expr| quote_spanned!(site()=> __fm_verdict.#field = #private::some(#private::#how(#expr));))
        };
        let fields: TokenStream = [
            config
                .cache_if
                .as_ref()
                .map(|expr| quote_spanned!(site()=> __fm_verdict.store = #private::kept_when(__fm_returned, #expr);))
                .map(|store| self.of_value(&store)),
            self.expiry().map(|expiry| quote_spanned!(site()=> __fm_verdict.expiry = #expiry;)),
            some("jitter", quote!(ratio), &config.jitter),
            some("idle", quote!(span), &config.idle),
            some("stale_while_revalidate", quote!(span), &config.stale_while_revalidate),
            some("stale_if_error", quote!(span), &config.stale_if_error),
            some("refresh_ahead", quote!(ratio), &config.refresh_ahead),
            self.is_failure(),
            config.tags.as_ref().map(|tags| self.tags(tags)),
        ]
        .into_iter()
        .flatten()
        .collect();
        quote_spanned! {site()=> {
            let mut __fm_verdict = #private::Verdict::keep();
            #[allow(clippy::redundant_closure, clippy::redundant_closure_for_method_calls)]
            {
                #fields
            }
            __fm_verdict
        }}
    }

    // Output: verdict.is_failure = Some(fails(returned, is_retryable_error) || shape.is_none(returned));
    fn is_failure(&self) -> Option<TokenStream> {
        let private = &self.private;
        let shape = self.shape();
        let fails = match &self.config.stale_on {
            Some(Expr::Closure(closure)) => {
                let span = site_at(syn::spanned::Spanned::span(closure));
                quote_spanned!(span=> #private::fails_when(__fm_returned, #closure))
            }
            Some(predicate) => {
                let span = site_at(syn::spanned::Spanned::span(predicate));
                quote_spanned!(span=> #private::fails_by(__fm_returned, #predicate))
            }
            None => quote_spanned!(site()=> #private::Outcome::is_err(#shape, __fm_returned)),
        };
        let none = self
            .config
            .stale_on_none
            .map(|_| quote_spanned!(site()=> || #private::Outcome::is_none(#shape, __fm_returned)));
        let is_said = self.config.stale_on.is_some() || none.is_some();
        is_said.then(|| quote_spanned!(site()=> __fm_verdict.is_failure = #private::some(#fails #none);))
    }

    // Output: verdict.tags.push(tag(&"loader")); verdict.tags.push(tag(&id));
    fn tags(&self, tags: &Tags) -> TokenStream {
        let private = &self.private;
        match tags {
            Tags::Listed(tags) => tags
                .iter()
                .map(|tag| {
                    let (span, tag) = (site_at(syn::spanned::Spanned::span(tag)), operand(tag));
                    quote_spanned!(span=> __fm_verdict.tags.push(#private::tag(&#tag));)
                })
                .collect(),
            Tags::Value(value) => {
                let span = site_at(syn::spanned::Spanned::span(value));
                quote_spanned!(span=> __fm_verdict.tags.extend(#private::tags(#value));)
            }
            Tags::Returned(closure) => {
                let span = site_at(syn::spanned::Spanned::span(closure));
                self.of_value(
                    &quote_spanned!(span=> __fm_verdict.tags.extend(#private::tags_of(__fm_returned, #closure));),
                )
            }
        }
    }

    // Output: if shape.is_none(returned) { Some(life(5)) } else { Some(life(60)) }
    fn expiry(&self) -> Option<TokenStream> {
        let private = &self.private;
        let usual = self.config.expire.as_ref().map(|life| match life {
            Life::Value(expr) => self.life(expr),
            Life::Returned(closure) => {
                self.some_of_value(&quote_spanned!(site()=> #private::life_of(__fm_returned, #closure)))
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
