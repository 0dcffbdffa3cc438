use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Error, Expr, ExprLit, Lit, Result, ReturnType, UnOp};

use super::{
    ATTRIBUTE,
    arguments::{Argument, arguments},
};
use crate::{
    options::{Opt, Options},
    place::forgotten_in_impl,
    plain_fn::{Borrowed, PlainFn, find_impl_trait, find_self},
};

const EXAMPLE: &str = "maxsize = 128";

/// What the attribute's arguments say.
pub(super) struct Settings {
    pub(super) maxsize: Maxsize,
    pub(super) in_impl: bool,
    pub(super) krate: Option<syn::Path>,
}

/// The bound on the entries.
pub(super) enum Maxsize {
    Entries(u64),
    Unbounded,
    Evaluated(Expr),
}

/// Where the function stands, and so where its companions can be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A free function: beside it, a type of the same name.
    Free,
    /// An associated function: beside it, associated functions `NAME_cache_info` and `NAME_cache_clear`.
    InImpl,
    /// A method, which is refused, or something of which no more is known.
    Nowhere,
}

pub(super) fn settings(options: &mut Options) -> Settings {
    let maxsize = options.take("maxsize").and_then(|opt| options.keep(maxsize(&opt)));
    let in_impl = options.take("in_impl").and_then(|opt| options.keep(opt.flag())).is_some();
    let krate = options.take("crate").and_then(|opt| options.keep(opt.assigned("crate = path::to::memory_core")));
    // 128, as in functools.
    Settings { maxsize: maxsize.unwrap_or(Maxsize::Entries(128)), in_impl, krate }
}

fn maxsize(opt: &Opt) -> Result<Maxsize> {
    let refuse = |tokens: &dyn ToTokens| {
        let message = "`maxsize` is a number of entries: write `maxsize = 128`, `maxsize = 0` to store nothing, or `maxsize = None` for no bound";
        Err(Error::new_spanned(tokens.to_token_stream(), message))
    };
    match opt.assigned(EXAMPLE)? {
        Expr::Lit(ExprLit { lit: Lit::Int(entries), .. }) => match entries.base10_parse() {
            Ok(entries) => Ok(Maxsize::Entries(entries)),
            Err(_) => refuse(&entries),
        },
        Expr::Lit(other) => refuse(&other),
        Expr::Unary(negative) if matches!(negative.op, UnOp::Neg(_)) => refuse(&negative),
        Expr::Path(path) if path.path.is_ident("None") => Ok(Maxsize::Unbounded),
        expression => Ok(Maxsize::Evaluated(expression)),
    }
}

impl Maxsize {
    /// An expression of type `Option<u64>`.
    pub(super) fn tokens(&self, support: &TokenStream) -> TokenStream {
        match self {
            Self::Entries(entries) => quote!(#support::std::option::Option::Some(#entries)),
            Self::Unbounded => quote!(#support::std::option::Option::None),
            Self::Evaluated(expression) => quote!(#support::lru::maxsize(#expression)),
        }
    }
}

/// A function that says `Self` stands in an impl; one that says neither `self` nor `Self` has to be told (`in_impl`).
pub(super) fn place(function: &PlainFn, settings: &Settings, options: &mut Options) -> Place {
    if function.sig.receiver().is_some() {
        Place::Nowhere
    } else if settings.in_impl || find_self(quote!(#function)).is_some() {
        Place::InImpl
    } else if let Some(error) = forgotten_in_impl(ATTRIBUTE, &function.sig.ident) {
        options.report(error);
        Place::InImpl
    } else {
        Place::Free
    }
}

/// The function's arguments, where all of it can be remembered.
pub(super) fn validate(function: &PlainFn) -> Result<Vec<Argument>> {
    function.refuse_qualifiers(ATTRIBUTE)?;
    if let Some(receiver) = function.sig.receiver() {
        let message = "`fm_lru` keeps one store for the function, not one for each `self`: \
            make it an associated function, or keep an `FmLru` in a field";
        return Err(Error::new_spanned(receiver, message));
    }
    let arguments = arguments(&function.sig.inputs)?;
    if let ReturnType::Type(_, returned) = &function.sig.output {
        if let Some(found) = find_impl_trait(returned) {
            return Err(Error::new_spanned(found, "`fm_lru` stores the returned value: return a type with a name"));
        }
        if let Some(found) = Borrowed::find(returned) {
            let message =
                "`fm_lru` keeps the returned value after the call: return an owned one (`String`, `Arc<str>`)";
            return Err(Error::new_spanned(found, message));
        }
    }
    Ok(arguments)
}
