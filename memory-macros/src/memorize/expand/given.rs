//! What companions take: the arguments that are in the key.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::{Type, TypePath};

use super::{Expansion, Param, mentions_param, named_generics, site, site_at};
use crate::memorize::{
    mentions::mentions,
    params::{bare, borrow},
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

    /// `id: impl KeyArg<Path<u64>>`.
    pub(super) fn given_input(&self, param: &Param) -> TokenStream {
        let private = &self.private;
        let (ident, ty) = (&param.ident, &param.ty);
        if self.is_exact(ty) {
            return quote_spanned!(site()=> #ident: #ty);
        }
        match self.config.key {
            Some(_) => quote_spanned!(site()=> #ident: impl #private::ValueArg<#ty>),
            None => quote_spanned!(site()=> #ident: impl #private::KeyArg<#ty>),
        }
    }

    /// The key of those companions.
    pub(super) fn given_key(&self) -> TokenStream {
        let private = &self.private;
        if self.config.key.is_some() {
            let values = self.given().into_iter().filter(|param| !self.is_exact(&param.ty)).map(|param| {
                let (ident, ty) = (&param.ident, &param.ty);
                quote_spanned!(site()=> let #ident: #ty = #private::ValueArg::into_value(#ident);)
            });
            let values: TokenStream = values.collect();
            let key = self.key();
            return if values.is_empty() { key } else { quote_spanned!(site()=> { #values #key }) };
        }
        let arguments = self.push_self().into_iter().chain(self.keyed().map(|param| self.push_given(param)));
        self.key_of(&arguments.collect())
    }

    fn push_given(&self, param: &Param) -> TokenStream {
        let private = &self.private;
        if self.is_exact(&param.ty) {
            return self.push_param(param);
        }
        let (ident, ty) = (&param.ident, &param.ty);
        let push = self.push(param.span(), &quote_spanned!(site()=> __fm_whole));
        quote_spanned! {site_at(param.span())=>
            #private::KeyArg::push_arg(
                #ident,
                __fm_key,
                |__fm_whole: &#ty, __fm_key: &mut #private::KeyBuf| { #push },
            );
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
