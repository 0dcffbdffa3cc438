//! The parameters: what they bind, whether they are in the key, and how they reach the body.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    FnArg, GenericArgument, Ident, Pat, PathArguments, Receiver, ReceiverKind, Type,
    spanned::Spanned,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

use super::parse::Function;

/// All parameters.
pub(crate) struct Params {
    pub(crate) receiver: Option<Receiver>,
    pub(crate) list: Vec<Param>,
}

/// A parameter other than `self`.
#[derive(Clone)]
pub(crate) struct Param {
    /// Its name in the generated function.
    pub(crate) ident: Ident,
    pub(crate) pat: Pat,
    pub(crate) ty: Type,
    /// The names that its pattern binds.
    pub(crate) names: Vec<Ident>,
    /// Spelled `State<..>`.
    pub(crate) is_state: bool,
    pub(crate) pass: Pass,
}

/// How an argument reaches a body that runs in a task of its own.
#[derive(Clone)]
pub(crate) enum Pass {
    /// It is owned: moved.
    Move,
    /// `&T`: copied on a miss.
    Reference(Type),
    /// `Option<&T>`: copied on a miss.
    Optional(Type),
    /// `Cow<'_, T>`: copied on a miss.
    Cow(Type),
    /// Any other visible lifetime: the body runs in the caller's task.
    Borrowed,
}

impl Params {
    /// Reads the parameters of `function`.
    pub(crate) fn of(function: &Function) -> syn::Result<Self> {
        let mut params = Self { receiver: None, list: Vec::new() };
        for input in &function.sig.inputs {
            match input {
                FnArg::Receiver(receiver) => params.receiver = Some(checked(receiver)?),
                FnArg::Typed(typed) => params.list.push(Param::of(typed, params.list.len())?),
            }
        }
        Ok(params)
    }

    /// Whether a body can own all of its arguments.
    pub(crate) fn can_be_owned(&self) -> bool {
        let receiver = self.receiver.as_ref().is_none_or(|receiver| match &receiver.kind {
            ReceiverKind::Value => true,
            ReceiverKind::Typed(_, ty) => borrow(ty.to_token_stream()).is_none(),
            _ => false,
        });
        receiver && self.list.iter().all(|param| !matches!(param.pass, Pass::Borrowed))
    }
}

fn checked(receiver: &Receiver) -> syn::Result<Receiver> {
    match &receiver.kind {
        ReceiverKind::Reference(_, _, Some(token)) => Err(refused_mut(token.span)),
        ReceiverKind::Typed(_, ty) => no_mut(ty).map(|()| receiver.clone()),
        _ => Ok(receiver.clone()),
    }
}

fn refused_mut(span: Span) -> syn::Error {
    syn::Error::new(
        span,
        "a memorized function can't take `&mut`: a hit would not make the change; take it by value or by `&`",
    )
}

impl Param {
    fn of(typed: &syn::PatType, index: usize) -> syn::Result<Self> {
        no_mut(&typed.ty)?;
        let names = bindings(&typed.pat);
        Ok(Self {
            ident: name(&names, &typed.pat, index),
            is_state: is_spelled(&typed.ty, "State"),
            pass: Pass::of(&typed.ty),
            pat: (*typed.pat).clone(),
            ty: (*typed.ty).clone(),
            names,
        })
    }

    /// Whether its type contains `impl Trait`, which can only be written in the signature.
    pub(crate) fn is_impl(&self) -> bool {
        contains_word(self.ty.to_token_stream(), "impl")
    }

    /// Where a mistake about it belongs.
    pub(crate) fn span(&self) -> Span {
        self.ty.span()
    }

