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

/// The future of the body holds the argument, so that it can only be sent where the argument can.
pub struct Held;
/// The body runs in the caller's task, or what its future holds can't be seen.
pub struct Unheld;

/// A reference whose value a task of its own must own: `(&&Own::held(value)).way().own(Own::held(value))`.
pub struct Own<'a, T: ?Sized, P>(&'a T, PhantomData<P>);

impl<'a, T: ?Sized> Own<'a, T, Held> {
    #[inline]
    pub fn held(value: &'a T) -> Self {
        Self(value, PhantomData)
    }
}

impl<'a, T: ?Sized> Own<'a, T, Unheld> {
    #[inline]
    pub fn unheld(value: &'a T) -> Self {
        Self(value, PhantomData)
    }
}

impl<T: ?Sized, P> Clone for Own<'_, T, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized, P> Copy for Own<'_, T, P> {}

/// The way of what can be copied.
#[derive(Clone, Copy)]
pub struct AsCopy;
/// No way.
#[derive(Clone, Copy)]
pub struct NoCopy;
/// A way that nobody goes: it can't be sent, so that neither can the future that holds it, which is where that is reported.
#[derive(Clone, Copy)]
pub struct Unasked;

/// First choice.
pub trait OwnByToOwned {
    /// How to own it.
    #[inline]
    fn way(&self) -> AsCopy {
        AsCopy
    }
}

impl<T: ToOwned<Owned: Send + 'static> + ?Sized, P> OwnByToOwned for &Own<'_, T, P> {}

/// Second choice.
pub trait OwnNot {
    /// How to own it: not at all.
    #[inline]
    fn way(&self) -> NoCopy {
        NoCopy
    }
}

impl<T: Sync + ?Sized> OwnNot for Own<'_, T, Held> {}
impl<T: ?Sized> OwnNot for Own<'_, T, Unheld> {}

/// No choice left.
pub trait OwnUnasked: Sized {
    /// How to own it: the question does not arise.
    #[inline]
    fn way(self) -> Unasked {
        Unasked
    }
}

impl<T: ?Sized> OwnUnasked for Own<'_, T, Held> {}

/// What stands for a copy that can't be made, which is reported elsewhere: no program with it ever runs.
pub struct Missing<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T: ?Sized> Borrow<T> for Missing<T> {
    fn borrow(&self) -> &T {
        placeholder()
    }
}

impl AsCopy {
    /// What a task owns in the place of an argument, made on a miss.
    #[inline]
    pub fn own<T: ToOwned + ?Sized, P>(self, value: Own<'_, T, P>) -> T::Owned {
        value.0.to_owned()
    }

    /// A copy of an argument, made on a miss.
    #[inline]
    pub fn copy<T: Clone, P>(self, value: Mention<'_, T, P>) -> Copied<T> {
        Copied(value.0.clone())
    }
}

impl NoCopy {
    /// A stand-in, so that the one mistake has one message.
    pub fn own<T: ?Sized, P>(self, _: Own<'_, T, P>) -> Missing<T> {
        Missing(PhantomData)
    }

    /// A stand-in, so that the one mistake has one message.
    pub fn copy<T, P>(self, _: Mention<'_, T, P>) -> Missing<T> {
        Missing(PhantomData)
    }
}

impl Unasked {
    /// A stand-in, so that the one mistake has one message.
    pub fn own<T: ?Sized, P>(self, value: Own<'_, T, P>) -> Missing<T> {
        NoCopy.own(value)
    }

    /// A stand-in, so that the one mistake has one message.
    pub fn copy<T, P>(self, value: Mention<'_, T, P>) -> Missing<T> {
        NoCopy.copy(value)
    }
}

/// Whether a `T` can be owned by a task.
#[diagnostic::on_unimplemented(
    message = "`&{T}` can't be copied for the task that the body runs in",
    label = "`{T}` is not `Clone + Send`",
    note = "derive `Clone`, take the argument by value, or run the body in the caller's task with `in_place`"
)]
pub trait Owns<T: ?Sized> {}

#[diagnostic::do_not_recommend]
impl<T: ?Sized> Owns<T> for AsCopy {}
#[diagnostic::do_not_recommend]
impl<T: ?Sized> Owns<T> for Unasked {}

/// Checks that an argument can be copied for a task of its own.
#[inline]
pub fn ownable<T: ?Sized, P, W: Owns<T>>(_: Own<'_, T, P>, _: W) {}

/// An argument that goes to the body, and that is mentioned in what judges the returned value:
/// `(&&Mention::held(&value)).way().copy(Mention::held(&value))`.
pub struct Mention<'a, T, P>(&'a T, PhantomData<P>);

impl<'a, T> Mention<'a, T, Held> {
    #[inline]
    pub fn held(value: &'a T) -> Self {
        Self(value, PhantomData)
    }
}

impl<'a, T> Mention<'a, T, Unheld> {
    #[inline]
    pub fn unheld(value: &'a T) -> Self {
        Self(value, PhantomData)
    }
}

impl<T, P> Clone for Mention<'_, T, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, P> Copy for Mention<'_, T, P> {}

/// First choice.
pub trait MentionByClone {
    /// How to copy it.
    #[inline]
    fn way(&self) -> AsCopy {
        AsCopy
    }
}

impl<T: Clone> MentionByClone for &Mention<'_, T, Unheld> {}
impl<T: Clone + Send + 'static> MentionByClone for &Mention<'_, T, Held> {}

/// Second choice.
pub trait MentionNot {
    /// How to copy it: not at all.
    #[inline]
    fn way(&self) -> NoCopy {
        NoCopy
    }
}

impl<T> MentionNot for Mention<'_, T, Unheld> {}
impl<T: Send> MentionNot for Mention<'_, T, Held> {}

/// No choice left.
pub trait MentionUnasked: Sized {
    /// How to copy it: the question does not arise.
    #[inline]
    fn way(self) -> Unasked {
        Unasked
    }
}

impl<T> MentionUnasked for Mention<'_, T, Held> {}

/// A copy of an argument.
pub struct Copied<T>(T);

impl<T> Copied<T> {
    /// The copy.
    #[inline]
    pub fn lend(&self) -> &T {
        &self.0
    }
}

impl<T> Missing<T> {
    /// Nothing.
    pub fn lend(&self) -> &T {
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
impl<T> Copies<T> for AsCopy {}
#[diagnostic::do_not_recommend]
impl<T> Copies<T> for Unasked {}

/// Checks that an argument can be mentioned in what judges the returned value.
#[inline]
pub fn mentionable<T, P, W: Copies<T>>(_: Mention<'_, T, P>, _: W) {}

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
