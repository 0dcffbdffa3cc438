//! The generated functions that the wrapper and the companions share.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, Type, spanned::Spanned};

use super::{Expansion, Flavor, Host, site, site_at};
use crate::memorize::{
    params::{Param, Pass},
    validate::Kept,
};

impl Expansion<'_> {
    // Output: fn __fm_spec() -> &'static FnSpec { .. }
    //         fn __fm_plan() -> impl Plan<Return = R> { .. }
    //         fn __fm_judge(returned: &R) -> Verdict { .. }
    //         fn __fm_key(id: &u64) -> KeyBuf { .. }
    //         async fn __fm_body(Path(id): Path<u64>) -> R { BODY }
    //         fn __fm_task(id: Path<u64>) -> Pin<Box<dyn Future<Output = R> + Send>> { .. }
    pub(super) fn parts(&self) -> TokenStream {
        let task = (!self.in_place && self.flavor == Flavor::Async).then(|| self.task());
        let one = self.of_one();
        let judge = (one.has_judge() && !one.judge_is_closure()).then(|| one.judge_part());
        let key = one.shares_key().then(|| one.key_part());
        let parts = [Some(one.spec_part()), Some(one.plan_part()), judge, key, Some(self.body()), task];
        parts.into_iter().flatten().collect()
    }

    fn spec_part(&self) -> TokenStream {
        let private = &self.private;
        let ident = self.part_ident("spec");
        let statics = self.spec_static();
        quote_spanned! {site()=>
            #[doc(hidden)]
            #[allow(dead_code)]
            fn #ident() -> &'static #private::FnSpec {
                #statics
                &SPEC
            }
        }
    }

    /// The static that stands for the function, as `SPEC`.
    pub(super) fn spec_static(&self) -> TokenStream {
        let private = &self.private;
        let name = self.name().to_string();
        let id = match &self.host {
            Host::Companion { name: companion, .. } if companion == self.name() => {
                quote_spanned!(site()=> #private::companion_id::<#companion>)
            }
            Host::Companion { name: companion, .. } => {
                quote_spanned!(site()=> || #private::renamed_id::<#companion>(#name))
            }
            _ => quote_spanned!(site()=> || #private::function_id::<Marker>(#name)),
        };
        let marker = self.is_method().then(|| quote_spanned!(site()=> enum Marker {}));
        let config = self.config;
        let name = config.name.iter().map(|name| quote_spanned!(site()=> .name(#name)));
        let namespace = config.namespace.iter().map(|namespace| quote_spanned!(site()=> .namespace(#namespace)));
        let version = config.version.iter().map(|version| quote_spanned!(site()=> .version(#version)));
        let settings: TokenStream = name.chain(namespace).chain(version).collect();
        quote_spanned! {site()=>
            #marker
            static SPEC: #private::FnSpec = #private::FnSpec::new(
                #id,
                #private::std::file!(),
                #private::std::line!(),
                #private::std::column!(),
            )#settings;
        }
    }

    /// What stands for the function: `&'static FnSpec`.
    pub(super) fn spec(&self) -> TokenStream {
        match self.host {
            Host::Inline => quote_spanned!(site()=> __fm_spec),
            _ => {
                let spec = self.part("spec");
                quote_spanned!(site()=> #spec())
            }
        }
    }

    fn plan_part(&self) -> TokenStream {
        let private = &self.private;
        let ident = self.part_ident("plan");
        let returned = &self.returned;
        let found = self.found_plan();
        let generics = self.generics_for(&returned.to_token_stream());
        let (generics, _, wheres) = generics.split_for_impl();
        quote_spanned! {site()=>
            #[doc(hidden)]
            #[allow(dead_code)]
            fn #ident #generics () -> impl #private::Plan<Return = #returned> #wheres {
                #found
            }
        }
    }

    // Output: use probes::*; let layers = layers::<R>().result().option().head().json(); plan(layers, portable(..), ..)
    pub(super) fn found_plan(&self) -> TokenStream {
        let private = &self.private;
        let returned = &self.returned;
        let span = site_at(returned.span());
        let check = if self.config.memory_only { quote!(memory_only) } else { quote!(portable) };
        // The bound on bytes is not even tried for values that never become bytes.
        let asked = if self.config.memory_only { quote!(&) } else { quote!(&&) };
        let asked_for_none = self
            .config
            .stale_on_none
            .map(|span| quote_spanned!(site_at(span)=> #private::kept(__fm_layers.has_option());));
        let layers = [
            kept_layer(&self.config.cache_err, "result", private),
            asked_for_none.unwrap_or_default(),
            kept_layer(&self.config.cache_none, "option", private),
        ];
        let checked = quote_spanned!(span=> #private::#check(__fm_stored, __fm_way););
        let ends = self
            .config
            .timeout
            .as_ref()
            .map(|timeout| quote_spanned!(site_at(timeout.span())=> #private::ends(__fm_returning, __fm_ended);));
        quote_spanned! {site()=>
            #[allow(unused_imports)]
            use #private::probes::*;
            let __fm_layers = #private::layers::<#returned>();
            #(#layers)*
            let __fm_layers = __fm_layers.head().json();
            let __fm_stored = __fm_layers.stored();
            let __fm_way = (#asked __fm_stored).way();
            #checked
            let __fm_returning = #private::returning::<#returned>();
            let __fm_ended = (&__fm_returning).way();
            #ends
            let __fm_show = (&__fm_returning).show();
            #private::plan(__fm_way.shape(__fm_layers), __fm_way.face(), (&&&__fm_layers.failure()).share(), __fm_ended, __fm_show)
        }
    }

    /// Everything about the return type.
    pub(super) fn plan(&self) -> TokenStream {
        match self.host {
            Host::Inline => quote_spanned!(site()=> __fm_plan),
            _ => {
                let plan = self.part("plan");
                let turbofish = self.turbofish();
                quote_spanned!(site()=> #plan #turbofish ())
            }
        }
    }

    fn judge_part(&self) -> TokenStream {
        let private = &self.private;
        let ident = self.part_ident("judge");
        let returned = &self.returned;
        let verdict = self.verdict();
        let generics = self.generics_for(&returned.to_token_stream());
        let (generics, _, wheres) = generics.split_for_impl();
        quote_spanned! {site()=>
            #[doc(hidden)]
            #[allow(dead_code)]
            fn #ident #generics (__fm_returned: &#returned) -> #private::Verdict #wheres #verdict
        }
    }

    fn body(&self) -> TokenStream {
        let attrs = self.function.attrs.iter().filter(|attr| is_lint(attr));
        let mut sig = self.function.sig.clone();
        sig.ident = self.part_ident("body");
        sig.ident.set_span(self.name().span());
        let body = &self.function.body;
        quote! {
            #[doc(hidden)]
            #[allow(clippy::unused_async, clippy::too_many_arguments, clippy::unused_self)]
            #(#attrs)*
            #sig #body
        }
    }

    fn task(&self) -> TokenStream {
        let private = &self.private;
        let ident = self.part_ident("task");
        let returned = &self.returned;
        let receiver = self.receiver().map(|receiver| quote!(#receiver,));
        let inputs: Vec<TokenStream> = self.params.list.iter().map(|param| self.task_input(param)).collect();
        let generics = self.generics_for(&inputs.iter().cloned().collect());
        let (generics, _, wheres) = generics.split_for_impl();
        let arguments = self.params.list.iter().map(|param| self.task_argument(param));
        let body = self.call_body(arguments.collect());
        let moves = self.params.list.iter().all(|param| matches!(param.pass, Pass::Move));
        let body = if moves { body } else { quote_spanned!(site()=> async move { #body.await }) };
        quote_spanned! {site_at(self.name().span())=>
            #[doc(hidden)]
            #[allow(dead_code, clippy::too_many_arguments)]
            fn #ident #generics (#receiver #(#inputs),*) -> #private::BoxFuture<'static, #returned> #wheres {
                #private::in_place_unless_send(#body)
            }
        }
    }

    fn task_input(&self, param: &Param) -> TokenStream {
        let private = &self.private;
        let (ident, ty) = (&param.ident, &param.ty);
        let owner = |ty: &Type| quote!(impl #private::std::borrow::Borrow<#ty> + #private::std::marker::Send + 'static);
        match &param.pass {
            Pass::Move | Pass::Borrowed => quote!(#ident: #ty),
            Pass::Reference(inner) | Pass::Cow(inner) => {
                let owner = owner(inner);
                quote!(#ident: #owner)
            }
            Pass::Optional(inner) => {
                let owner = owner(inner);
                quote!(#ident: #private::std::option::Option<#owner>)
            }
        }
    }

    /// An argument as the body takes it, from what a task owns.
    pub(super) fn task_argument(&self, param: &Param) -> TokenStream {
        let private = &self.private;
        let ident = &param.ident;
        let borrow = |inner: &Type| quote_spanned!(site()=> #private::std::borrow::Borrow::<#inner>::borrow);
        match &param.pass {
            Pass::Move | Pass::Borrowed => ident.to_token_stream(),
            Pass::Reference(inner) => {
                let borrow = borrow(inner);
                quote_spanned!(site()=> #borrow(&#ident))
            }
            Pass::Optional(inner) => {
                let borrow = borrow(inner);
                quote_spanned!(site()=> #ident.as_ref().map(|__fm_owned| #borrow(__fm_owned)))
            }
            Pass::Cow(inner) => {
                let borrow = borrow(inner);
                quote_spanned!(site()=> #private::std::borrow::Cow::Borrowed(#borrow(&#ident)))
            }
        }
    }

    /// The call of the body as it was written.
    pub(super) fn call_body(&self, arguments: Vec<TokenStream>) -> TokenStream {
        let body = self.part("body");
        let turbofish = self.turbofish();
        let this = self.this().into_iter();
        let arguments = this.chain(arguments);
        quote_spanned!(site()=> #body #turbofish (#(#arguments),*))
    }

    /// `self`, where there is one.
    pub(super) fn this(&self) -> Option<TokenStream> {
        self.params.receiver.as_ref().map(|receiver| receiver.self_token.to_token_stream())
    }

    /// The receiver, without the `mut` and the attributes that only the body needs.
    pub(super) fn receiver(&self) -> Option<syn::Receiver> {
        let mut receiver = self.params.receiver.clone()?;
        receiver.mutability = None;
        receiver.attrs.clear();
        Some(receiver)
    }
}

/// Takes a layer off the return type, or keeps it where `cache_none` or `cache_err` says so.
fn kept_layer(kept: &Option<Kept>, layer: &str, private: &TokenStream) -> TokenStream {
    let peel = format_ident!("{layer}");
    let Some(kept) = kept else { return quote_spanned!(site()=> let __fm_layers = __fm_layers.#peel();) };
    let (has, keep) = (format_ident!("has_{layer}"), format_ident!("keep_{layer}"));
    let check = quote_spanned!(site_at(kept.span)=> #private::kept(__fm_layers.#has()););
    quote_spanned!(site()=> #check let __fm_layers = __fm_layers.#keep();)
}

/// Whether an attribute sets lint levels, which the body wants as well.
pub(super) fn is_lint(attr: &Attribute) -> bool {
    ["allow", "warn", "deny", "forbid", "expect"].iter().any(|level| attr.path().is_ident(level))
}
