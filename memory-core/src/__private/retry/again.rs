//! Arguments by value: each attempt gets a clone.

use std::marker::PhantomData;

use super::Known;

pub struct Copies<'a, T>(pub &'a T);

pub struct NotClone<T>(PhantomData<T>);

pub struct Duplicate<T>(T);

// The argument is a parameter, not `Self`: the compiler would propose to demand this trait of a generic argument.
#[diagnostic::on_unimplemented(
    message = "`{T}` is taken by value and retried, so it must be `Clone`",
    label = "each attempt gets a clone of this argument",
    note = "take a reference (`&{T}`, `&mut {T}`), or share it in an `Arc`"
)]
pub trait Again<T> {
    /// Never called: nothing implements this.
    fn again(not: NotClone<T>) -> T;
}

pub trait Duplicated {
    type Value;
    fn into_value(self) -> Self::Value;
}

impl<T> Duplicated for Duplicate<T> {
    type Value = T;
    fn into_value(self) -> T {
        self.0
    }
}

impl<T> Duplicated for NotClone<T>
where
    Known: Again<T>,
{
    type Value = T;
    fn into_value(self) -> T {
        Known::again(self)
    }
}

pub fn owned<D: Duplicated>(duplicate: D) -> D::Value {
    duplicate.into_value()
}

impl<T: Clone> Copies<'_, T> {
    pub fn duplicate(&self) -> Duplicate<T> {
        Duplicate(self.0.clone())
    }
}

/// An extractor that is not `Clone` itself, but may be duplicated with what it holds.
pub trait DuplicateInside {
    type Of;
    fn duplicate(self) -> Duplicate<Self::Of>;
}

/// By value, so that method lookup finds it before the others.
#[cfg(feature = "axum")]
impl<T: Clone> DuplicateInside for Copies<'_, axum::extract::Path<T>> {
    type Of = axum::extract::Path<T>;
    fn duplicate(self) -> Duplicate<Self::Of> {
        Duplicate(axum::extract::Path(self.0.0.clone()))
    }
}

pub trait CannotDuplicate {
    type Of;
    fn duplicate(&self) -> NotClone<Self::Of>;
}

impl<T> CannotDuplicate for Copies<'_, T> {
    type Of = T;
    fn duplicate(&self) -> NotClone<T> {
        NotClone(PhantomData)
    }
}
