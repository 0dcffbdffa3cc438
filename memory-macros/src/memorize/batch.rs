//! `batch = ids`: a function of many ids, memorized as if it took one.

use proc_macro2::Span;
use quote::{ToTokens, quote_spanned};
use syn::{FnArg, Ident, Pat, Path, ReceiverKind, Type, parse_quote_spanned, spanned::Spanned};

use super::{
    params::{Param, Params, Pass, argument_of, bare},
    parse::{Flavor, Function},
};
use crate::options::Opt;

/// The argument that holds the ids.
pub(crate) struct Batch {
    /// Its name, as `batch = ids` gives it.
    pub(crate) name: Ident,
    /// Its place among the parameters.
    pub(crate) at: usize,
    /// What one of the ids is.
    pub(crate) id: Type,
    /// What the function of one id would return.
    pub(crate) one: Type,
}

/// Lists of ids, by the names of their types.
const LISTS: [&str; 4] = ["Vec", "VecDeque", "HashSet", "BTreeSet"];

/// What points to a list, or holds one in a request.
const AROUND: [&str; 8] = ["Box", "Arc", "Cow", "Json", "Form", "Path", "Query", "Extension"];

/// Well-known types that are no list of ids.
const NO_LIST: [&str; 21] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64", "bool",
    "char", "str", "String", "Option", "HashMap", "BTreeMap",
];

/// Well-known types that are no map.
const NO_MAP: [&str; 22] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64", "bool",
    "char", "String", "Option", "Vec", "VecDeque", "HashSet", "BTreeSet",
];

impl Batch {
    /// Reads `batch = ids`.
    pub(crate) fn parse(opt: &Opt, function: &Function, params: &Params, krate: &Path) -> syn::Result<Self> {
        let name: Ident = opt.assigned("batch = ids")?;
        let refused = |span: Span, message: &str| Err(syn::Error::new(span, message));
        if function.flavor() == Flavor::Sync {
            return refused(opt.name.span(), "a batch waits for the runs of other calls: make the function `async`");
        }
        let Some(at) = params.list.iter().position(|param| param.names.contains(&name)) else {
            return Err(unknown(&name, params));
        };
        let param = &params.list[at];
        if param.names.len() > 1 {
            return refused(name.span(), "the ids are one argument: give it a name of its own");
        }
        if let Some(receiver) = &params.receiver
            && !matches!(receiver.kind, ReceiverKind::Reference(..))
        {
            return refused(
                receiver.self_token.span,
                "a batch may run its body more than once, which takes `self` by reference: write `&self`",
            );
        }
        let (id, returned) = (id(&param.ty, krate)?, function.returned());
        let one = one(&returned, krate)?;
        check_keys(&id, map(&returned))?;
        Ok(Self { name, at, id, one })
    }

    /// The function of one id, for what is about one entry: its key, its value, its companions.
    pub(crate) fn of_one(&self, function: &Function, params: &Params) -> (Function, Params) {
        let (id, one) = (&self.id, &self.one);
        let mut sig = function.sig.clone();
        sig.output = parse_quote_spanned!(one.span()=> -> #one);
        let typed = sig.inputs.iter_mut().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        });
        if let Some(typed) = typed.into_iter().nth(self.at) {
            *typed.ty = id.clone();
        }
        let Function { attrs, vis, default, body, .. } = function;
        let function =
            Function { attrs: attrs.clone(), vis: vis.clone(), default: default.clone(), sig, body: body.clone() };
        let mut list = params.list.clone();
        let name = &self.name;
        let pat: Pat = parse_quote_spanned!(name.span()=> #name);
        let ids = &mut list[self.at];
        *ids = Param {
            ident: ids.ident.clone(),
            pat,
            ty: id.clone(),
            names: vec![name.clone()],
            is_state: false,
            pass: Pass::Move,
        };
        (function, Params { receiver: params.receiver.clone(), list })
    }
}

