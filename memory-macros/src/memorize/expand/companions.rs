//! The typed companions: `get_user::invalidate(42)`, `Users::get_user_invalidate(42)`.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Ident, ReturnType, ext::IdentExt};

use super::{
    Expansion, Flavor,
    given::Given,
    run::{Cache, Mode},
    site,
};

/// One companion, before it is written down.
pub(super) struct Companion {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) receiver: Option<TokenStream>,
    /// `id: u64`, and the names alone.
    pub(super) inputs: Vec<TokenStream>,
    pub(super) names: Vec<Ident>,
    pub(super) is_async: bool,
    pub(super) output: TokenStream,
    pub(super) body: TokenStream,
}

impl Expansion<'_> {
    // Output: pub enum get_user {}
    pub(super) fn companion_type(&self, name: &Ident, shown: bool) -> TokenStream {
        let vis = &self.function.vis;
        let doc = format!(
            "The companions of [`{0}`](fn@{0}): its cached results, by the arguments that are in the key.",
            self.name()
        );
        let (vis, doc) = if shown { (Some(vis), quote!(#[doc = #doc])) } else { (None, quote!(#[doc(hidden)])) };
        quote!(#doc #[allow(non_camel_case_types, dead_code)] #vis enum #name {})
    }

    // Output: impl get_user { pub fn on(cache: &FmCache) -> .. pub fn invalidate(id: u64) -> Remove { .. } .. }
    pub(super) fn companions_beside(&self, name: &Ident) -> TokenStream {
        let all = self.all_of_named_cache();
        self.beside(name, &all, |companion| self.direct(name, companion))
    }

    pub(super) fn muted_beside(&self, name: &Ident) -> TokenStream {
        let all: Vec<Companion> = self.all_of_named_cache().into_iter().map(|companion| self.mute(companion)).collect();
        let ty = self.companion_type(name, true);
        let companions = self.beside(name, &all, |companion| Some(self.write(companion, &companion.name_ident())));
        quote!(#ty #companions)
    }

    pub(super) fn companions_inside(&self, prefix: &Ident) -> TokenStream {
        self.inside().iter().map(|companion| self.write_inside(companion, prefix)).collect()
    }

    pub(super) fn muted_inside(&self, prefix: &Ident) -> TokenStream {
        let muted = self.inside().into_iter().map(|companion| self.mute(companion));
        muted.map(|companion| self.write_inside(&companion, prefix)).collect()
    }

    fn write_inside(&self, companion: &Companion, prefix: &Ident) -> TokenStream {
        let (lints, companion) = (lints(), self.write(companion, &companion.prefixed(prefix)));
        quote!(#lints #companion)
    }

    fn all_of_named_cache(&self) -> Vec<Companion> {
        let cache = self.named_cache();
        self.of_one().about_the_key(&cache, None).into_iter().chain(self.with_all(&cache, None)).collect()
    }

    /// The cache that `on(&cache)` has named.
    fn named_cache(&self) -> Cache {
        Cache::value(quote_spanned!(site()=> self.0))
    }

    fn beside(
        &self,
        name: &Ident,
        all: &[Companion],
        direct: impl Fn(&Companion) -> Option<TokenStream>,
    ) -> TokenStream {
        let krate = &self.config.krate;
        let vis = &self.function.vis;
        let private = &self.private;
        let on = on_type(name);
        let lints = lints();
        let named = all.iter().map(|companion| {
            let ident = companion.name_ident();
            match companion.receiver {
                None => self.write(&companion.with_receiver(), &ident),
                Some(_) => self.write(companion, &ident),
            }
        });
        let named: TokenStream = named.collect();
        let direct: TokenStream = all.iter().filter_map(direct).collect();
        quote_spanned! {site()=>
            #[doc(hidden)]
            #[allow(non_camel_case_types, dead_code)]
            #vis struct #on<'a>(#private::std::option::Option<&'a #krate::FmCache>);
            // A derive would cost each build as much as a companion.
            #[allow(clippy::expl_impl_clone_on_copy)]
            impl #private::std::clone::Clone for #on<'_> {
                fn clone(&self) -> Self {
                    *self
                }
            }
            impl #private::std::marker::Copy for #on<'_> {}
            #lints
            impl #on<'_> { #named }
            #lints
            impl #name {
                /// The same companions, on a cache other than the function's own.
                #[must_use]
                #[inline]
                #vis const fn on(cache: &#krate::FmCache) -> #on<'_> {
                    #on(#private::std::option::Option::Some(cache))
                }
                #direct
            }
        }
    }

    // Output: pub fn invalidate(id: u64) -> Remove { On(cache).invalidate(id) }
    //         pub fn peek(id: u64) -> impl Future<Output = ..> { On(cache).peek(id) }
    fn direct(&self, name: &Ident, companion: &Companion) -> Option<TokenStream> {
        if !companion.is_run() && self.mentions_arguments(&self.config.cache.to_token_stream()) {
            return None;
        }
        let private = &self.private;
        let on = on_type(name);
        let (ident, names, output) = (companion.name_ident(), &companion.names, &companion.output);
        let Cache { before, value } = self.cache();
        let turbofish = self.turbofish();
        let call = quote_spanned!(site()=> #before #on(#value).#ident #turbofish (#(#names),*));
        let direct = match (companion.is_async, &self.config.cache) {
            (false, _) => Companion { body: call, ..companion.clone_shape() },
            // A future of its own would cost the compiler as much as the one it only passes on.
            (true, None) => Companion {
                is_async: false,
                output: quote_spanned!(site()=> impl #private::std::future::Future<Output = #output>),
                body: call,
                ..companion.clone_shape()
            },
            (true, Some(_)) => Companion { body: quote_spanned!(site()=> #call.await), ..companion.clone_shape() },
        };
        Some(self.write(&direct, &ident))
    }

    fn inside(&self) -> Vec<Companion> {
        let this = self.this().filter(|_| self.given_self()).map(|this| quote!(&#this));
        let about = if self.cache_is_at_hand() { self.of_one().about_the_key(&self.cache(), this) } else { Vec::new() };
        let receiver = self.receiver().map(ToTokens::into_token_stream);
        about.into_iter().chain(self.with_all(&self.cache(), receiver)).collect()
    }

    /// Whether the cache can be found without the arguments that the companions about a key don't take.
    fn cache_is_at_hand(&self) -> bool {
        let tokens = self.config.cache.to_token_stream();
        !self.params.list.iter().any(|param| super::mentions_param(&tokens, param))
    }

    /// `invalidate`, `peek`, `put` and `key`.
    fn about_the_key(&self, cache: &Cache, receiver: Option<TokenStream>) -> Vec<Companion> {
        let private = &self.private;
        let krate = &self.config.krate;
        let shown = self.shown();
        let plan = self.plan();
        let given = self.given();
        let names: Vec<Ident> = given.iter().map(|param| param.ident.clone()).collect();
        let Given { inputs, values, key } = self.taking(|_| false);
        let is_async = self.flavor != Flavor::Sync;
        let awaited = is_async.then(|| quote!(.await));
        let result = |ty: TokenStream| quote!(#private::std::result::Result<#ty, #krate::FmError>);
        let engine = |name: &str| if is_async { format_ident!("{name}") } else { format_ident!("{name}_blocking") };
        let companion = |name, doc, is_async, output, body| Companion {
            name,
            doc,
            receiver: receiver.clone(),
            inputs: inputs.clone(),
            names: names.clone(),
            is_async,
            output,
            body,
        };
        let Cache { before, value } = cache;
        let (invalidate, put) = (engine("invalidate"), engine("put"));
        let (peek, turbofish) = self.peek(engine("peek"));
        let option = result(quote!(#private::std::option::Option<#shown>));
        let peeked = self.peeked();
        let stored = if is_async { quote!(#private::Put) } else { result(quote!(())) };
        let removed = if is_async { quote!(#private::Remove) } else { result(quote!(#private::std::primitive::bool)) };
        let mut all = vec![
            companion(
                "invalidate",
                "Removes the cached result of these arguments; whether it was there.",
                false,
                removed,
                quote_spanned!(site()=> #before #values #private::#invalidate(#value, #key)),
            ),
            companion(
                "peek",
                "The cached result of these arguments, if there is one; never runs the function.",
                is_async,
                option,
                quote_spanned!(site()=> #before #values let __fm_key = #key;
                    #private::#peek #turbofish (#value, __fm_key, #private::Plan::shape(#plan), #private::Plan::face(#plan)) #awaited #peeked),
            ),
            companion(
                "key",
                "The exact key of these arguments, as stored.",
                false,
                quote!(#private::FmKey),
                quote_spanned!(site()=> #before #values #private::key(#value, #key)),
            ),
        ];
        if self.judge_needs_only(&given, receiver.is_some()) {
            let (judge, primed_with) = (self.judge(), self.primed_with());
            let Given { inputs, values, key } = self.taking(|param| self.judge_mentions(param));
            let mut primed = companion(
                "put",
                "Stores a result for these arguments, by the function's own rules.",
                false,
                stored,
                quote_spanned!(site()=> #before #values let __fm_judge = #judge; let __fm_key = #key;
                    #private::#put(#value, __fm_key, #private::Plan::shape(#plan), #private::Plan::face(#plan), __fm_judge, #primed_with)),
            );
            primed.inputs = inputs;
            primed.inputs.push(quote_spanned!(site()=> __fm_value: #shown));
            primed.names.push(Ident::new("__fm_value", site()));
            all.push(primed);
        }
        all.extend(self.invalidate_many(cache, receiver.as_ref()));
        all
    }

    /// `refresh` and `uncached`.
    fn with_all(&self, cache: &Cache, receiver: Option<TokenStream>) -> Vec<Companion> {
        let output = match &self.function.sig.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, ty) => ty.to_token_stream(),
        };
        let list = &self.params.list;
        let names: Vec<Ident> = list.iter().map(|param| param.ident.clone()).collect();
        let inputs: Vec<TokenStream> = list
            .iter()
            .map(|param| {
                let (ident, ty) = (&param.ident, &param.ty);
                quote!(#ident: #ty)
            })
            .collect();
        let is_async = self.flavor != Flavor::Sync;
        let awaited = is_async.then(|| quote!(.await));
        let body = self.call_body(names.iter().map(ToTokens::to_token_stream).collect());
        let companion = |name, doc, body| Companion {
            name,
            doc,
            receiver: receiver.clone(),
            inputs: inputs.clone(),
            names: names.clone(),
            is_async,
            output: output.clone(),
            body,
        };
        vec![
            companion(
                "refresh",
                "Runs the function and stores its result, whatever is cached.",
                self.run(cache, Mode::Refresh),
            ),
            companion("uncached", "Runs the function and touches no cache.", quote_spanned!(site()=> #body #awaited)),
        ]
    }

    fn write(&self, companion: &Companion, name: &Ident) -> TokenStream {
        let vis = &self.function.vis;
        let Companion { doc, receiver, inputs, is_async, output, body, .. } = companion;
        let inputs: Vec<TokenStream> = receiver.iter().cloned().chain(inputs.iter().cloned()).collect();
        let asyncness = is_async.then(|| quote!(async));
        let named: TokenStream = inputs.iter().cloned().chain([output.clone()]).collect();
        let generics = self.generics_for(&named);
        let (generics, _, wheres) = generics.split_for_impl();
        quote_spanned! {site()=>
            #[doc = #doc]
            #[inline]
            #vis #asyncness fn #name #generics (#(#inputs),*) -> #output #wheres { #body }
        }
    }

    fn mute(&self, companion: Companion) -> Companion {
        let private = &self.private;
        Companion { body: quote!(#private::placeholder()), is_async: false, ..companion }
    }
}

impl Companion {
    fn name_ident(&self) -> Ident {
        Ident::new(self.name, site())
    }

    fn prefixed(&self, prefix: &Ident) -> Ident {
        let mut name = format_ident!("{}_{}", prefix.unraw(), self.name);
        name.set_span(prefix.span());
        name
    }

    fn is_run(&self) -> bool {
        matches!(self.name, "refresh" | "uncached")
    }

    fn clone_shape(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
            inputs: self.inputs.clone(),
            names: self.names.clone(),
            output: self.output.clone(),
            body: TokenStream::new(),
            ..*self
        }
    }

    fn with_receiver(&self) -> Self {
        Self { receiver: Some(quote_spanned!(site()=> self)), body: self.body.clone(), ..self.clone_shape() }
    }
}

/// What companions may do unlike code that somebody has written.
fn lints() -> TokenStream {
    quote_spanned! {site()=>
        #[allow(dead_code, private_interfaces, clippy::too_many_arguments, clippy::missing_errors_doc, clippy::must_use_candidate)]
    }
}

fn on_type(name: &Ident) -> Ident {
    format_ident!("__fm_on_{}", name.unraw())
}
