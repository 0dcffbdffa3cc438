//! Types of which only a part is the key.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::KeyBuf;

/// A type of which only a part identifies it, wherever it is an argument of a memorized function.
///
/// Derive it and mark the fields: `#[derive(CacheKey)]`, `#[cache_key]`. The other fields are not in the key, so they
/// must not change what the function returns. The function's companions take the value or its key.
///
/// # Examples
///
/// ```
/// use memory_core::CacheKey;
///
/// #[derive(CacheKey)]
/// struct CurrentUser {
///     #[cache_key]
///     id: u64,
///     session: String,
/// }
/// # let _ = CurrentUser { id: 1, session: String::new() }.session;
/// ```
#[diagnostic::on_unimplemented(
    message = "nothing says which part of `{Self}` is its key",
    label = "not `CacheKey`",
    note = "add `#[derive(CacheKey)]` and mark the identifying fields with `#[cache_key]`"
)]
pub trait CacheKey {
    /// What identifies it: the type of the marked field, or the tuple of them.
    type Key;

    /// Adds the marked fields to a key.
    #[doc(hidden)]
    fn push_key(&self, key: &mut KeyBuf);
}

/// What a companion takes for a parameter of type `Outer`: an `Outer`, or the `T` inside, or the key of that.
///
/// `T` stands first so that the crate of a `T` may say that its key is an argument, whatever it is wrapped in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a `{Outer}` nor the key of one",
    label = "expected a `{Outer}` or what identifies it"
)]
pub trait KeyArg<T: ?Sized, Outer: ?Sized = T> {
    /// Adds it to a key; a whole value the way `whole` does it.
    fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&Outer, &mut KeyBuf));
}

impl<T: ?Sized, Outer> KeyArg<T, Outer> for Outer {
    fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&Outer, &mut KeyBuf)) {
        whole(&self, key);
    }
}

impl<T> KeyArg<T, Arc<T>> for T {
    fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&Arc<T>, &mut KeyBuf)) {
        whole(&Arc::new(self), key);
    }
}

/// What a companion takes for a parameter of type `&T`: a `&T`, or the key of a `T`.
///
/// Not a `T`: clippy would call every `&` in front of a new value needless.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a `&{T}` nor the key of one",
    label = "expected a `&{T}` or what identifies it"
)]
pub trait RefKeyArg<T: ?Sized> {
    /// Adds it to a key; a whole value the way `whole` does it.
    fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&T, &mut KeyBuf));
}

/// What would be coerced to a `&T` if a companion took nothing else.
macro_rules! coerced {
    ($([$($generics:tt)*] $reference:ty => $target:ty;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> RefKeyArg<$target> for $reference {
            fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&$target, &mut KeyBuf)) {
                whole(self, key);
            }
        }
    )*};
}
coerced! {
    [T: ?Sized] &T => T;
    [T: ?Sized] &&T => T;
    [T: ?Sized] &Arc<T> => T;
    [T: ?Sized] &Box<T> => T;
    [] &String => str;
    [] &PathBuf => Path;
}

/// The types that a companion takes the key of a `T` for.
pub trait Wraps<T: ?Sized> {}

impl<T: ?Sized> Wraps<T> for T {}
impl<T: ?Sized> Wraps<T> for Arc<T> {}