    /// Binds the names of its pattern as references to the parts of `value`, a reference to the argument.
    pub(crate) fn match_reference(&self, value: &TokenStream) -> TokenStream {
        let mut pat = self.pat.clone();
        let explicit = HasReference::in_pat(&pat);
        Rebind { explicit }.visit_pat_mut(&mut pat);
        let pat = if explicit { quote!(&#pat) } else { quote!(#pat) };
        quote!(let #pat = #value;)
    }
}

impl Pass {
    fn of(ty: &Type) -> Self {
        let ty = bare(ty);
        let free = |ty: &Type| borrow(ty.to_token_stream()).is_none() && !contains_word(ty.to_token_stream(), "dyn");
        if borrow(ty.to_token_stream()).is_none() {
            return Self::Move;
        }
        match ty {
            Type::Reference(reference) if free(&reference.elem) => Self::Reference((*reference.elem).clone()),
            Type::Path(_) => match (argument_of(ty, "Option").map(bare), argument_of(ty, "Cow")) {
                (Some(Type::Reference(inner)), _) if free(&inner.elem) => Self::Optional((*inner.elem).clone()),
                (_, Some(inner)) if free(inner) => Self::Cow(inner.clone()),
                _ => Self::Borrowed,
            },
            _ => Self::Borrowed,
        }
    }
}

/// A type without the invisible groups and parentheses around it.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        _ => ty,
    }
}

/// The first type argument of a type that is spelled `name<..>`.
pub(crate) fn argument_of<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn is_spelled(ty: &Type, name: &str) -> bool {
    matches!(bare(ty), Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == name))
}

/// The parameter keeps its name in the documentation, but no user's expression sees it by accident.
fn name(names: &[Ident], pat: &Pat, index: usize) -> Ident {
    let hygienic = |span: Span| Span::mixed_site().located_at(span);
    match names {
        [one] => {
            let mut name = one.clone();
            name.set_span(hygienic(one.span()));
            name
        }
        _ => Ident::new(&format!("arg{index}"), hygienic(pat.span())),
    }
}

/// The names that a pattern binds.
pub(crate) fn bindings(pat: &Pat) -> Vec<Ident> {
    struct Names(Vec<Ident>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
            self.0.push(pat.ident.clone());
            visit::visit_pat_ident(self, pat);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_pat(pat);
    names.0
}

/// Whether a pattern takes a reference off; then default binding modes can't be used on it.
struct HasReference(bool);

impl HasReference {
    fn in_pat(pat: &Pat) -> bool {
        let mut has = Self(false);
        has.visit_pat(pat);
        has.0
    }
}

impl<'ast> Visit<'ast> for HasReference {
    fn visit_pat_reference(&mut self, _: &'ast syn::PatReference) {
        self.0 = true;
    }
}

/// Makes every binding of a pattern a reference.
struct Rebind {
    explicit: bool,
}

impl VisitMut for Rebind {
    fn visit_pat_ident_mut(&mut self, pat: &mut syn::PatIdent) {
        pat.mutability = None;
        pat.by_ref = self.explicit.then(Default::default);
        visit_mut::visit_pat_ident_mut(self, pat);
    }
}

/// Refuses `&mut` anywhere in the type of an argument.
fn no_mut(ty: &Type) -> syn::Result<()> {
    struct Mutable(Option<Span>);
    impl<'ast> Visit<'ast> for Mutable {
        fn visit_type_reference(&mut self, ty: &'ast syn::TypeReference) {
            if let Some(token) = &ty.mutability {
                self.0.get_or_insert(token.span);
            }
            visit::visit_type_reference(self, ty);
        }
        fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
    }
    let mut mutable = Mutable(None);
    mutable.visit_type(ty);
    mutable.0.map_or(Ok(()), |span| Err(refused_mut(span)))
}

/// The first token of a type that borrows from the caller: a lifetime other than `'static`, or a reference without one.
/// The arguments of `fn(&str)` and `Fn(&str)` borrow nothing.
pub(crate) fn borrow(tokens: TokenStream) -> Option<Span> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_lifetime = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == '\'');
    (0..tokens.len()).find_map(|at| match &tokens[at] {
        TokenTree::Punct(punct) if punct.as_char() == '&' && !is_lifetime(at + 1) => Some(punct.span()),
        TokenTree::Punct(punct) if punct.as_char() == '\'' => match tokens.get(at + 1) {
            Some(TokenTree::Ident(name)) if name != "static" => Some(name.span()),
            _ => None,
        },
        TokenTree::Group(group) => {
            let parameters = group.delimiter() == Delimiter::Parenthesis
                && at.checked_sub(1).is_some_and(|before| matches!(tokens[before], TokenTree::Ident(_)));
            if parameters { None } else { borrow(group.stream()) }
        }
        _ => None,
    })
}

/// Whether a keyword stands anywhere in a type.
pub(crate) fn contains_word(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => contains_word(group.stream(), word),
        _ => false,
    })
}
