//! `batch = ids`: the call into the engine for many ids, and what the function of one id says about its entries.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Ident, spanned::Spanned};

use super::{
    Expansion, Flavor, Host, Param, companions::Companion, given::Given, mentioned_names, mentions_param, run::Cache,
    run::Mode, site, site_at,
};
use crate::memorize::batch::Batch;

impl Expansion<'_> {
    /// The function of one id, where this is one of many; else this one.
    pub(super) fn of_one(&self) -> &Self {
        self.one.as_deref().unwrap_or(self)
    }

    // Output: match batch_detached(calls::<R, _>(plan, cache).of(Ids::ids(ids), |id| { let key = ..; (key, refresh) }),
    //     move || (judge, move |ids| users::__fm_task(again(&db), list(ids)))) { AtOnce(answer) => answer, Later(run) => run.await }
    pub(super) fn run_batch(&self, one: &Self, batch: &Batch, cache: &Cache, mode: Mode) -> TokenStream {
        let private = &self.private;
        let (returned, id) = (&self.returned, &batch.id);
        let (locals, proofs, limits, plan) = (self.locals(), self.proofs(), self.limits(), one.plan());
        let ids = &self.params.list[batch.at];
        let (ids, ids_span) = (&ids.ident, site_at(ids.span()));
        let key = one.build_key(&one.key_arguments_of_batch(batch));
        let refresh = one.refresh_one(batch, mode);
        let (judge, start) = (one.judge_batch(batch), self.start_batch(batch));
        let Cache { before, value } = cache;
        let engine = if self.in_place { quote!(batch_in_place) } else { quote!(batch_detached) };
        let list = quote_spanned!(ids_span=> #private::Ids::ids(#ids));
        // What is returned has to fit all three: where it does not, that is said once, at its type.
        let at_returned = site_at(returned.span());
        let calls = quote_spanned!(at_returned=> #private::calls::<#returned, _>);
        let (engine, of) = (quote_spanned!(at_returned=> #private::#engine), quote_spanned!(at_returned=> of));
        quote_spanned! {site()=>
            #locals
            #proofs
            #before
            match #engine(
                #calls(#plan, #value)#limits.#of(#list, |__fm_id: &#id| {
                    #key
                    let __fm_refresh: #private::std::primitive::bool = #refresh;
                    (__fm_words, __fm_refresh)
                }),
                move || (#judge, #start),
            ) {
                #private::Answered::AtOnce(__fm_answer) => __fm_answer,
                #private::Answered::Later(__fm_run) => __fm_run.await,
            }
        }
    }

    fn key_arguments_of_batch(&self, batch: &Batch) -> TokenStream {
        let ids = &self.params.list[batch.at].ident;
        let keyed = self.keyed().map(|param| {
            if param.ident == *ids {
                self.push(param.span(), &quote_spanned!(site()=> __fm_id))
            } else {
                self.push_param(param)
            }
        });
        self.push_self().into_iter().chain(keyed).collect()
    }

    fn refresh_one(&self, batch: &Batch, mode: Mode) -> TokenStream {
        let private = &self.private;
        match &self.config.refresh_if {
            _ if mode == Mode::Refresh => quote!(true),
            None => quote!(false),
            Some(expr) => {
                let tokens = expr.to_token_stream();
                let bound: TokenStream =
                    self.others(batch, &tokens).map(|param| self.bind_param(param, &tokens)).collect();
                let id = self.bind_id(batch, &tokens);
                quote_spanned! {site()=> {
                    #[allow(unused_imports)]
                    use #private::probes::*;
                    #bound
                    #id
                    #expr
                }}
            }
        }
    }

    /// The other arguments that are mentioned.
    fn others<'s>(&'s self, batch: &'s Batch, tokens: &'s TokenStream) -> impl Iterator<Item = &'s Param> {
        let others = self.params.list.iter().enumerate().filter(|(at, _)| *at != batch.at);
        others.map(|(_, param)| param).filter(|param| mentions_param(tokens, param))
    }

    /// In what is said of one entry the name of the ids stands for its id.
    fn bind_id(&self, batch: &Batch, tokens: &TokenStream) -> TokenStream {
        let private = &self.private;
        let names = mentioned_names(&self.params.list[batch.at], tokens);
        quote_spanned!(site()=> #(let #names = (&#private::Bind(__fm_id)).bind();)*)
    }

    // Output: |id: &u64, returned: &R| get_user::__fm_judge(returned)
    fn judge_batch(&self, batch: &Batch) -> TokenStream {
        let private = &self.private;
        let (id, returned) = (&batch.id, &self.returned);
        if !self.judge_is_closure() {
            let judge = self.judge_without_arguments();
            return quote_spanned!(site()=> move |_: &#id, __fm_returned: &#returned| (#judge)(__fm_returned));
        }
        let tokens = self.judge_tokens();
        let (kept, bound): (TokenStream, TokenStream) =
            self.others(batch, &tokens).map(|param| self.keep(param, &tokens)).unzip();
        let (bound_id, verdict) = (self.bind_id(batch, &tokens), self.verdict());
        quote_spanned! {site()=> {
            #[allow(unused_imports)]
            use #private::probes::*;
            #kept
            #[allow(unused_variables)]
            move |__fm_id: &#id, __fm_returned: &#returned| { #bound #bound_id #verdict }
        }}
    }

    /// The closure that starts the body for some of the ids, as often as it takes: it keeps the other arguments.
    fn start_batch(&self, batch: &Batch) -> TokenStream {
        let private = &self.private;
        let id = &batch.id;
        let others: Vec<&Param> =
            self.params.list.iter().enumerate().filter(|(at, _)| *at != batch.at).map(|(_, param)| param).collect();
        let (probes, kept) = if self.in_place {
            (None, Vec::new())
        } else {
            let owned = others.iter().filter(|param| self.is_owned_by_task(param));
            let kept: Vec<TokenStream> = owned
                .map(|param| {
                    let (ident, owned) = (&param.ident, self.owned(param));
                    quote_spanned!(site()=> let #ident = #owned;)
                })
                .collect();
            (self.use_probes_where_copied(), kept)
        };
        let again = others.iter().map(|param| {
            let ident = &param.ident;
            quote_spanned!(site_at(param.span())=> let #ident = #private::again(&#ident);)
        });
        let ids = &self.params.list[batch.at];
        let (ident, ty) = (&ids.ident, &ids.ty);
        let list = quote_spanned!(site_at(ids.span())=> let #ident = #private::list::<#ty>(__fm_ids););
        let body = self.start_with_arguments_at_hand(ids);
        quote_spanned! {site_at(self.name().span())=> {
            #probes
            #(#kept)*
            move |__fm_ids: #private::std::vec::Vec<#id>| {
                #(#again)*
                #list
                #body
            }
        }}
    }

    /// Starts the body with the arguments under their names, owned where it runs in a task.
    fn start_with_arguments_at_hand(&self, ids: &Param) -> TokenStream {
        let private = &self.private;
        let lent = |param: &Param| {
            let (ident, argument) = (&param.ident, self.task_argument(param));
            quote_spanned!(site()=> let #ident = #argument;)
        };
        let names = self.params.list.iter().map(|param| &param.ident);
        let how = if self.in_place { quote!(boxed) } else { quote!(in_place_unless_send) };
        match (&self.host, self.flavor) {
            (Host::Inline, Flavor::Boxed) => {
                let (patterns, body, output) = (self.patterns(), &self.function.body, &self.function.sig.output);
                let output = if self.in_place {
                    output.to_token_stream()
                } else {
                    let returned = &self.returned;
                    quote_spanned!(site()=> -> #private::BoxFuture<'static, #returned>)
                };
                quote_spanned!(site()=> let __fm_start = move || #output { #patterns #body }; __fm_start())
            }
            (Host::Inline, _) => {
                let borrowed = if self.in_place { lent(ids) } else { self.borrowed_again() };
                let patterns = self.patterns();
                let body = self.typed_body(&quote!(#borrowed #patterns));
                quote_spanned!(site_at(self.name().span())=> #private::#how(#body))
            }
            _ if self.in_place => {
                let (lent, body) = (lent(ids), self.call_body(names.map(ToTokens::to_token_stream).collect()));
                quote_spanned!(site()=> #private::boxed(async move { #lent #body.await }))
            }
            _ => {
                let (task, turbofish) = (self.part("task"), self.turbofish());
                let arguments = self.this().into_iter().chain(names.map(ToTokens::to_token_stream));
                quote_spanned!(site()=> #task #turbofish (#(#arguments),*))
            }
        }
    }

    /// A statement about the value of an entry, where there is one.
    pub(super) fn of_value(&self, statement: &TokenStream) -> TokenStream {
        let private = &self.private;
        let Some(many) = &self.many else { return statement.clone() };
        quote_spanned! {site()=>
            if let #private::std::option::Option::Some(__fm_returned) = <#many as #private::Many>::seen(__fm_returned) {
                #statement
            }
        }
    }

    /// `Some` of what is said about the value of an entry, where there is one.
    pub(super) fn some_of_value(&self, said: &TokenStream) -> TokenStream {
        let private = &self.private;
        match &self.many {
            None => quote_spanned!(site()=> #private::some(#said)),
            Some(many) => {
                quote_spanned!(site_at(many.span())=> <#many as #private::Many>::seen(__fm_returned).map(|__fm_returned| #said))
            }
        }
    }

    /// What `peek` and `put` speak of: what the function returns, or the value of one id, or perhaps none where that is remembered.
    pub(super) fn shown(&self) -> TokenStream {
        let private = &self.private;
        let Some(many) = &self.many else { return self.returned.to_token_stream() };
        let value = quote_spanned!(site_at(many.span())=> <#many as #private::Many>::Value);
        if self.remembers_none() { quote_spanned!(site()=> #private::std::option::Option<#value>) } else { value }
    }

    fn remembers_none(&self) -> bool {
        self.config.cache_none.is_some()
    }

    /// The function behind `peek`, and its type arguments.
    pub(super) fn peek(&self, usual: Ident) -> (Ident, Option<TokenStream>) {
        match &self.many {
            None => (usual, None),
            Some(many) => (
                Ident::new("peek_one", site_at(many.span())),
                Some(quote_spanned!(site_at(many.span())=> ::<#many, _, _>)),
            ),
        }
    }

    /// What `peek` does with what it finds.
    pub(super) fn peeked(&self) -> Option<TokenStream> {
        let private = &self.private;
        let is_plain = self.many.is_some() && !self.remembers_none();
        is_plain.then(|| quote_spanned!(site()=> .map(#private::std::option::Option::flatten)))
    }

    /// What `put` stores, as the function of one id would return it.
    pub(super) fn primed_with(&self) -> TokenStream {
        let private = &self.private;
        match &self.many {
            None => quote_spanned!(site()=> __fm_value),
            Some(many) if self.remembers_none() => {
                quote_spanned!(site_at(many.span())=> <#many as #private::Many>::one(__fm_value))
            }
            Some(many) => {
                quote_spanned!(site_at(many.span())=> <#many as #private::Many>::one(#private::some(__fm_value)))
            }
        }
    }

    // Output: pub fn invalidate_many(ids: impl IntoIterator<Item = u64>) -> RemoveMany { .. }
    pub(super) fn invalidate_many(&self, cache: &Cache, receiver: Option<&TokenStream>) -> Option<Companion> {
        let (private, batch) = (&self.private, self.many.as_ref().and(self.config.batch.as_ref())?);
        let ids = &self.params.list[batch.at].ident;
        let (given, id) = (self.given(), &batch.id);
        let Given { mut inputs, values, key } = self.taking(|param| param.ident != *ids);
        let at = given.iter().position(|param| param.ident == *ids)?;
        inputs[at] = quote_spanned!(site()=> #ids: impl #private::std::iter::IntoIterator<Item = #id>);
        let Cache { before, value } = cache;
        Some(Companion {
            name: "invalidate_many",
            doc: "Removes the cached values of these ids, in one round trip; how many were there.",
            receiver: receiver.cloned(),
            inputs,
            names: given.iter().map(|param| param.ident.clone()).collect(),
            is_async: false,
            output: quote!(#private::RemoveMany),
            body: quote_spanned! {site()=>
                #before
                #values
                let __fm_ids = #private::std::iter::IntoIterator::into_iter(#ids);
                #private::invalidate_many(#value, #private::std::iter::Iterator::map(__fm_ids, |#ids: #id| #key))
            },
        })
    }
}
