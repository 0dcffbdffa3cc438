//! Arguments as values of an expression, and as property of a task.

use std::{
    borrow::{Borrow, ToOwned},
    future::Future,
    marker::PhantomData,
};

use crate::{backend::BoxFuture, cache::FmCache};

/// An argument that `key`, `refresh_if` and others mention: `(&Bind(&value)).bind()` is the value itself where it is
/// `Copy`, else a reference, so that nothing is moved.
pub struct Bind<'a, T: ?Sized>(pub &'a T);

impl<T: ?Sized> Clone for Bind<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Bind<'_, T> {}

/// First choice.
pub trait BindByValue<T> {
    /// The value.
    fn bind(&self) -> T;
}

impl<T: Copy> BindByValue<T> for Bind<'_, T> {
    #[inline]
    fn bind(&self) -> T {
        *self.0
    }
}

/// Last choice.
pub trait BindByReference<'a, T: ?Sized> {
    /// The value, by reference.
    fn bind(self) -> &'a T;
}

impl<'a, T: ?Sized> BindByReference<'a, T> for Bind<'a, T> {
    #[inline]
    fn bind(self) -> &'a T {
        self.0
    }
}

/// A reference whose value a task of its own must own: `(&Own(value)).way().own(Own(value))`.
pub struct Own<'a, T: ?Sized>(pub &'a T);

impl<T: ?Sized> Clone for Own<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Own<'_, T> {}

/// The way of what has an owned form.
#[derive(Clone, Copy)]
pub struct AsOwned;
/// No way.
#[derive(Clone, Copy)]
pub struct NotOwned;

/// First choice.
pub trait OwnByToOwned {
    /// How to own it.
    #[inline]
    fn way(&self) -> AsOwned {
        AsOwned
    }
}

impl<T: ToOwned + ?Sized> OwnByToOwned for Own<'_, T> {}

/// No choice left.
pub trait OwnNot: Sized {
    /// How to own it: not at all.
    #[inline]
    fn way(self) -> NotOwned {
        NotOwned
    }
}

impl<T: ?Sized> OwnNot for Own<'_, T> {}

impl AsOwned {
    /// A copy of an argument, made on a miss.
    #[inline]
    pub fn own<T: ToOwned + ?Sized>(self, value: Own<'_, T>) -> T::Owned {
        value.0.to_owned()
    }
}

impl NotOwned {
    /// A stand-in, so that the one mistake has one message.
    pub fn own<T: ?Sized>(self, _: Own<'_, T>) -> Unowned<T> {
        Unowned(PhantomData)
    }
}

/// What stands for a copy that can't be made, which `Owns` has reported: no program with it ever runs.
pub struct Unowned<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T: ?Sized> Borrow<T> for Unowned<T> {
    fn borrow(&self) -> &T {
        placeholder()
    }
}

/// Whether a `T` can be owned.
#[diagnostic::on_unimplemented(
    message = "`&{T}` can't be copied for the task that the body runs in",
    label = "`{T}` is not `Clone`",
    note = "derive `Clone`, take the argument by value, or run the body in the caller's task with `in_place`"
)]
pub trait Owns<T: ?Sized> {}

#[diagnostic::do_not_recommend]
impl<T: ToOwned + ?Sized> Owns<T> for AsOwned {}

/// Checks that an argument can be copied for a task of its own.
#[inline]
pub fn ownable<T: ?Sized, W: Owns<T>>(_: Own<'_, T>, _: W) {}

/// An argument that goes to the body, and that is mentioned in what judges the returned value:
/// `(&Mention(&value)).way().copy(Mention(&value))`.
pub struct Mention<'a, T>(pub &'a T);

impl<T> Clone for Mention<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Mention<'_, T> {}

/// The way of what is `Clone`.
#[derive(Clone, Copy)]
pub struct AsClone;
/// No way.
#[derive(Clone, Copy)]
pub struct NotClone;

/// First choice.
pub trait MentionByClone {
    /// How to copy it.
    #[inline]
    fn way(&self) -> AsClone {
        AsClone
    }
}

impl<T: Clone> MentionByClone for Mention<'_, T> {}

/// No choice left.
pub trait MentionNot: Sized {
    /// How to copy it: not at all.
    #[inline]
    fn way(self) -> NotClone {
        NotClone
    }
}

impl<T> MentionNot for Mention<'_, T> {}

impl AsClone {
    /// A copy of an argument, made on a miss.
    #[inline]
    pub fn copy<T: Clone>(self, value: Mention<'_, T>) -> T {
        value.0.clone()
    }
}

impl NotClone {
    /// A stand-in, so that the one mistake has one message.
    pub fn copy<T>(self, _: Mention<'_, T>) -> T {
        placeholder()
    }
}

/// Whether a `T` that goes to the body can be mentioned in what judges the returned value.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be copied for the options of `memorize` that mention it",
    label = "`{T}` is not `Clone`",
    note = "they are asked when the body has taken the argument: derive `Clone`, mention only a part of it, which a pattern \
            in its place can name, or don't mention it"
)]
pub trait Copies<T> {}

#[diagnostic::do_not_recommend]
impl<T: Clone> Copies<T> for AsClone {}

/// Checks that an argument can be mentioned in what judges the returned value.
#[inline]
pub fn mentionable<T, W: Copies<T>>(_: Mention<'_, T>, _: W) {}

/// Boxes the future of a body that runs in a task of its own. The name is part of the compiler's message for a body that
/// is not `Send`.
#[inline]
pub fn in_place_unless_send<'a, T, F>(body: F) -> BoxFuture<'a, T>
where
    F: Future<Output = T> + Send + 'a,
{
    Box::pin(body)
}

/// Boxes the future of a body that runs in the caller's task: it is `Send` when the body is, and may contain itself.
#[inline]
pub fn boxed<F: Future>(body: F) -> std::pin::Pin<Box<F>> {
    Box::pin(body)
}

/// A value that only tells the compiler its type: the code that asks for it is never reached, or never compiles.
pub fn placeholder<T>() -> T {
    unreachable!("an expansion asked for a value that is only there for its type")
}

/// The cache that `cache = ..` names.
#[inline]
pub fn chosen(cache: &FmCache) -> Option<&FmCache> {
    Some(cache)
}

/// A handle of the cache that `cache = ..` finds through the arguments, which go to the body.
#[inline]
pub fn handle(cache: &FmCache) -> FmCache {
    cache.clone()
}

/// `Some`, whatever the name means where an expansion stands.
#[inline]
pub fn some<T>(value: T) -> Option<T> {
    Some(value)
}

/// `None`, whatever the name means where an expansion stands.
#[inline]
pub fn none<T>() -> Option<T> {
    None
}
