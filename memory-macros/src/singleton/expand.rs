use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{GenericArgument, PathArguments, Type, ext::IdentExt, spanned::Spanned};

use super::validate::Singleton;
use crate::plain_fn::{PlainFn, closure, located};

/// ```text
/// Input:  #[cached_singleton] pub async fn get_pool() -> Result<Pool, Error> { BODY }
/// Output: pub async fn get_pool() -> Result<&'static Pool, Error> {
///             static __FM_SINGLETON: AsyncSingleton<Pool> = AsyncSingleton::new("get_pool");
///             __FM_SINGLETON.get_or_try_init(async || -> Result<Pool, Error> { BODY }).await
///         }
/// ```
pub(super) fn expand(singleton: &Singleton, support: &TokenStream) -> TokenStream {
    let Singleton { function, returned, value, fallible } = singleton;
    let PlainFn { attrs, vis, sig, .. } = function;
    let (asyncness, ident) = (&sig.asyncness, &sig.ident);
    let name = ident.unraw().to_string();
    let output = if *fallible { with_shared_ok(returned, value) } else { quote!(&'static #value) };
    // A value that is not `Send + Sync` is an error at the return type.
    let span = value.span().resolved_at(Span::mixed_site());
    let located_support = located(support, span);
    let cell = match asyncness {
        Some(_) => quote_spanned!(span=> #located_support::singleton::AsyncSingleton),
        None => quote_spanned!(span=> #located_support::singleton::Singleton),
    };
    let cell_type = quote_spanned!(span=> #cell<#value>);
    let get = if *fallible { quote!(get_or_try_init) } else { quote!(get_or_init) };
    let wait = asyncness.map(|_| quote!(.await));
    let proof = (!fallible).then(|| not_a_result(returned, support));
    let init = closure(function, &[], support);
    quote_spanned! {Span::mixed_site()=>
        #(#attrs)*
        #vis #asyncness fn #ident() -> #output {
            static __FM_SINGLETON: #cell_type = #cell::new(#name);
            #proof
            __FM_SINGLETON.#get(#init)#wait
        }
    }
}

/// A function that is never called and compiles only where the type is no alias of a `Result`.
fn not_a_result(returned: &Type, support: &TokenStream) -> TokenStream {
    let span = returned.span().resolved_at(Span::mixed_site());
    let declared = quote_spanned!(span=> #support::singleton::Declared::<#returned>::NEW);
    let kind = quote_spanned!(span=> declared.__fm_kind());
    quote_spanned! {Span::mixed_site()=>
        const _: fn() = || {
            #[allow(unused_imports)]
            use #support::singleton::DeclaredPlain as _;
            let declared = #declared;
            #support::singleton::plain(&declared, #kind);
        };
    }
}

/// The return type as written, `Result<T, E>`, with `&'static T` for `T`.
fn with_shared_ok(returned: &Type, value: &Type) -> TokenStream {
    let mut shared = returned.clone();
    if let Type::Path(path) = &mut shared
        && let Some(last) = path.path.segments.last_mut()
        && let PathArguments::AngleBracketed(arguments) = &mut last.arguments
        && let Some(first) = arguments.args.first_mut()
    {
        *first = GenericArgument::Type(Type::Verbatim(quote!(&'static #value)));
    }
    quote!(#shared)
}