fn unknown(name: &Ident, params: &Params) -> syn::Error {
    let names: Vec<String> =
        params.list.iter().flat_map(|param| &param.names).map(|name| format!("`{name}`")).collect();
    let arguments =
        if names.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", names.join(", ")) };
    syn::Error::new(name.span(), format!("this function has no argument `{name}` to take ids from; {arguments}"))
}

/// What one of the ids is: as the type says, or, behind a name of the user's, as the compiler finds.
fn id(ty: &Type, krate: &Path) -> syn::Result<Type> {
    let refused = || {
        let message = "`batch` takes a list of ids: `Vec<u64>`, `&[u64]`, `HashSet<u64>` or `BTreeSet<u64>`";
        Err(syn::Error::new(ty.span(), message))
    };
    match listed(ty) {
        Listed::Id(Type::Reference(id)) if id.lifetime.is_none() => {
            let message = "the ids of a batch are owned: take `&[String]` rather than `&[&str]`";
            Err(syn::Error::new(id.span(), message))
        }
        Listed::Id(id) => Ok(id.clone()),
        Listed::Unknown => Ok(parse_quote_spanned!(ty.span()=> <#ty as #krate::__private::Ids>::Id)),
        Listed::No => refused(),
    }
}

enum Listed<'t> {
    Id(&'t Type),
    Unknown,
    No,
}

fn listed(ty: &Type) -> Listed<'_> {
    let first = |names: &[&str]| names.iter().find_map(|name| argument_of(bare(ty), name));
    match bare(ty) {
        Type::Slice(slice) => Listed::Id(&slice.elem),
        Type::Reference(reference) => listed(&reference.elem),
        Type::Path(_) => match (first(&LISTS), first(&AROUND)) {
            (Some(id), _) => Listed::Id(id),
            (None, Some(inside)) => listed(inside),
            _ if is_one_of(ty, &NO_LIST) => Listed::No,
            _ => Listed::Unknown,
        },
        _ => Listed::No,
    }
}

/// What is inside of what a function returns.
fn map(returned: &Type) -> &Type {
    ["Result", "Json"].iter().fold(bare(returned), |ty, name| argument_of(ty, name).map_or(ty, bare))
}

/// Refuses a map whose keys are not the ids, where both have well-known types; else the compiler finds out.
fn check_keys(id: &Type, map: &Type) -> syn::Result<()> {
    let Some(key) = ["HashMap", "BTreeMap"].iter().find_map(|name| argument_of(map, name)) else { return Ok(()) };
    let (Some(key_name), Some(id_name)) = (name_of(key), name_of(id)) else { return Ok(()) };
    let both_are_known = is_one_of(key, &NO_LIST) && is_one_of(id, &NO_LIST);
    if !both_are_known || key_name == id_name {
        return Ok(());
    }
    let (ids, keys) = (id.to_token_stream(), key.to_token_stream());
    Err(syn::Error::new(
        key.span(),
        format!("the ids of this batch are `{ids}`, but the keys of what it returns are `{keys}`"),
    ))
}

/// What the function of one id would return.
fn one(returned: &Type, krate: &Path) -> syn::Result<Type> {
    let map = map(returned);
    let can_be_map = matches!(map, Type::Path(_)) && !is_one_of(map, &NO_MAP);
    if !can_be_map {
        return Err(syn::Error::new(
            map.span(),
            "a batch returns its values by id: write `HashMap<Id, Value>` or `BTreeMap<Id, Value>`, in a `Result` where you like",
        ));
    }
    let tokens = quote_spanned!(returned.span()=> <#returned as #krate::__private::Many>::One);
    syn::parse2(tokens)
}

fn is_one_of(ty: &Type, names: &[&str]) -> bool {
    name_of(ty).is_some_and(|ident| names.iter().any(|name| ident == name))
}

fn name_of(ty: &Type) -> Option<&Ident> {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last().map(|last| &last.ident),
        _ => None,
    }
}
