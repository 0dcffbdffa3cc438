//! `#[derive(CacheKey)]`: of a type that is an argument, only the marked fields are the key.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Data, DeriveInput, Fields, Generics, Ident, Index, Member, Meta, Path, Type, spanned::Spanned};

use crate::options::Options;

/// Derives `CacheKey`, and lets companions take the key instead of the value.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    syn::parse2(input).and_then(parse).map_or_else(|error| error.to_compile_error(), |keyed| expand(&keyed))
}

/// A struct with its marked fields, in order.
struct Keyed {
    krate: Path,
    name: Ident,
    generics: Generics,
    fields: Vec<(Member, Type)>,
}

fn parse(input: DeriveInput) -> syn::Result<Keyed> {
    let fields = match &input.data {
        Data::Struct(data) => marked(&data.fields),
        Data::Enum(data) => Err(syn::Error::new(data.enum_token.span, NO_ENUM)),
        Data::Union(data) => Err(syn::Error::new(data.union_token.span, NO_UNION)),
    }?;
    if fields.is_empty() {
        return Err(syn::Error::new(input.ident.span(), NO_MARK));
    }
    let krate = krate(&input.attrs)?;
    Ok(Keyed { krate, name: input.ident, generics: input.generics, fields })
}

const NO_MARK: &str = "no field says what identifies this: mark one or more with `#[cache_key]`";
const NO_ENUM: &str = "`CacheKey` is derived for structs: derive `serde::Serialize` for this enum and it is a key as a \
                       whole, or put it into a struct beside what is not the key";
const NO_UNION: &str = "`CacheKey` is derived for structs: nothing says which field of a union is alive";

fn marked(fields: &Fields) -> syn::Result<Vec<(Member, Type)>> {
    let mut found = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let mut marks = field.attrs.iter().filter(|attribute| attribute.path().is_ident("cache_key"));
        let Some(mark) = marks.next() else { continue };
        if !matches!(mark.meta, Meta::Path(_)) {
            return Err(syn::Error::new(
                mark.meta.span(),
                "the mark of a field takes no arguments: write `#[cache_key]`",
            ));
        }
        if let Some(again) = marks.next() {
            return Err(syn::Error::new(again.span(), "this field is marked already: keep one `#[cache_key]`"));
        }
        let member = field.ident.clone().map_or_else(|| Member::Unnamed(Index::from(at)), Member::Named);
        found.push((member, field.ty.clone()));
    }
    Ok(found)
}

/// Where `memory_core` is: `#[cache_key(crate = path)]` on the type.
fn krate(attributes: &[Attribute]) -> syn::Result<Path> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cache_key")) {
        let Meta::List(list) = &attribute.meta else {
            return Err(syn::Error::new(attribute.span(), "mark the fields that identify this, not the type"));
        };
        let mut options = Options::parse("cache_key", &["crate"], list.tokens.clone());
        let given = options.take("crate").map(|opt| opt.assigned("crate = path::to::memory_core"));
        found = found.or(given.and_then(|path| options.keep(path)));
        if let Some(error) = options.into_errors() {
            return Err(error);
        }
    }
    Ok(found.unwrap_or_else(|| syn::parse_quote!(::memory_core)))
}

