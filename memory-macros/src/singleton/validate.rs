use syn::{Error, FnArg, GenericArgument, PathArguments, Result, ReturnType, Type};

use super::ATTRIBUTE;
use crate::plain_fn::{PlainFn, bare, find_impl_trait, find_self};

/// A function that can be a singleton.
pub(super) struct Singleton {
    pub(super) function: PlainFn,
    /// The return type as written.
    pub(super) returned: Type,
    /// What callers get a `&'static` to.
    pub(super) value: Type,
    pub(super) fallible: bool,
}

pub(super) fn validate(function: PlainFn) -> Result<Singleton> {
    function.refuse_qualifiers(ATTRIBUTE)?;
    refuse_parameters(&function)?;
    let returned = returned(&function)?;
    refuse_unnameable(&returned)?;
    let (value, fallible) = match ok_type(&returned)? {
        Some(ok) => (ok, true),
        None => (returned.clone(), false),
    };
    Ok(Singleton { function, returned, value, fallible })
}

fn refuse_parameters(function: &PlainFn) -> Result<()> {
    let generics = &function.sig.generics;
    if !generics.params.is_empty() {
        let message = "a singleton is one value, so its function can't be generic: write one function for each type";
        return Err(Error::new_spanned(generics, message));
    }
    match function.sig.inputs.first() {
        None => Ok(()),
        Some(FnArg::Receiver(receiver)) => {
            let message = "a singleton takes no `self`: make it an associated function (`fn shared() -> Settings`)";
            Err(Error::new_spanned(receiver, message))
        }
        Some(FnArg::Typed(_)) => {
            let message = "a singleton takes no arguments: use `#[fm_lru]` for one value per argument";
            Err(Error::new_spanned(&function.sig.inputs, message))
        }
    }
}

fn returned(function: &PlainFn) -> Result<Type> {
    match &function.sig.output {
        ReturnType::Type(_, ty) => Ok(bare(ty).clone()),
        ReturnType::Default => {
            let message = "a singleton returns the value that its callers share: write `-> Settings`, say";
            Err(Error::new_spanned(&function.sig.ident, message))
        }
    }
}

/// The value lives in a `static`, whose type must be written out.
fn refuse_unnameable(returned: &Type) -> Result<()> {
    if let Some(found) = find_impl_trait(returned) {
        let message = "a singleton needs a type with a name: return the type itself, or `Box<dyn Trait + Send + Sync>`";
        return Err(Error::new_spanned(found, message));
    }
    match find_self(quote::ToTokens::to_token_stream(returned)) {
        Some(found) => Err(Error::new(
            found.span(),
            "a singleton is a `static`, where `Self` means nothing: write the type's name",
        )),
        None => Ok(()),
    }
}

/// `T` of a return type that is spelled `Result<T, …>`.
fn ok_type(returned: &Type) -> Result<Option<Type>> {
    let Type::Path(path) = returned else {
        return Ok(None);
    };
    let Some(last) = path.path.segments.last().filter(|last| last.ident == "Result") else {
        return Ok(None);
    };
    let types = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.first(),
        _ => None,
    };
    match types {
        Some(GenericArgument::Type(ok)) => Ok(Some(ok.clone())),
        _ => {
            let message =
                "this hides the value that callers share: write the `Result` out, as in `-> Result<Pool, Error>`";
            Err(Error::new_spanned(returned, message))
        }
    }
}
