//! What kind of function is to be retried, and what its arguments need so that the body can run again.

use syn::{
    FnArg, GenericArgument, Ident, ItemFn, Pat, PatIdent, PathArguments, Receiver, ReceiverKind, ReturnType, Type,
    TypeParamBound, spanned::Spanned,
};

use super::parse::Config;

/// How the body runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `async fn`
    Async,
    /// A `fn` that returns a boxed future, as `#[async_trait]` makes it.
    Boxed,
    /// A `fn` that returns `impl Future`.
    Future,
    /// A `fn` that blocks.
    Blocking,
}

/// How the body gets at an argument, each time it runs.
pub(crate) enum Argument {
    /// A clone of it, bound to the pattern that was written; `name` is what the signature calls it.
    Cloned { name: Ident, pattern: Box<Pat> },
    /// A `&mut` that is borrowed again.
    Reborrowed { name: Ident, mutable: bool },
    /// A `&` or `_`: the body may use it as it is, `mut` apart.
    Kept { rebound: Option<Ident> },
}

/// How the body gets at `self`.
pub(crate) enum Myself {
    /// It does not, or through a reference that it may capture again and again.
    Captured,
    /// By value: cloned.
    Cloned(Receiver),
    /// `&mut self` that is moved into the future of the body.
    Reborrowed,
}

/// A function that can be retried.
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) myself: Myself,
    pub(crate) arguments: Vec<Argument>,
}

/// The shape of a function, or why it can't be retried.
pub(crate) fn of(function: &ItemFn, config: &Config) -> syn::Result<Shape> {
    let kind = kind(function);
    if let (Kind::Blocking, Some((span, _))) = (kind, &config.attempt_timeout) {
        let message = "a blocking call can't be ended: make the function `async`, or write `deadline = ..`";
        return Err(syn::Error::new(*span, message));
    }
    if let Some(constness) = &function.sig.constness {
        return Err(syn::Error::new(constness.span(), "a `const fn` can't be retried: remove `const`"));
    }
    returns_a_result(function, kind)?;
    let mut arguments = Vec::new();
    let mut myself = Myself::Captured;
    for (at, arg) in function.sig.inputs.iter().enumerate() {
        match arg {
            FnArg::Receiver(receiver) => myself = receiver_of(receiver, kind),
            FnArg::Typed(arg) => arguments.push(argument(at, &arg.pat, &arg.ty)),
        }
    }
    Ok(Shape { kind, myself, arguments })
}

/// Refuses what is no `Result` by its name alone; behind an alias, the compiler finds out.
fn returns_a_result(function: &ItemFn, kind: Kind) -> syn::Result<()> {
    let message = "a retried function returns a `Result`: only then can it be seen to fail";
    let ReturnType::Type(_, returned) = &function.sig.output else {
        return Err(syn::Error::new(function.sig.ident.span(), message));
    };
    let resolved = match kind {
        Kind::Async | Kind::Blocking => Some(&**returned),
        Kind::Boxed | Kind::Future => output(returned),
    };
    match resolved {
        Some(ty) if is_no_result(ty) => Err(syn::Error::new(ty.span(), message)),
        _ => Ok(()),
    }
}

pub(crate) fn is_no_result(ty: &Type) -> bool {
    const NAMES: [&str; 20] = [
        "Option", "Vec", "String", "Box", "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16",
        "i32", "i64", "i128", "isize", "f32", "f64",
    ];
    match ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| NAMES.iter().any(|name| last.ident == name)),
        Type::Tuple(_) | Type::Reference(_) | Type::Array(_) | Type::Slice(_) | Type::Never(_) => true,
        _ => false,
    }
}

pub(crate) fn kind(function: &ItemFn) -> Kind {
    if function.sig.asyncness.is_some() {
        return Kind::Async;
    }
    match &function.sig.output {
        ReturnType::Type(_, ty) if is_boxed_future(ty) => Kind::Boxed,
        ReturnType::Type(_, ty) if is_future(ty) => Kind::Future,
        _ => Kind::Blocking,
    }
}