// Input:
// struct CurrentUser { #[cache_key] id: Uuid, session: Session }
//
// Output:
// impl CurrentUser {
//     fn __fm_push_key(key: &mut KeyBuf, field_0: &Uuid) { KeyBuf::push(key, field_0); }
// }
// impl ::memory_core::CacheKey for CurrentUser {
//     type Key = Uuid;
//     fn push_key(&self, key: &mut KeyBuf) { Self::__fm_push_key(key, &self.id); }
// }
// impl<__FmOuter: Wraps<CurrentUser>> KeyArg<CurrentUser, __FmOuter> for Uuid {
//     fn push_arg(self, key: &mut KeyBuf, _: impl FnOnce(&__FmOuter, &mut KeyBuf)) {
//         <CurrentUser>::__fm_push_key(key, &self);
//     }
// }
// impl RefKeyArg<CurrentUser> for Uuid { .. }
fn expand(keyed: &Keyed) -> TokenStream {
    let push = expand_push(keyed);
    let trait_impl = expand_trait(keyed);
    let argument = keyed.key_is_argument().then(|| expand_argument(keyed));
    quote!(#push #trait_impl #argument)
}

/// The one place that asks for `Serialize`, so that a field without it is one message, at its type.
fn expand_push(keyed: &Keyed) -> TokenStream {
    let Keyed { krate, name, generics, fields } = keyed;
    let (parameters, arguments, _) = generics.split_for_impl();
    let bounds = bounds(keyed);
    let names: Vec<Ident> = (0..fields.len()).map(|at| format_ident!("field_{at}")).collect();
    let types = fields.iter().map(|(_, ty)| ty);
    let pushes = fields.iter().zip(&names).map(|((_, ty), name)| {
        let value = Ident::new(&name.to_string(), ty.span());
        quote_spanned!(ty.span()=> #krate::__private::KeyBuf::push(key, #value);)
    });
    quote! {
        #[automatically_derived]
        impl #parameters #name #arguments #bounds {
            #[doc(hidden)]
            fn __fm_push_key(key: &mut #krate::__private::KeyBuf, #(#names: &#types),*) {
                #(#pushes)*
            }
        }
    }
}

fn expand_trait(keyed: &Keyed) -> TokenStream {
    let Keyed { krate, name, generics, fields } = keyed;
    let (parameters, arguments, _) = generics.split_for_impl();
    let (bounds, key) = (bounds(keyed), keyed.key());
    let members = fields.iter().map(|(member, _)| member);
    quote! {
        #[automatically_derived]
        impl #parameters #krate::CacheKey for #name #arguments #bounds {
            type Key = #key;

            fn push_key(&self, key: &mut #krate::__private::KeyBuf) {
                Self::__fm_push_key(key, #(&self.#members),*);
            }
        }
    }
}

fn expand_argument(keyed: &Keyed) -> TokenStream {
    let Keyed { krate, name, generics, fields } = keyed;
    let (parameters, arguments, _) = generics.split_for_impl();
    let (bounds, key) = (bounds(keyed), keyed.key());
    let parts = match fields.as_slice() {
        [_] => quote!(&self),
        several => {
            let indices = (0..several.len()).map(Index::from);
            quote!(#(&self.#indices),*)
        }
    };
    let outer = format_ident!("__FmOuter");
    let wrapped = with_outer(keyed, &outer);
    let (with_outer, _, _) = wrapped.split_for_impl();
    let push_arg = |whole: TokenStream| {
        quote! {
            fn push_arg(
                self,
                key: &mut #krate::__private::KeyBuf,
                _: impl #krate::__private::std::ops::FnOnce(&#whole, &mut #krate::__private::KeyBuf),
            ) {
                <#name #arguments>::__fm_push_key(key, #parts);
            }
        }
    };
    let (push_value, push_reference) = (push_arg(quote!(#outer)), push_arg(quote!(#name #arguments)));
    quote! {
        #[automatically_derived]
        impl #with_outer #krate::__private::KeyArg<#name #arguments, #outer> for #key #bounds {
            #push_value
        }
        #[automatically_derived]
        impl #parameters #krate::__private::RefKeyArg<#name #arguments> for #key #bounds {
            #push_reference
        }
    }
}

/// The type's generic parameters, and whatever a parameter of a function wraps it in.
fn with_outer(keyed: &Keyed, outer: &Ident) -> Generics {
    let Keyed { krate, name, generics, .. } = keyed;
    let (_, arguments, _) = generics.split_for_impl();
    let mut generics = generics.clone();
    generics.params.push(
        syn::parse_quote!(#outer: ?#krate::__private::std::marker::Sized + #krate::__private::Wraps<#name #arguments>),
    );
    generics
}

/// The `where` clause: with type parameters around, the marked fields must still serialise.
fn bounds(keyed: &Keyed) -> TokenStream {
    let private = &keyed.krate;
    let written =
        keyed.generics.where_clause.iter().flat_map(|clause| clause.predicates.iter().map(|bound| quote!(#bound)));
    let needed = keyed
        .fields
        .iter()
        .filter(|_| keyed.generics.type_params().next().is_some())
        .map(|(_, ty)| quote_spanned!(ty.span()=> #ty: #private::__private::serde::Serialize));
    quote!(where #(#written,)* #(#needed,)*)
}

impl Keyed {
    /// What identifies it: the marked field, or the tuple of them.
    fn key(&self) -> TokenStream {
        match self.fields.as_slice() {
            [(_, ty)] => quote!(#ty),
            several => {
                let types = several.iter().map(|(_, ty)| ty);
                quote!((#(#types,)*))
            }
        }
    }

    /// Rust's orphan rule forbids `impl<T> KeyArg<Owner<T>> for T`: then companions take the whole value only.
    fn key_is_argument(&self) -> bool {
        match self.fields.as_slice() {
            [(_, ty)] => !self.begins_with_parameter(ty),
            _ => true,
        }
    }

    fn begins_with_parameter(&self, ty: &Type) -> bool {
        match ty {
            Type::Reference(reference) => self.begins_with_parameter(&reference.elem),
            Type::Paren(paren) => self.begins_with_parameter(&paren.elem),
            Type::Group(group) => self.begins_with_parameter(&group.elem),
            Type::Path(path) => {
                let first = path.path.segments.first();
                let own =
                    self.generics.type_params().any(|param| first.is_some_and(|first| first.ident == param.ident));
                own || path.qself.is_some() || self.boxes_parameter(path)
            }
            _ => false,
        }
    }

    /// `Box<T>` counts as its inside in the orphan rule.
    fn boxes_parameter(&self, path: &syn::TypePath) -> bool {
        let Some(last) = path.path.segments.last().filter(|last| last.ident == "Box" || last.ident == "Pin") else {
            return false;
        };
        let syn::PathArguments::AngleBracketed(inside) = &last.arguments else { return false };
        inside.args.iter().any(|argument| match argument {
            syn::GenericArgument::Type(ty) => self.begins_with_parameter(ty),
            _ => false,
        })
    }
}
