//! What companions take: the arguments that are in the key.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Type, TypePath};

use super::{Expansion, Host, Param, mentions_param, named_generics, site, site_at};
use crate::memorize::{
    mentions::mentions,
    params::{argument_of, bare, borrow},
};

/// Types that companions take as they are. Others may be given by their key or inside.
const EXACT: [&str; 33] = [
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f32",
    "f64",
    "bool",
    "char",
    "String",
    "Vec",
    "VecDeque",
    "Option",
    "Result",
    "Box",
    "Arc",
    "Rc",
    "Cow",
    "HashMap",
    "HashSet",
    "BTreeMap",
    "BTreeSet",
    "Duration",
    "SystemTime",
    "IpAddr",
    "Self",
];

/// Well-known types without a size, which are only seen behind a pointer.
const UNSIZED: [&str; 4] = ["str", "Path", "OsStr", "CStr"];

/// Axum's, of which the inside is the key.
const EXTRACTORS: [&str; 5] = ["Path", "Query", "Json", "Form", "Extension"];

/// What companions take for a parameter.
enum Taken<'t> {
    /// Its type.
    Exactly,
    /// A reference to this type, or the key of one.
    Reference(&'t Type),
    /// Its type, or this type that is inside of it, or the key of one.
    Value(&'t Type),
}

/// The inputs of a companion about a key, and what it does with them.
pub(super) struct Given {
    pub(super) inputs: Vec<TokenStream>,
    /// Statements that make the values of arguments from what was given for them.
    pub(super) values: TokenStream,
    pub(super) key: TokenStream,
}

impl Expansion<'_> {
    /// The parameters that the companions about a key take.
    pub(super) fn given(&self) -> Vec<&Param> {
        match &self.config.key {
            Some(expr) => {
                let tokens = expr.to_token_stream();
                self.params.list.iter().filter(|param| mentions_param(&tokens, param)).collect()
            }
            None => self.keyed().collect(),
        }
    }

    /// Whether those companions need `self`, for the key or to find the cache.
    pub(super) fn given_self(&self) -> bool {
        let mentioned =
            |expr: &Option<syn::Expr>| expr.as_ref().is_some_and(|expr| mentions(&expr.to_token_stream(), "self"));
        self.params.receiver.is_some()
            && (mentioned(&self.config.cache)
                || mentioned(&self.config.key)
                || self.config.key.is_none() && self.self_is_keyed())
    }

    /// What those companions take, and how they get the key from it; `is_used` says of which parameters they need the value.
    pub(super) fn taking(&self, is_used: impl Fn(&Param) -> bool) -> Given {
        let is_whole = |param: &Param| self.config.key.is_some() || is_used(param);
        let given = self.given();
        let inputs = given.iter().map(|param| self.given_input(param, is_whole(param))).collect();
        let values = given.iter().filter(|param| is_whole(param)).filter_map(|param| self.given_value(param)).collect();
        let key = if self.config.key.is_some() {
            self.key()
        } else if self.shares_key() {
            let (key, names) = (self.part("key"), given.iter().map(|param| &param.ident));
            quote_spanned!(site()=> #key(#(&#names),*))
        } else {
            let push = |param| if is_whole(param) { self.push_param(param) } else { self.push_given(param) };
            self.key_of(&self.push_self().into_iter().chain(self.keyed().map(push)).collect())
        };
        Given { inputs, values, key }
    }

    /// Whether one function builds the key for all companions, since each takes the arguments as they are.
    pub(super) fn shares_key(&self) -> bool {
        matches!(self.host, Host::Companion { shown: true, .. })
            && self.many.is_none()
            && self.config.key.is_none()
            && self.function.sig.generics.params.is_empty()
            && self.keyed().all(|param| !param.is_impl() && matches!(self.taken(&param.ty), Taken::Exactly))
    }

    // Output: fn __fm_key(id: &u64) -> KeyBuf { .. }
    pub(super) fn key_part(&self) -> TokenStream {
        let private = &self.private;
        let ident = self.part_ident("key");
        let inputs = self.keyed().map(|param| {
            let (ident, ty) = (&param.ident, &param.ty);
            quote_spanned!(site()=> #ident: &#ty)
        });
        let arguments = self.keyed().map(|param| self.push(param.span(), &param.ident.to_token_stream())).collect();
        let key = self.key_of(&arguments);
        quote_spanned! {site()=>
            #[doc(hidden)]
            // A reference to whatever type an argument has is what several lints are about.
            #[allow(dead_code, clippy::all, clippy::pedantic)]
            fn #ident(#(#inputs),*) -> #private::KeyBuf { #key }
        }
    }

    /// `id: impl KeyArg<u64, Path<u64>>`.
    fn given_input(&self, param: &Param, is_whole: bool) -> TokenStream {
        let private = &self.private;
        let (ident, ty) = (&param.ident, &param.ty);
        match self.taken(ty) {
            Taken::Value(_) if is_whole => quote_spanned!(site()=> #ident: impl #private::ValueArg<#ty>),
            Taken::Value(inside) => quote_spanned!(site()=> #ident: impl #private::KeyArg<#inside, #ty>),
            Taken::Reference(inside) if !is_whole => quote_spanned!(site()=> #ident: impl #private::RefKeyArg<#inside>),
            Taken::Reference(_) | Taken::Exactly => quote_spanned!(site()=> #ident: #ty),
        }
    }

    // Output: let id: Path<u64> = ValueArg::into_value(id);
    fn given_value(&self, param: &Param) -> Option<TokenStream> {
        let private = &self.private;
        let (ident, ty) = (&param.ident, &param.ty);
        let is_value = matches!(self.taken(ty), Taken::Value(_));
        is_value.then(|| quote_spanned!(site()=> let #ident: #ty = #private::ValueArg::into_value(#ident);))
    }

    fn push_given(&self, param: &Param) -> TokenStream {
        let private = &self.private;
        let ident = &param.ident;
        let (push_arg, whole) = match self.taken(&param.ty) {
            Taken::Exactly => return self.push_param(param),
            Taken::Reference(inside) => (quote!(RefKeyArg::push_arg), inside),
            Taken::Value(_) => (quote!(KeyArg::push_arg), &param.ty),
        };
        let push = self.push(param.span(), &quote_spanned!(site()=> __fm_whole));
        quote_spanned! {site_at(param.span())=>
            #private::#push_arg(
                #ident,
                __fm_key,
                |__fm_whole: &#whole, __fm_key: &mut #private::KeyBuf| { #push },
            );
        }
    }

    fn taken<'t>(&self, ty: &'t Type) -> Taken<'t> {
        let can_be_keyed = |ty: &Type| self.config.key.is_none() && !self.is_exact(ty);
        match bare(ty) {
            Type::Reference(reference) if can_be_keyed(&reference.elem) && !is_unsized(&reference.elem) => {
                Taken::Reference(&reference.elem)
            }
            ty if !self.is_exact(ty) => Taken::Value(inside(ty)),
            ty => match argument_of(ty, "Arc") {
                Some(inside) if can_be_keyed(inside) && !is_unsized(inside) => Taken::Value(inside),
                _ => Taken::Exactly,
            },
        }
    }

    fn is_exact(&self, ty: &Type) -> bool {
        let Type::Path(TypePath { qself: None, path, .. }) = bare(ty) else { return true };
        let first = path.segments.first().map(|segment| segment.ident.to_string()).unwrap_or_default();
        borrow(ty.to_token_stream()).is_some()
            || (path.segments.len() > 1 && ["std", "core", "alloc", "Self"].contains(&first.as_str()))
            || (path.segments.len() == 1
                && (EXACT.contains(&first.as_str())
                    || named_generics(&self.function.sig.generics).any(|name| *name == first)))
    }
}

/// What is inside of an extractor, and of an `Arc` in it.
fn inside(ty: &Type) -> &Type {
    let Some(extracted) = EXTRACTORS.iter().find_map(|name| argument_of(ty, name)) else { return ty };
    argument_of(bare(extracted), "Arc").unwrap_or(extracted)
}

/// Whether other references are coerced to a reference to this one, which takes an exact parameter.
fn is_unsized(ty: &Type) -> bool {
    matches!(bare(ty), Type::Path(path) if UNSIZED.iter().any(|name| path.path.is_ident(name)))
}