/// `Pin<Box<dyn Future<..>>>`, or the alias that the `futures` crate has for it.
fn is_boxed_future(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    match last.ident.to_string().as_str() {
        "BoxFuture" | "LocalBoxFuture" => true,
        "Pin" | "Box" => inside(&last.arguments).is_some_and(|inside| is_boxed_future(inside) || is_future(inside)),
        _ => false,
    }
}

/// `T` in a type that is a future of `T`.
pub(crate) fn output(ty: &Type) -> Option<&Type> {
    let bounds = match ty {
        Type::ImplTrait(ty) => &ty.bounds,
        Type::TraitObject(ty) => &ty.bounds,
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            return match last.ident.to_string().as_str() {
                "Pin" | "Box" => output(inside(&last.arguments)?),
                _ => inside(&last.arguments),
            };
        }
        _ => return None,
    };
    let futures = bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().filter(|last| last.ident == "Future"),
        _ => None,
    });
    futures.filter_map(|future| arguments_of(&future.arguments)).flatten().find_map(|argument| match argument {
        GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(&assoc.ty),
        _ => None,
    })
}

/// `E` in `Result<T, E>`, where it is spelled out.
pub(crate) fn error_type(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let types = arguments_of(&path.path.segments.last()?.arguments)?.filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.skip(1).last()
}

fn arguments_of(arguments: &PathArguments) -> Option<impl Iterator<Item = &GenericArgument>> {
    match arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments.args.iter()),
        _ => None,
    }
}

fn inside(arguments: &PathArguments) -> Option<&Type> {
    arguments_of(arguments)?.find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// `impl Future<..>` or `dyn Future<..>`.
fn is_future(ty: &Type) -> bool {
    let bounds = match ty {
        Type::ImplTrait(ty) => &ty.bounds,
        Type::TraitObject(ty) => &ty.bounds,
        _ => return false,
    };
    bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == "Future"),
        _ => false,
    })
}

fn receiver_of(receiver: &Receiver, kind: Kind) -> Myself {
    // An `async` block of ours borrows `self` again by itself; a body that makes its own future moves it there.
    let mutable = |mutable: bool| match kind {
        Kind::Boxed | Kind::Future if mutable => Myself::Reborrowed,
        _ => Myself::Captured,
    };
    match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutable(mutability.is_some()),
        ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(ty) => mutable(ty.mutability.is_some()),
            _ => Myself::Cloned(receiver.clone()),
        },
        _ => Myself::Cloned(receiver.clone()),
    }
}

fn argument(at: usize, pattern: &Pat, ty: &Type) -> Argument {
    // A type that came through `macro_rules!` stands in an invisible group.
    if let Type::Group(group) = ty {
        return argument(at, pattern, &group.elem);
    }
    let fresh = || Ident::new(&format!("argument{at}"), proc_macro2::Span::mixed_site());
    match (pattern, ty) {
        (Pat::Wild(_), _) => Argument::Kept { rebound: None },
        (Pat::Ident(PatIdent { ident, mutability, subpat: None, .. }), Type::Reference(ty)) => {
            match (ty.mutability, mutability) {
                (Some(_), mutable) => Argument::Reborrowed { name: ident.clone(), mutable: mutable.is_some() },
                (None, Some(_)) => Argument::Kept { rebound: Some(ident.clone()) },
                (None, None) => Argument::Kept { rebound: None },
            }
        }
        // A plain name stays in the signature, where rustdoc shows it; a leading underscore says that it is not used.
        (Pat::Ident(PatIdent { ident, subpat: None, by_ref: None, .. }), _) if !ident.to_string().starts_with('_') => {
            Argument::Cloned { name: ident.clone(), pattern: Box::new(pattern.clone()) }
        }
        _ => Argument::Cloned { name: fresh(), pattern: Box::new(pattern.clone()) },
    }
}
