use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{GenericParam, ReturnType, ext::IdentExt, spanned::Spanned};

use super::{
    arguments::Argument,
    validate::{Maxsize, Place},
};
use crate::plain_fn::{PlainFn, closure, located};

/// ```text
/// Input:  #[fm_lru(maxsize = 2)] pub fn get_config(name: &str) -> Config { BODY }
/// Output: pub fn get_config(name: &str) -> Config {
///             let lookup = look_up(get_config::__fm_store(), returned, outcome, (part(name), ()));
///             match lookup {
///                 Lookup::Found(returned) => returned,
///                 Lookup::Missing(miss) => miss.run(move || -> Config { BODY }),
///             }
///         }
///         pub enum get_config {}
///         impl get_config { fn __fm_store() … pub fn cache_info() … pub fn cache_clear() … }
/// ```
pub(super) fn expand(
    function: &PlainFn,
    arguments: &[Argument],
    place: Place,
    maxsize: &Maxsize,
    support: &TokenStream,
) -> TokenStream {
    let PlainFn { attrs, vis, sig, .. } = function;
    let (asyncness, ident, generics, output) = (&sig.asyncness, &sig.ident, &sig.generics, &sig.output);
    let (parameters, clauses) = (&generics.params, &generics.where_clause);
    let parameters = (!parameters.is_empty()).then(|| quote!(<#parameters>));
    let declarations = arguments.iter().map(|argument| &argument.declaration);
    let lookup = lookup(function, arguments, place, support);
    let run = run(function, arguments, support);
    let companion = companion(function, place, maxsize, support);
    quote_spanned! {Span::mixed_site()=>
        #(#attrs)*
        #vis #asyncness fn #ident #parameters(#(#declarations),*) #output #clauses {
            let lookup = #lookup;
            match lookup {
                #support::lru::Lookup::Found(returned) => returned,
                #support::lru::Lookup::Missing(miss) => #run,
            }
        }
        #companion
    }
}

fn lookup(function: &PlainFn, arguments: &[Argument], place: Place, support: &TokenStream) -> TokenStream {
    let (returned, span) = match &function.sig.output {
        ReturnType::Type(_, ty) => (ty.to_token_stream(), ty.span()),
        ReturnType::Default => (quote!(()), Span::mixed_site()),
    };
    let outcome = outcome(&returned, support, span.resolved_at(Span::mixed_site()));
    let parts = arguments.iter().rev().fold(quote!(()), |rest, argument| {
        let part = argument.part(support);
        quote!((#part, #rest))
    });
    let (owner, store) = (owner(function, place), store_name(function, place));
    let instance = instance(function);
    quote_spanned! {Span::mixed_site()=> {
        #[allow(unused_imports)]
        use #support::lru::{ArgumentUnkeyed as _, ReturnedUnkept as _, ReturnedWhole as _};
        #support::lru::look_up(#owner::#store #instance(), &#support::lru::Returned::<#returned>::NEW, #outcome, #parts)
    }}
}

/// What of the returned value is stored. A value that can't be is an error at the return type.
fn outcome(returned: &TokenStream, support: &TokenStream, span: Span) -> TokenStream {
    let support = located(support, span);
    let probe = quote_spanned!(span=> #support::lru::Returned::<#returned>::NEW);
    let outcome = quote_spanned!(span=> (&#probe).__fm_outcome());
    quote_spanned!(span=> #support::lru::storable(&#probe, #outcome))
}

fn run(function: &PlainFn, arguments: &[Argument], support: &TokenStream) -> TokenStream {
    let bindings: Vec<_> = arguments.iter().filter_map(|argument| argument.binding.as_ref()).collect();
    let body = closure(function, &bindings, support);
    match &function.sig.asyncness {
        Some(_) => quote_spanned!(Span::mixed_site()=> miss.run_async(#body).await),
        None => quote_spanned!(Span::mixed_site()=> miss.run(#body)),
    }
}

/// The store's static, `cache_info` and `cache_clear`: in a type of the function's name, or as associated functions.
pub(super) fn companion(function: &PlainFn, place: Place, maxsize: &Maxsize, support: &TokenStream) -> TokenStream {
    if place == Place::Nowhere {
        return TokenStream::new();
    }
    let PlainFn { vis, sig, .. } = function;
    let functions = companion_functions(function, place, maxsize, support);
    if place == Place::InImpl {
        return functions;
    }
    let ident = &sig.ident;
    let about = format!("What `{}` remembers.", ident.unraw());
    quote_spanned! {Span::mixed_site()=>
        #[doc = #about]
        #[allow(non_camel_case_types, dead_code)]
        #vis enum #ident {}

        #[allow(dead_code)]
        impl #ident {
            #functions
        }
    }
}

fn companion_functions(function: &PlainFn, place: Place, maxsize: &Maxsize, support: &TokenStream) -> TokenStream {
    let vis = &function.vis;
    let maxsize = maxsize.tokens(support);
    let (parameters, instance) = (instance_parameters(function, support), instance(function));
    let store = store_name(function, place);
    let [info, clear] = ["cache_info", "cache_clear"].map(|name| companion_name(function, place, name));
    quote_spanned! {Span::mixed_site()=>
        #[doc(hidden)]
        #[allow(dead_code, non_snake_case)]
        fn #store #parameters() -> #support::lru::Instance<impl #support::std::marker::Sized + 'static> {
            static STORES: #support::lru::Stores = #support::lru::Stores::new(|| #maxsize);
            // A closure has a type of its own in each instantiation.
            STORES.of(|| ())
        }

        /// Hits, misses, bound and size so far.
        #[allow(dead_code)]
        #vis fn #info #parameters() -> #support::lru::CacheInfo {
            Self::#store #instance().cache_info()
        }

        /// Forgets all results and sets the counters to zero.
        #[allow(dead_code)]
        #vis fn #clear #parameters() {
            Self::#store #instance().cache_clear();
        }
    }
}

/// Whose associated functions the companions are.
fn owner(function: &PlainFn, place: Place) -> TokenStream {
    match place {
        Place::InImpl => quote!(Self),
        _ => function.sig.ident.to_token_stream(),
    }
}

fn companion_name(function: &PlainFn, place: Place, name: &str) -> Ident {
    match place {
        Place::InImpl => format_ident!("{}_{name}", function.sig.ident.unraw(), span = function.sig.ident.span()),
        _ => Ident::new(name, Span::mixed_site()),
    }
}

/// The function that gives the store's instance; its name can't be met by accident.
fn store_name(function: &PlainFn, place: Place) -> Ident {
    match place {
        Place::InImpl => format_ident!("__fm_{}_store", function.sig.ident.unraw(), span = Span::mixed_site()),
        _ => Ident::new("__fm_store", Span::mixed_site()),
    }
}

/// `<T: ?Sized + 'static, const N: usize>`: what makes an instantiation. Lifetimes don't.
fn instance_parameters(function: &PlainFn, support: &TokenStream) -> Option<TokenStream> {
    let parameters: Vec<_> = function
        .sig
        .generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(ty) => {
                let ident = &ty.ident;
                Some(quote!(#ident: ?#support::std::marker::Sized + 'static))
            }
            GenericParam::Const(parameter) => {
                let (ident, ty) = (&parameter.ident, &parameter.ty);
                Some(quote!(const #ident: #ty))
            }
        })
        .collect();
    (!parameters.is_empty()).then(|| quote!(<#(#parameters),*>))
}

/// `::<T, N>`.
fn instance(function: &PlainFn) -> Option<TokenStream> {
    let names: Vec<_> = function
        .sig
        .generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(ty) => Some(&ty.ident),
            GenericParam::Const(parameter) => Some(&parameter.ident),
        })
        .collect();
    (!names.is_empty()).then(|| quote!(::<#(#names),*>))
}
