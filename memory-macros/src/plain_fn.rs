//! A function as an attribute meets it: the signature parsed, the body left as tokens and quoted once.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote, quote_spanned};
use syn::{
    Attribute, Lifetime, ReturnType, Safety, Signature, Type, TypeFnPtr, TypeImplTrait, TypeReference, Visibility,
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
        syn::parse2(item).map_err(|error| {
            syn::Error::new(error.span(), format!("`#[{attribute}]` goes on a function with a body: {error}"))
        })
    }

    /// Refuses `const`, `unsafe` and `extern` functions: they promise what an expansion can't keep.
    pub(crate) fn refuse_qualifiers(&self, attribute: &str) -> syn::Result<()> {
        let refuse = |tokens: &dyn ToTokens, what: &str| {
            let message =
                format!("`#[{attribute}]` can't stand on {what} function: remove the qualifier or the attribute");
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
        let body = braces(input.parse()?)?;
        Ok(Self { attrs, vis, sig, body })
    }
}

/// The body in braces, also inside the invisible group that a `macro_rules` leaves round a `$body:block`.
fn braces(token: TokenTree) -> syn::Result<Group> {
    match token {
        TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => Ok(body),
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => braces(syn::parse2(group.stream())?),
        other => Err(syn::Error::new(other.span(), "expected `{`")),
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

/// The body as a closure that takes the arguments along, or as an async one; `bindings` go first.
///
/// ```text
/// async move || -> R {
///     if let Some(returned) = None::<R> { return returned; }
///     let returned: R = { BODY };
///     returned
/// }
/// ```
///
/// An async closure does not coerce what it returns to the type it declares (a `Box<T>` to a `Box<dyn Trait>`); after a
/// first `return` of that type, and through a `let`, it does.
pub(crate) fn closure(function: &PlainFn, bindings: &[&TokenStream], support: &TokenStream) -> TokenStream {
    let (asyncness, body) = (&function.sig.asyncness, &function.body);
    let statements = body.stream();
    let local = Span::mixed_site();
    match (asyncness, &function.sig.output) {
        (Some(_), ReturnType::Type(_, returned)) => quote_spanned! {local=>
            async move || -> #returned {
                if let #support::std::option::Option::Some(returned) = #support::std::option::Option::None::<#returned> {
                    return returned;
                }
                #[allow(clippy::let_unit_value)]
                let returned: #returned = { #(#bindings)* #statements };
                returned
            }
        },
        (_, output) if bindings.is_empty() => {
            let output = output_of(output);
            quote_spanned!(local=> #asyncness move || #output #body)
        }
        (_, output) => {
            let output = output_of(output);
            let body = quote_spanned!(body.span()=> { #(#bindings)* #statements });
            quote_spanned!(local=> #asyncness move || #output #body)
        }
    }
}

/// `-> R`, also where the signature leaves `-> ()` out.
fn output_of(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Default => quote!(-> ()),
        output => output.to_token_stream(),
    }
}

/// Where the expansion finds the support it calls: `crate = path`, or `::memory_core`.
pub(crate) fn support(krate: Option<syn::Path>) -> TokenStream {
    match krate {
        Some(path) => quote!(#path::__private),
        None => quote!(::memory_core::__private),
    }
}

/// The same tokens, reported where `span` is: an error shows the place of its first token.
pub(crate) fn located(tokens: &TokenStream, span: Span) -> TokenStream {
    let relocate = |mut token: TokenTree| {
        token.set_span(token.span().located_at(span));
        token
    };
    tokens.clone().into_iter().map(relocate).collect()
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
