//! A function as an attribute meets it: the signature parsed, the body left as tokens and quoted once.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::{
    Attribute, Lifetime, Safety, Signature, Type, TypeFnPtr, TypeImplTrait, TypeReference, Visibility,
    parse::{Parse, ParseStream},
    visit::{self, Visit},
};

/// A function with a body.
pub(crate) struct PlainFn {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl PlainFn {
    /// Parses what `attribute` stands on.
    pub(crate) fn parse(attribute: &str, item: TokenStream) -> syn::Result<Self> {
        syn::parse2(item)
            .map_err(|error| syn::Error::new(error.span(), format!("`#[{attribute}]` goes on a function with a body: {error}")))
    }

    /// Refuses `const`, `unsafe` and `extern` functions: they promise what an expansion can't keep.
    pub(crate) fn refuse_qualifiers(&self, attribute: &str) -> syn::Result<()> {
        let refuse = |tokens: &dyn ToTokens, what: &str| {
            let message = format!("`#[{attribute}]` can't stand on {what} function: remove the qualifier or the attribute");
            Err(syn::Error::new_spanned(tokens.to_token_stream(), message))
        };
        if let Some(qualifier) = &self.sig.constness {
            return refuse(qualifier, "a `const`");
        }
        if let Safety::Unsafe(qualifier) = &self.sig.safety {
            return refuse(qualifier, "an `unsafe`");
        }
        if let Some(qualifier) = &self.sig.abi {
            return refuse(qualifier, "an `extern`");
        }
        self.sig.variadic.as_ref().map_or(Ok(()), |dots| refuse(dots, "a variadic"))
    }
}

impl Parse for PlainFn {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = Attribute::parse_outer(input)?;
        let (vis, sig) = (input.parse()?, input.parse()?);
        match input.parse()? {
            TokenTree::Group(body) if body.delimiter() == proc_macro2::Delimiter::Brace => Ok(Self { attrs, vis, sig, body }),
            other => Err(syn::Error::new(other.span(), "expected `{`")),
        }
    }
}

impl ToTokens for PlainFn {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(&self.attrs);
        self.vis.to_tokens(tokens);
        self.sig.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

/// Where the expansion finds the support it calls: `crate = path`, or `::memory_core`.
pub(crate) fn support(krate: Option<syn::Path>) -> TokenStream {
    match krate {
        Some(path) => quote!(#path::__private),
        None => quote!(::memory_core::__private),
    }
}

/// The type inside the invisible groups that a `macro_rules` leaves, and inside parentheses.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// The first thing in a type that only its function's call knows.
#[derive(Default)]
pub(crate) struct Borrowed {
    pub(crate) at: Option<TokenStream>,
}

impl Borrowed {
    /// A reference or a lifetime other than `'static` in `ty`. Those of function pointers are their own.
    pub(crate) fn find(ty: &Type) -> Option<TokenStream> {
        let mut borrowed = Self::default();
        borrowed.visit_type(ty);
        borrowed.at
    }

    fn found(&mut self, tokens: &dyn ToTokens) {
        self.at.get_or_insert_with(|| tokens.to_token_stream());
    }
}

impl<'ast> Visit<'ast> for Borrowed {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        match &reference.lifetime {
            Some(lifetime) if lifetime.ident == "static" => visit::visit_type(self, &reference.elem),
            _ => self.found(reference),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.found(lifetime);
        }
    }

    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}

    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
}

/// The first `impl Trait` in a type.
pub(crate) fn find_impl_trait(ty: &Type) -> Option<TokenStream> {
    #[derive(Default)]
    struct Finder(Option<TokenStream>);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_type_impl_trait(&mut self, found: &'ast TypeImplTrait) {
            self.0.get_or_insert_with(|| found.to_token_stream());
        }
    }
    let mut finder = Finder::default();
    finder.visit_type(ty);
    finder.0
}

/// The first `Self` among tokens, at any depth.
pub(crate) fn find_self(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) if ident == "Self" => Some(ident),
        TokenTree::Group(group) => find_self(group.stream()),
        _ => None,
    })
}
