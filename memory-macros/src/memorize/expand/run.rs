//! A run: the call into the engine, and how it starts the body.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Ident, Type};

use super::{Expansion, Flavor, Host, operand, site, site_at};
use crate::memorize::params::{Param, Pass};

/// Whether the engine looks the value up first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Memorized,
    Refresh,
}

impl Expansion<'_> {
    // Output: match { let key = ..; detached(call(plan, cache, &key, refresh), move || (judge, move || get_user::__fm_task(id))) } {
    //     AtOnce(answer) => answer, Later(run) => run.await }
    pub(super) fn run(&self, cache: &Cache, mode: Mode) -> TokenStream {
        if let (Some(one), Some(batch)) = (&self.one, &self.config.batch) {
            return self.run_batch(one, batch, cache, mode);
        }
        let private = &self.private;
        let proofs = self.proofs();
        let (plan, judge, start) = (self.plan(), self.judge_of_run(), self.start());
        let key = self.build_key(&self.key_arguments());
        let refresh = self.refresh(mode);
        let engine = self.engine(mode);
        let Cache { before, value } = cache;
        let locals = self.locals();
        let (limits, answering) = (self.limits(), self.answering());
        let called = quote_spanned! {site()=> {
            #key
            let __fm_refresh: #private::std::primitive::bool = #refresh;
            #private::#engine(#private::call(#plan, #value, &__fm_words, __fm_refresh)#limits #answering, move || (#judge, #start))
        }};
        // The key is gone before anything is awaited: the lookup is done by then.
        let run = match self.flavor {
            Flavor::Sync => called,
            _ => quote_spanned! {site()=>
                match #called {
                    #private::Answered::AtOnce(__fm_answer) => __fm_answer,
                    #private::Answered::Later(__fm_run) => __fm_run.await,
                }
            },
        };
        quote_spanned! {site()=>
            #locals
            #proofs
            #before
            #run
        }
    }

    fn engine(&self, mode: Mode) -> TokenStream {
        match (self.flavor, self.in_place, mode) {
            (Flavor::Sync, _, Mode::Memorized) => quote!(blocking),
            (Flavor::Sync, _, Mode::Refresh) => quote!(refresh_blocking),
            (_, false, Mode::Memorized) => quote!(detached),
            (_, true, Mode::Memorized) => quote!(in_place),
            (_, false, Mode::Refresh) => quote!(refresh_detached),
            (_, true, Mode::Refresh) => quote!(refresh_in_place),
        }
    }

    fn refresh(&self, mode: Mode) -> TokenStream {
        match &self.config.refresh_if {
            _ if mode == Mode::Refresh => quote!(true),
            None => quote!(false),
            Some(expr) => {
                let private = &self.private;
                let bound = self.bind(&expr.to_token_stream());
                quote_spanned! {site()=> {
                    #[allow(unused_imports)]
                    use #private::probes::*;
                    #bound
                    #expr
                }}
            }
        }
    }

    // Output: .within(Some(span(0.2)), None)
    pub(super) fn limits(&self) -> Option<TokenStream> {
        let private = &self.private;
        let (soft, hard) = (&self.config.soft_timeout, &self.config.timeout);
        if soft.is_none() && hard.is_none() {
            return None;
        }
        let limit = |limit: &Option<syn::Expr>| match limit {
            None => quote_spanned!(site()=> #private::none()),
            Some(expr) => {
                let bound = self.bind(&expr.to_token_stream());
                quote_spanned! {site_at(syn::spanned::Spanned::span(expr))=> {
                    #[allow(unused_imports)]
                    use #private::probes::*;
                    #bound
                    #private::some(#private::span(#expr))
                }}
            }
        };
        let (soft, hard) = (limit(soft), limit(hard));
        Some(quote_spanned!(site()=> .within(#soft, #hard)))
    }

    // Output: .answering(if Part(&id).can_be_extracted() { Plan::show(plan) } else { None })
    /// An axum handler is async, owns its arguments, and takes what requests hold.
    fn answering(&self) -> Option<TokenStream> {
        let private = &self.private;
        let is_handler = self.flavor == Flavor::Async
            && self.params.receiver.is_none()
            && self.params.list.iter().all(|param| matches!(param.pass, Pass::Move) && !param.is_impl());
        if !is_handler {
            return None;
        }
        let plan = self.plan();
        let extracted = self.params.list.iter().map(|param| {
            let ident = &param.ident;
            quote_spanned!(site()=> && #private::Part(&#ident).can_be_extracted())
        });
        Some(quote_spanned! {site()=> .answering({
            #[allow(unused_imports)]
            use #private::probes::*;
            if true #(#extracted)* { #private::Plan::show(#plan) } else { #private::none() }
        })})
    }

    /// Proofs that what is spelled `State` is axum's.
    pub(super) fn proofs(&self) -> TokenStream {
        let private = &self.private;
        let states = self.params.list.iter().filter(|param| param.is_state);
        states
            .map(|param| {
                let ident = &param.ident;
                quote_spanned!(site_at(param.span())=> #private::axum_state(&#ident);)
            })
            .collect()
    }

    /// What stands beside the other functions, where there is no place for it.
    pub(super) fn locals(&self) -> Option<TokenStream> {
        matches!(self.host, Host::Inline).then(|| self.of_one().inline_parts())
    }

    fn inline_parts(&self) -> TokenStream {
        let spec = self.spec_static();
        let plan = self.found_plan();
        quote_spanned!(site()=> #spec let __fm_spec = &SPEC; let __fm_plan = { #plan };)
    }

    /// The closure that starts the body.
    fn start(&self) -> TokenStream {
        let private = &self.private;
        match (&self.host, self.flavor) {
            (Host::Inline, _) => self.start_inline(),
            (_, Flavor::Sync) => {
                let body = self.call_body(self.moved());
                quote_spanned!(site()=> move || #body)
            }
            _ if self.in_place => {
                let body = self.call_body(self.moved());
                quote_spanned!(site()=> move || #private::boxed(#body))
            }
            _ => self.start_task(),
        }
    }

    fn moved(&self) -> Vec<TokenStream> {
        self.params.list.iter().map(|param| param.ident.to_token_stream()).collect()
    }

    fn start_task(&self) -> TokenStream {
        let task = self.part("task");
        let arguments = self.this().into_iter().chain(self.params.list.iter().map(|param| self.owned(param)));
        let probes = self.use_probes_where_copied();
        let turbofish = self.turbofish();
        quote_spanned!(site()=> move || { #probes #task #turbofish (#(#arguments),*) })
    }

    pub(super) fn use_probes_where_copied(&self) -> Option<TokenStream> {
        let private = &self.private;
        let copied = self.owned_by_task().next();
        copied.map(|_| quote_spanned!(site()=> #[allow(unused_imports)] use #private::probes::*;))
    }

    /// An argument as a task can own it.
    pub(super) fn owned(&self, param: &Param) -> TokenStream {
        let private = &self.private;
        let held = self.held();
        let ident = &param.ident;
        let owned = |value: TokenStream, ty: &Type| {
            quote_spanned! {site_at(param.span())=> {
                let __fm_own = #private::Own::<#ty, _>::#held(#value);
                let __fm_way = (&&__fm_own).way();
                #private::ownable(__fm_own, __fm_way);
                __fm_way.own(__fm_own)
            }}
        };
        match &param.pass {
            Pass::Move | Pass::Borrowed => ident.to_token_stream(),
            Pass::Reference(ty) => owned(ident.to_token_stream(), ty),
            Pass::Optional(ty) => {
                let owned = owned(quote_spanned!(site()=> __fm_value), ty);
                quote_spanned!(site()=> #ident.map(|__fm_value| #owned))
            }
            Pass::Cow(_) => quote_spanned!(site()=> #ident.into_owned()),
        }
    }

    /// Whether the future of the body is known to hold the arguments: that of an `async fn` does, even where it doesn't use them.
    pub(super) fn held(&self) -> Ident {
        let is_held = !self.in_place && !matches!(self.host, Host::Inline);
        Ident::new(if is_held { "held" } else { "unheld" }, site())
    }

    // Output: move || boxed(async move { let Path(id) = id; BODY })
    fn start_inline(&self) -> TokenStream {
        let private = &self.private;
        let returned = &self.returned;
        let body = &self.function.body;
        let patterns = self.patterns();
        match self.flavor {
            Flavor::Sync => quote_spanned!(site()=> move || -> #returned { #patterns #body }),
            Flavor::Boxed if self.in_place => {
                let output = &self.function.sig.output;
                quote_spanned!(site()=> move || #output { #patterns #body })
            }
            Flavor::Async if self.in_place => {
                let body = self.typed_body(&patterns);
                quote_spanned!(site_at(self.name().span())=> move || #private::boxed(#body))
            }
            Flavor::Boxed if self.owned_by_task().next().is_none() => {
                quote_spanned!(site()=> move || -> #private::BoxFuture<'static, #returned> { #patterns #body })
            }
            Flavor::Boxed => {
                let borrowed = self.borrowed_again();
                self.start_inline_owning(&quote_spanned! {site()=>
                    async move {
                        #borrowed
                        let __fm_start = move || -> #private::BoxFuture<'_, #returned> { #patterns #body };
                        __fm_start().await
                    }
                })
            }
            Flavor::Async => {
                let borrowed = self.borrowed_again();
                self.start_inline_owning(&self.typed_body(&quote!(#borrowed #patterns)))
            }
        }
    }

    // Input:  word: &str
    // Output: move || { let word = word.to_owned(); in_place_unless_send(async move { let word = word.borrow(); BODY }) }
    fn start_inline_owning(&self, body: &TokenStream) -> TokenStream {
        let private = &self.private;
        let (names, owned): (Vec<_>, Vec<_>) =
            self.owned_by_task().map(|param| (&param.ident, self.owned(param))).unzip();
        let probes = self.use_probes_where_copied();
        quote_spanned! {site_at(self.name().span())=> move || {
            #probes
            #(let #names = #owned;)*
            #private::in_place_unless_send(#body)
        }}
    }

    /// An `async` block knows its type only from what it returns, so it is told.
    pub(super) fn typed_body(&self, patterns: &TokenStream) -> TokenStream {
        let private = &self.private;
        let returned = &self.returned;
        let body = &self.function.body;
        quote_spanned! {site()=>
            async move {
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                if false {
                    return #private::placeholder::<#returned>();
                }
                #patterns
                #[allow(unreachable_code, clippy::let_unit_value, clippy::let_and_return)]
                let __fm_returned: #returned = #body;
                #[allow(unreachable_code)]
                __fm_returned
            }
        }
    }

    /// The arguments, taken apart as the signature says.
    pub(super) fn patterns(&self) -> TokenStream {
        let bound = self.params.list.iter().map(|param| {
            let (pat, ty, ident) = (&param.pat, &param.ty, &param.ident);
            // What a task owns has not the lifetime that the signature says.
            let can_be_said = !param.is_impl() && !self.is_owned_by_task(param);
            let ty = can_be_said.then(|| quote!(: #ty));
            quote!(let #pat #ty = #ident;)
        });
        bound.collect()
    }

    // Output: let word = Borrow::<str>::borrow(&word);
    /// The arguments that are borrowed from what a task owns.
    pub(super) fn borrowed_again(&self) -> TokenStream {
        let borrowed = self.owned_by_task().map(|param| {
            let (ident, argument) = (&param.ident, self.task_argument(param));
            quote_spanned!(site()=> let #ident = #argument;)
        });
        borrowed.collect()
    }

    fn owned_by_task(&self) -> impl Iterator<Item = &Param> {
        self.params.list.iter().filter(|param| self.is_owned_by_task(param))
    }

    /// Whether an argument is borrowed and the body runs in a task of its own, which owns it in another form.
    pub(super) fn is_owned_by_task(&self, param: &Param) -> bool {
        !self.in_place && !matches!(param.pass, Pass::Move)
    }

    /// The cache of a call with all arguments at hand.
    pub(super) fn cache(&self) -> Cache {
        let private = &self.private;
        let Some(expr) = &self.config.cache else { return Cache::value(quote_spanned!(site()=> #private::none())) };
        let value = operand(expr);
        let tokens = expr.to_token_stream();
        let span = site_at(syn::spanned::Spanned::span(expr));
        let only_self = !self.params.list.iter().any(|param| super::mentions_param(&tokens, param));
        if !self.mentions_arguments(&tokens) || (only_self && self.self_is_reference()) {
            return Cache::value(quote_spanned!(span=> #private::chosen(&#value)));
        }
        let bound = self.bind(&tokens);
        let before = quote_spanned! {span=>
            let __fm_cache = {
                #[allow(unused_imports)]
                use #private::probes::*;
                #bound
                #private::handle(&#value)
            };
        };
        Cache { before, value: quote_spanned!(span=> #private::chosen(&__fm_cache)) }
    }
}

/// Which cache a call goes to.
pub(super) struct Cache {
    /// What has to be done while the arguments are at hand.
    pub(super) before: TokenStream,
    /// An `Option<&FmCache>`.
    pub(super) value: TokenStream,
}

impl Cache {
    pub(super) fn value(value: TokenStream) -> Self {
        Self { before: TokenStream::new(), value }
    }
}
