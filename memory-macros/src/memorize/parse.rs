//! The annotated function, its body left as raw tokens.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, GenericArgument, PathArguments, ReturnType, Safety, Signature, Token, Type, TypeParamBound, Visibility,
    parse::{Parse, ParseStream},
    parse_quote,
    spanned::Spanned,
};

use super::params::argument_of;

/// A function or method with a body.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) default: Option<syn::Ident>,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

/// How the function runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// `async fn`.
    Async,
    /// A function that returns a boxed future, as `#[async_trait]` makes it.
    Boxed,
    /// A plain `fn`.
    Sync,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let default = if input.peek(syn::Ident) { Some(input.parse()?) } else { None };
        if !(input.peek(Token![async]) || input.peek(Token![fn]) || is_qualified(input)) {
            return Err(input.error("`memorize` goes on a function: write it above an `async fn` or a `fn`"));
        }
        let sig: Signature = input.parse()?;
        check(&sig)?;
        Ok(Self { attrs, vis, default, body: body(input, &sig)?, sig })
    }
}

fn is_qualified(input: ParseStream<'_>) -> bool {
    input.peek(Token![const]) || input.peek(Token![unsafe]) || input.peek(Token![extern])
}

fn body(input: ParseStream<'_>, sig: &Signature) -> syn::Result<Group> {
    if let Ok(TokenTree::Group(group)) = input.parse::<TokenTree>()
        && group.delimiter() == Delimiter::Brace
    {
        return Ok(group);
    }
    Err(syn::Error::new(sig.ident.span(), "`memorize` needs a body to run: write it on the implementation"))
}

fn check(sig: &Signature) -> syn::Result<()> {
    let refused = |span, message| Err(syn::Error::new(span, message));
    if let Some(token) = sig.constness {
        return refused(token.span, "a `const fn` can't be memorized: remove `const`, or `#[memorize]`");
    }
    if let Safety::Unsafe(token) = sig.safety {
        return refused(
            token.span,
            "an `unsafe fn` can't be memorized: a hit would skip its contract; memorize a safe function around it",
        );
    }
    if let Some(abi) = &sig.abi {
        return refused(abi.span(), "an `extern` function can't be memorized: memorize a Rust function that calls it");
    }
    Ok(())
}

impl Function {
    /// How the function runs.
    pub(crate) fn flavor(&self) -> Flavor {
        if self.sig.asyncness.is_some() {
            Flavor::Async
        } else if self.boxed_output().is_some() {
            Flavor::Boxed
        } else {
            Flavor::Sync
        }
    }

    /// What the function returns, once awaited.
    pub(crate) fn returned(&self) -> Type {
        match (&self.sig.output, self.boxed_output()) {
            (_, Some(output)) if self.sig.asyncness.is_none() => output.clone(),
            (ReturnType::Type(_, ty), _) => (**ty).clone(),
            (ReturnType::Default, _) => parse_quote!(()),
        }
    }

    /// `T` of `Pin<Box<dyn Future<Output = T> + ..>>`.
    fn boxed_output(&self) -> Option<&Type> {
        let ReturnType::Type(_, ty) = &self.sig.output else { return None };
        let Type::TraitObject(object) = argument_of(argument_of(ty, "Pin")?, "Box")? else { return None };
        object.bounds.iter().find_map(|bound| match bound {
            TypeParamBound::Trait(bound) => output(bound.path.segments.last()?),
            _ => None,
        })
    }

    /// Whether `self` or `Self` stands anywhere in it: then it is in an `impl` or a `trait`.
    pub(crate) fn mentions_self(&self) -> bool {
        self.sig.receiver().is_some() || has_self(self.sig.to_token_stream()) || has_self(self.body.stream())
    }
}

fn output(segment: &syn::PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(assoc) if assoc.ident == "Output" && segment.ident == "Future" => Some(&assoc.ty),
        _ => None,
    })
}

/// An inner `impl` has a `Self` of its own, which does not count.
fn has_self(tokens: TokenStream) -> bool {
    let mut in_impl = false;
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) if ident == "impl" => {
            in_impl = true;
            false
        }
        TokenTree::Ident(ident) => !in_impl && ident == "Self",
        TokenTree::Group(group) => {
            let inner = in_impl && group.delimiter() == Delimiter::Brace;
            in_impl &= group.delimiter() != Delimiter::Brace;
            !inner && has_self(group.stream())
        }
        _ => false,
    })
}
