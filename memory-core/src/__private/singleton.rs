//! What expansions of `#[cached_singleton]` call.

use std::marker::PhantomData;

pub use crate::singleton::{AsyncSingleton, Singleton};

/// A return type that is not spelled `Result`.
pub struct Declared<T>(PhantomData<fn() -> T>);

impl<T> Declared<T> {
    pub const NEW: Self = Self(PhantomData);
}

impl<T, E> Declared<Result<T, E>> {
    /// Found first where the type is a `Result` after all.
    pub fn __fm_kind(&self) -> HiddenResult {
        HiddenResult
    }
}

/// Found where the type is anything else.
pub trait DeclaredPlain {
    fn __fm_kind(&self) -> Plain {
        Plain
    }
}

impl<T> DeclaredPlain for Declared<T> {}

pub struct HiddenResult;
pub struct Plain;

#[diagnostic::on_unimplemented(
    message = "`#[cached_singleton]` wants `Result` spelled as such, not behind an alias",
    label = "this is `{T}`: write that",
    note = "callers of `-> Result<Pool, Error>` get `Result<&'static Pool, Error>`, and an `Err` is not kept"
)]
pub trait IsPlain<T> {}

#[diagnostic::do_not_recommend]
impl<T> IsPlain<T> for Plain {}

/// Compiles where the type is no `Result` in disguise.
pub fn plain<T, K: IsPlain<T>>(_declared: &Declared<T>, _kind: K) {}
