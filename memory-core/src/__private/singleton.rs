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
    pub fn kind(&self) -> HiddenResult {
        HiddenResult
    }
}

/// Found where the type is anything else.
pub trait DeclaredPlain {
    fn kind(&self) -> Plain {
        Plain
    }
}

impl<T> DeclaredPlain for Declared<T> {}

pub struct HiddenResult;
pub struct Plain;

#[diagnostic::on_unimplemented(
    message = "`#[cached_singleton]` can't see that `{T}` is a `Result`",
    label = "an alias hides the `Result`",
    note = "write it out, as in `-> Result<Pool, Error>`: callers then get `Result<&'static Pool, Error>`, and an `Err` is not kept"
)]
pub trait IsPlain<T> {}

impl<T> IsPlain<T> for Plain {}

/// Compiles where the type is no `Result` in disguise.
pub fn plain<T, K: IsPlain<T>>(_declared: &Declared<T>, _kind: K) {}
