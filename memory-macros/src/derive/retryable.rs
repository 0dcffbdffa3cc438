//! `#[derive(Retryable)]`: an error type is as retryable as what it wraps.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Attribute, Data, DeriveInput, Fields, Ident, Index, LitBool, Member, Path, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    parse_quote,
    spanned::Spanned,
};

/// Expands the derive.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let derived = syn::parse2::<DeriveInput>(item).and_then(|input| derived(&input));
    derived.unwrap_or_else(|error| error.to_compile_error())
}

// Input:
//     enum Failure { #[error(transparent)] Http(#[from] reqwest::Error), #[retryable] Busy, Refused(u16) }
//
// Output:
//     impl Retryable for Failure {
//         fn is_retryable(&self) -> bool {
//             match self {
//                 Self::Http { 0: wrapped } => judged((&&&&&Ask(wrapped)).ask()),
//                 Self::Busy { .. } => true,
//                 Self::Refused { .. } => judged((&&Source(self)).ask()),
//             }
//         }
//     }
fn derived(input: &DeriveInput) -> syn::Result<TokenStream> {
    let settings = Settings::of(&input.attrs)?;
    let krate = settings.krate.unwrap_or_else(|| parse_quote!(::memory_core));
    let private = quote!(#krate::__private::retry);
    let body = match (settings.verdict, &input.data) {
        (Some(verdict), _) => quote!(#verdict),
        (None, Data::Struct(data)) => {
            let arm = arm(&private, &quote!(Self), &input.attrs, &data.fields)?;
            quote!(match self { #arm })
        }
        (None, Data::Enum(data)) if data.variants.is_empty() => quote!(match *self {}),
        (None, Data::Enum(data)) => {
            let arms = data.variants.iter().map(|variant| {
                let name = &variant.ident;
                arm(&private, &quote!(Self::#name), &variant.attrs, &variant.fields)
            });
            let arms = arms.collect::<syn::Result<Vec<_>>>()?;
            quote!(match self { #(#arms)* })
        }
        (None, Data::Union(data)) => {
            return Err(syn::Error::new(data.union_token.span(), "a union can't say what it is: use an enum"));
        }
    };
    let name = &input.ident;
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        #[allow(unused_imports, clippy::all, clippy::pedantic)]
        impl #impl_generics #krate::Retryable for #name #ty_generics #where_clause {
            fn is_retryable(&self) -> bool {
                use #private::{
                    AskAny as _, AskError as _, AskLocal as _, AskRetryable as _, AskShared as _, AskSource as _,
                };
                #body
            }
        }
    })
}

/// `pattern => verdict,` for a variant or a struct.
fn arm(private: &TokenStream, path: &TokenStream, attrs: &[Attribute], fields: &Fields) -> syn::Result<TokenStream> {
    if let Some(verdict) = Settings::of(attrs)?.verdict {
        return Ok(quote!(#path { .. } => #verdict,));
    }
    let Some((member, span)) = wrapped(attrs, fields) else {
        return Ok(quote!(#path { .. } => (&#private::Source(self)).ask(),));
    };
    let wrapped = format_ident!("wrapped", span = Span::mixed_site());
    let verdict = quote_spanned! {span.resolved_at(Span::mixed_site())=>
        #private::judged((&&&&&#private::Ask(#wrapped)).ask())
    };
    Ok(quote!(#path { #member: #wrapped, .. } => #verdict,))
}

/// The field that holds the cause, and where its type is.
fn wrapped(attrs: &[Attribute], fields: &Fields) -> Option<(Member, Span)> {
    let transparent = attrs.iter().any(is_transparent);
    let marked = |field: &syn::Field| {
        let source = field.ident.as_ref().is_some_and(|name| name.unraw() == "source");
        source || field.attrs.iter().any(|attr| attr.path().is_ident("from") || attr.path().is_ident("source"))
    };
    let (at, field) = fields
        .iter()
        .enumerate()
        .find(|(_, field)| marked(field))
        .or_else(|| fields.iter().enumerate().next().filter(|_| transparent))?;
    let member = match &field.ident {
        Some(name) => Member::Named(name.clone()),
        None => Member::Unnamed(Index::from(at)),
    };
    Some((member, field.ty.span()))
}

/// `#[error(transparent)]`
fn is_transparent(attr: &Attribute) -> bool {
    attr.path().is_ident("error") && attr.parse_args::<Ident>().is_ok_and(|word| word == "transparent")
}

/// What `#[retryable(..)]` says.
#[derive(Default)]
struct Settings {
    verdict: Option<bool>,
    krate: Option<Path>,
}

impl Settings {
    fn of(attrs: &[Attribute]) -> syn::Result<Self> {
        let mut settings = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("retryable")) {
            let said = match &attr.meta {
                syn::Meta::Path(_) => Said::Verdict(true),
                _ => attr.parse_args()?,
            };
            match said {
                Said::Verdict(_) if settings.verdict.is_some() => {
                    return Err(syn::Error::new(attr.span(), "`retryable` is given twice: keep one of them"));
                }
                Said::Verdict(verdict) => settings.verdict = Some(verdict),
                Said::Crate(path) => settings.krate = Some(path),
            }
        }
        Ok(settings)
    }
}

enum Said {
    Verdict(bool),
    Crate(Path),
}

impl Parse for Said {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitBool) {
            return Ok(Self::Verdict(input.parse::<LitBool>()?.value));
        }
        if input.peek(Token![crate]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            return input.call(Path::parse_mod_style).map(Self::Crate);
        }
        Err(input.error("write `#[retryable]`, `#[retryable(false)]` or `#[retryable(crate = path)]`"))
    }
}
