//! How each argument is looked up and owned.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Error, FnArg, GenericArgument, Pat, PatIdent, PatType, PathArguments, PathSegment, Result, Token, Type,
    ext::IdentExt, punctuated::Punctuated, spanned::Spanned,
};

use crate::plain_fn::{Borrowed, bare, find_impl_trait, located};

/// An argument of the function.
pub(super) struct Argument {
    /// As it stands in the wrapper's signature: a plain name and the type as written.
    pub(super) declaration: TokenStream,
    /// `let PATTERN = name;` at the top of the body, where the user's pattern is more than a name.
    pub(super) binding: Option<TokenStream>,
    name: Ident,
    form: Form,
    /// The type that is compared and hashed: `str` of `&str`.
    keyed: Type,
}

enum Form {
    Owned,
    /// `&T`.
    Reference,
    /// `Option<&T>`.
    Optional,
    /// `Cow<'_, T>`.
    Cow,
}

pub(super) fn arguments(inputs: &Punctuated<FnArg, Token![,]>) -> Result<Vec<Argument>> {
    let typed = inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    typed.enumerate().map(|(index, typed)| argument(index, typed)).collect()
}

fn argument(index: usize, typed: &PatType) -> Result<Argument> {
    let PatType { attrs, pat, ty, .. } = typed;
    let (form, keyed) = form(bare(ty))?;
    let (name, binding) = match plain_name(pat) {
        Some((name, false)) => (name, None),
        Some((name, true)) => (name.clone(), Some(quote!(let #pat = #name;))),
        None => {
            let name = Ident::new(&format!("argument_{index}"), Span::mixed_site());
            // A `let _unused = …` is lint-worthy where somebody writes it; this one stands for a parameter.
            (name.clone(), Some(quote!(#[allow(clippy::no_effect_underscore_binding)] let #pat = #name;)))
        }
    };
    Ok(Argument { declaration: quote!(#(#attrs)* #name: #ty), binding, name, form, keyed })
}

/// The name of an argument that is a name and no more, and whether it is `mut`. One that begins with `_` says that it is
/// not used, and the key uses it, so that one gets another name.
fn plain_name(pat: &Pat) -> Option<(Ident, bool)> {
    match pat {
        Pat::Ident(PatIdent { by_ref: None, subpat: None, mutability, ident, .. })
            if !ident.unraw().to_string().starts_with('_') =>
        {
            Some((ident.clone(), mutability.is_some()))
        }
        _ => None,
    }
}

fn form(ty: &Type) -> Result<(Form, Type)> {
    if let Some(found) = find_impl_trait(ty) {
        let message = "`fm_lru` can't name the type of an `impl Trait` argument: write a type parameter, as in `<T: Hash + Eq + Clone>`";
        return Err(Error::new_spanned(found, message));
    }
    let (form, keyed) = peel(ty)?;
    match Borrowed::find(&keyed) {
        Some(found) => {
            let message = "an `fm_lru` argument may borrow as `&T`, `Option<&T>` or `Cow<'_, T>` with an owned `T`: own this part";
            Err(Error::new_spanned(found, message))
        }
        None => Ok((form, keyed)),
    }
}

fn peel(ty: &Type) -> Result<(Form, Type)> {
    let segment = match ty {
        Type::Reference(reference) => {
            if reference.mutability.is_some() {
                let message =
                    "an `fm_lru` argument can't be `&mut`: a remembered result could not change it; return the change";
                return Err(Error::new_spanned(reference, message));
            }
            return Ok((Form::Reference, bare(&reference.elem).clone()));
        }
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    Ok(segment.and_then(peel_generic).unwrap_or_else(|| (Form::Owned, ty.clone())))
}

/// `Option<&T>` and `Cow<'_, T>`.
fn peel_generic(segment: &PathSegment) -> Option<(Form, Type)> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    let GenericArgument::Type(inner) = arguments.args.last()? else {
        return None;
    };
    match bare(inner) {
        Type::Reference(reference) if segment.ident == "Option" && reference.mutability.is_none() => {
            Some((Form::Optional, bare(&reference.elem).clone()))
        }
        inner if segment.ident == "Cow" && arguments.args.len() == 2 => Some((Form::Cow, inner.clone())),
        _ => None,
    }
}

impl Argument {
    /// The argument as a part of the key, by reference.
    pub(super) fn part(&self, support: &TokenStream) -> TokenStream {
        let (name, keyed) = (&self.name, &self.keyed);
        let value = match self.form {
            Form::Owned => quote!(&#name),
            Form::Reference | Form::Optional => quote!(#name),
            Form::Cow => quote!(#support::std::ops::Deref::deref(&#name)),
        };
        let constructor = match self.form {
            Form::Optional => "optional_part",
            Form::Owned | Form::Reference | Form::Cow => "part",
        };
        // A type that can't be part of a key is an error at that type.
        let span = keyed.to_token_stream().span().resolved_at(Span::mixed_site());
        let (support, constructor) = (located(support, span), Ident::new(constructor, span));
        let argument = quote_spanned!(span=> #support::lru::Argument::<#keyed>::NEW);
        let kind = quote_spanned!(span=> #argument.__fm_kind());
        quote_spanned!(span=> #support::lru::#constructor(&#argument, #kind, #value))
    }
}
