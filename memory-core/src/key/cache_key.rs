//! Types of which only a part is the key.

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

/// What a companion takes for a parameter of type `T`: a `T`, or the key of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a `{T}` nor the key of one",
    label = "expected a `{T}` or what identifies it"
)]
pub trait KeyArg<T> {
    /// Adds it to a key; a whole value the way `whole` does it.
    fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&T, &mut KeyBuf));
}

impl<T> KeyArg<T> for T {
    fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&T, &mut KeyBuf)) {
        whole(&self, key);
    }
}
