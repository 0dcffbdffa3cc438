//! The expansion: what is common to its parts.

mod batch;
mod companions;
mod given;
mod judge;
mod key;
mod parts;
mod run;
mod wrapper;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{GenericParam, Generics, Ident, ReceiverKind, Type, Visibility, ext::IdentExt, spanned::Spanned};

use super::{
    mentions::mentions,
    params::{Param, Params},
    parse::{Flavor, Function},
    validate::{Companions, Config},
};

/// Everything the parts of an expansion look at.
pub(crate) struct Expansion<'a> {
    function: &'a Function,
    params: &'a Params,
    config: &'a Config,
    flavor: Flavor,
    returned: Type,
    host: Host,
    /// The body runs in the caller's task or thread.
    in_place: bool,
    /// The path of the generated code's helpers.
    private: TokenStream,
    /// Of a function of many ids: the function of one.
    one: Option<Box<Self>>,
    /// Of the function of one id: what that of many returns.
    many: Option<Type>,
}

/// Where the generated functions stand.
enum Host {
    /// Beside a free function, on a type of their own.
    Companion { name: Ident, shown: bool },
    /// Beside a method, in the same `impl`; with companions of this prefix.
    Impl { prefix: Option<Ident> },
    /// Nowhere: in a trait, or its implementation, everything is inside the method.
    Inline,
}

impl<'a> Expansion<'a> {
    /// Prepares the expansion.
    pub(crate) fn new(
        function: &'a Function,
        params: &'a Params,
        config: &'a Config,
        one: Option<&'a (Function, Params)>,
    ) -> syn::Result<Self> {
        let mut whole = Self::of(function, params, config)?;
        if let Some((function, params)) = one {
            let many = Some(whole.returned.clone());
            whole.one = Some(Box::new(Self { many, in_place: whole.in_place, ..Self::of(function, params, config)? }));
        }
        Ok(whole)
    }

    fn of(function: &'a Function, params: &'a Params, config: &'a Config) -> syn::Result<Self> {
        let krate = &config.krate;
        let flavor = function.flavor();
        Ok(Self {
            flavor,
            returned: function.returned(),
            host: host(function, config)?,
            in_place: config.in_place || flavor == Flavor::Sync || !params.can_be_owned(),
            private: quote!(#krate::__private),
            one: None,
            many: None,
            function,
            params,
            config,
        })
    }

    /// The function and everything beside it.
    pub(crate) fn whole(&self) -> TokenStream {
        let mut tokens = self.wrapper();
        match &self.host {
            Host::Companion { name, shown } => {
                let parts = self.parts();
                tokens.extend(self.companion_type(name, *shown));
                tokens.extend(quote!(impl #name { #parts }));
                if *shown {
                    tokens.extend(self.companions_beside(name));
                }
            }
            Host::Impl { prefix } => {
                tokens.extend(self.parts());
                if let Some(prefix) = prefix {
                    tokens.extend(self.companions_inside(prefix));
                }
            }
            Host::Inline => {}
        }
        tokens
    }

    /// Only the companions, without bodies: beside an error, so that their callers don't see another.
    pub(crate) fn muted(&self) -> TokenStream {
        match &self.host {
            Host::Companion { name, shown: true } => self.muted_beside(name),
            Host::Impl { prefix: Some(prefix) } => self.muted_inside(prefix),
            _ => TokenStream::new(),
        }
    }

    fn name(&self) -> &Ident {
        &self.function.sig.ident
    }

    /// The path of a generated function: `get_user::__fm_body`, `Self::__fm_get_user_body`.
    fn part(&self, part: &str) -> TokenStream {
        let ident = self.part_ident(part);
        match &self.host {
            Host::Companion { name, .. } => quote!(#name::#ident),
            _ => quote!(Self::#ident),
        }
    }

    fn part_ident(&self, part: &str) -> Ident {
        match &self.host {
            Host::Companion { .. } => format_ident!("__fm_{part}"),
            _ => format_ident!("__fm_{}_{part}", self.name().unraw()),
        }
    }

    fn is_method(&self) -> bool {
        !matches!(self.host, Host::Companion { .. })
    }

    /// `::<T, N>`: the type and const parameters, where there are any.
    fn turbofish(&self) -> TokenStream {
        let named: Vec<&Ident> = named_generics(&self.function.sig.generics).collect();
        if named.is_empty() { TokenStream::new() } else { quote!(::<#(#named),*>) }
    }

    /// The generic parameters for a function whose signature consists of `rest`: lifetimes it doesn't name are left out.
    fn generics_for(&self, rest: &TokenStream) -> Generics {
        let mut generics = self.function.sig.generics.clone();
        if generics.lifetimes().next().is_none() {
            return generics;
        }
        let others: TokenStream = generics
            .params
            .iter()
            .filter(|param| !matches!(param, GenericParam::Lifetime(_)))
            .map(ToTokens::to_token_stream)
            .chain([generics.where_clause.to_token_stream(), rest.clone()])
            .collect();
        let others = others.to_string();
        let is_named = |param: &GenericParam| match param {
            GenericParam::Lifetime(lifetime) => {
                let name = lifetime.lifetime.to_string();
                others.match_indices(&name).any(|(at, _)| {
                    !others[at + name.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
                })
            }
            _ => true,
        };
        generics.params = generics.params.into_iter().filter(|param| is_named(param)).collect();
        generics
    }

    /// Whether any of the parameters, or `self`, is mentioned.
    fn mentions_arguments(&self, tokens: &TokenStream) -> bool {
        mentions(tokens, "self") || self.params.list.iter().any(|param| mentions_param(tokens, param))
    }

    /// Whether `self` can be used again after it has been handed to the body.
    fn self_is_reference(&self) -> bool {
        self.params.receiver.as_ref().is_some_and(|receiver| matches!(receiver.kind, ReceiverKind::Reference(..)))
    }
}

fn host(function: &Function, config: &Config) -> syn::Result<Host> {
    let name = &function.sig.ident;
    if !(config.in_impl || function.mentions_self()) {
        return Ok(match &config.companions {
            Companions::Default => Host::Companion { name: name.clone(), shown: true },
            Companions::Named(name) => Host::Companion { name: name.clone(), shown: true },
            Companions::Off => Host::Companion { name: format_ident!("__fm_{}", name.unraw()), shown: false },
        });
    }
    let inline = matches!(function.vis, Visibility::Inherited) || function.flavor() == Flavor::Boxed;
    match &config.companions {
        Companions::Named(prefix) if inline => Err(syn::Error::new(
            prefix.span(),
            "a method has companions only when it has a visibility: write `pub` or `pub(crate)`, or remove `companions`",
        )),
        _ if inline => Ok(Host::Inline),
        Companions::Named(prefix) => Ok(Host::Impl { prefix: Some(prefix.clone()) }),
        Companions::Default => Ok(Host::Impl { prefix: Some(name.unraw()) }),
        Companions::Off => Ok(Host::Impl { prefix: None }),
    }
}

fn named_generics(generics: &Generics) -> impl Iterator<Item = &Ident> {
    generics.params.iter().filter_map(|param| match param {
        GenericParam::Lifetime(_) => None,
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
    })
}

fn mentions_param(tokens: &TokenStream, param: &Param) -> bool {
    !mentioned_names(param, tokens).is_empty()
}

/// Those of the names that a parameter's pattern binds which are mentioned.
fn mentioned_names<'p>(param: &'p Param, tokens: &TokenStream) -> Vec<&'p Ident> {
    param.names.iter().filter(|name| mentions(tokens, &name.to_string())).collect()
}

/// Generated code: its variables are out of the user's sight, its items are not.
fn site() -> Span {
    Span::mixed_site()
}

/// Generated code that reports its mistakes where the user wrote something.
fn site_at(span: Span) -> Span {
    site().located_at(span)
}

/// An expression as an operand of `&`.
fn operand(expr: &syn::Expr) -> TokenStream {
    use syn::Expr;
    match expr {
        Expr::Path(_)
        | Expr::Field(_)
        | Expr::Call(_)
        | Expr::MethodCall(_)
        | Expr::Lit(_)
        | Expr::Macro(_)
        | Expr::Tuple(_)
        | Expr::Array(_)
        | Expr::Paren(_)
        | Expr::Index(_)
        | Expr::Block(_) => expr.to_token_stream(),
        _ => quote_spanned!(site_at(expr.span())=> (#expr)),
    }
}
