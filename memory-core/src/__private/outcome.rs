//! The shape of a return type, found by type: what is stored, what counts as absent, what is a failure.
//!
//! An expansion peels a return type from the outside, `layers::<R>().result().option().json()`: the inherent method
//! takes a layer off where the type has it, so aliases don't matter, and the trait method of the same name leaves every
//! other type as it is. What is left is the value.

use std::{convert::Infallible, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    bind::placeholder,
    call::Call,
    ended::EndedWay,
    share::Failure,
    wrapping::{Bare, InKeptOption, InKeptResult, InOption, InResult, Wrapping},
};
use crate::{
    cache::{
        FmCache, Limits, Ours, Show,
        outcome::{Face, Fate, MemoryOnly, Outcome, Portable, Share, Split},
    },
    key::KeyBuf,
};

/// A return type whose layers `W` have been peeled off a value of type `T`.
pub struct Layers<T, W>(pub(super) PhantomData<fn() -> (T, W)>);

impl<T, W> Clone for Layers<T, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, W> Copy for Layers<T, W> {}

/// Starts to peel.
#[inline]
pub const fn layers<R>() -> Layers<R, Bare> {
    Layers(PhantomData)
}

impl<T, E> Layers<Result<T, E>, Bare> {
    /// Peels a `Result`.
    pub fn result(self) -> Layers<T, InResult<E>> {
        Layers(PhantomData)
    }

    /// Whether there is a `Result`.
    pub fn has_result(self) -> Self {
        self
    }

    /// Peels a `Result` that is stored whole.
    pub fn keep_result(self) -> Layers<T, InKeptResult<E>> {
        Layers(PhantomData)
    }
}

impl<T, W> Layers<Option<T>, W> {
    /// Peels an `Option`.
    pub fn option(self) -> Layers<T, InOption<W>> {
        Layers(PhantomData)
    }

    /// Whether there is an `Option`.
    pub fn has_option(self) -> Self {
        self
    }

    /// Peels an `Option` that is stored whole.
    pub fn keep_option(self) -> Layers<T, InKeptOption<W>> {
        Layers(PhantomData)
    }
}

/// What `cache_err` meets when there is no `Result`.
pub struct ReturnsNoResult<T>(PhantomData<fn() -> T>);
/// What `cache_none` meets when there is no `Option`.
pub struct ReturnsNoOption<T>(PhantomData<fn() -> T>);

/// No `Result` to peel.
pub trait NoResult<T>: Sized {
    /// Nothing to peel.
    fn result(self) -> Self {
        self
    }

    /// Nothing to keep.
    fn keep_result(self) -> Self {
        self
    }

    /// There is none.
    fn has_result(self) -> ReturnsNoResult<T> {
        ReturnsNoResult(PhantomData)
    }
}

impl<T, W> NoResult<T> for Layers<T, W> {}

/// No `Option` to peel.
pub trait NoOption<T>: Sized {
    /// Nothing to peel.
    fn option(self) -> Self {
        self
    }

    /// Nothing to keep.
    fn keep_option(self) -> Self {
        self
    }

    /// There is none.
    fn has_option(self) -> ReturnsNoOption<T> {
        ReturnsNoOption(PhantomData)
    }
}

impl<T, W> NoOption<T> for Layers<T, W> {}

/// No status and no headers to peel.
pub trait NoHead: Sized {
    /// Nothing to peel.
    fn head(self) -> Self {
        self
    }
}

impl<T, W> NoHead for Layers<T, W> {}

/// No `Json` to peel.
pub trait NoJson: Sized {
    /// Nothing to peel.
    fn json(self) -> Self {
        self
    }
}

impl<T, W> NoJson for Layers<T, W> {}

/// What `cache_none` and `cache_err` may be used on.
#[diagnostic::on_unimplemented(
    message = "there is nothing here for this argument to act on",
    label = "`cache_none` and `stale_on_none` need a function that returns an `Option`, `cache_err` one that returns a `Result`"
)]
pub trait Kept {}

impl<T, W> Kept for Layers<T, W> {}

/// Checks that there is a layer to keep.
#[inline]
pub fn kept<K: Kept>(_: K) {}

impl<T: 'static, W: Wrapping + 'static> Outcome for Layers<T, W>
where
    W::Stored<T>: Clone + Send + Sync + 'static,
{
    type Return = W::Return<T>;
    type Stored = W::Stored<T>;
    type Absent = W::Absent;
    type Failure = W::Failure;

    fn split(self, returned: Self::Return) -> Split<Self::Stored, Self::Absent, Self::Failure> {
        W::split(returned)
    }

    fn value(self, stored: Self::Stored) -> Self::Return {
        W::value(stored)
    }

    fn absent(self, absent: Self::Absent) -> Self::Return {
        W::absent(absent)
    }

    fn failed(self, failure: Self::Failure) -> Self::Return {
        W::failed(failure)
    }

    fn fate(self, returned: &Self::Return) -> Fate {
        W::fate(returned)
    }

    fn is_none(self, returned: &Self::Return) -> bool {
        W::is_none(returned)
    }

    fn is_err(self, returned: &Self::Return) -> bool {
        W::is_err(returned)
    }
}

impl<T, W: Wrapping> Layers<T, W> {
    /// What is stored, to ask what it can do.
    pub fn stored(self) -> Stored<W::Stored<T>> {
        Stored(PhantomData)
    }

    /// What a failure is, to ask what it can do.
    pub fn failure(self) -> Failure<W::Failure> {
        Failure(PhantomData)
    }
}

/// The type of what is stored.
pub struct Stored<T>(pub(super) PhantomData<fn() -> T>);

impl<T> Clone for Stored<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Stored<T> {}

/// It can be stored anywhere.
#[derive(Clone, Copy)]
pub struct AsBytes;
/// It can be stored in this process.
#[derive(Clone, Copy)]
pub struct InMemory;
/// It can't be stored.
#[derive(Clone, Copy)]
pub struct Nowhere;

/// First choice.
pub trait StoredAsBytes {
    /// Where it can be stored.
    fn way(&self) -> AsBytes {
        AsBytes
    }
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> StoredAsBytes for &Stored<T> {}

/// Second choice.
pub trait StoredInMemory {
    /// Where it can be stored.
    fn way(&self) -> InMemory {
        InMemory
    }
}

impl<T: Clone + Send + Sync + 'static> StoredInMemory for Stored<T> {}

/// No choice left.
pub trait NotStored: Sized {
    /// Where it can be stored: nowhere.
    fn way(self) -> Nowhere {
        Nowhere
    }
}

impl<T> NotStored for Stored<T> {}

impl AsBytes {
    /// The face of such values.
    pub fn face(self) -> Portable {
        Portable
    }

    /// The shape of their return type.
    pub fn shape<S>(self, layers: S) -> S {
        layers
    }
}

impl InMemory {
    /// The face of such values.
    pub fn face(self) -> MemoryOnly {
        MemoryOnly
    }

    /// The shape of their return type.
    pub fn shape<S>(self, layers: S) -> S {
        layers
    }
}

impl Nowhere {
    /// A face, so that the one mistake has one message.
    pub fn face(self) -> MemoryOnly {
        MemoryOnly
    }

    /// A shape, so that the one mistake has one message.
    pub fn shape<S: Shaped>(self, _: S) -> Unusable<S::Return, S::Failure> {
        Unusable(PhantomData)
    }
}

/// The shape of a return type, whether its value can be stored or not.
pub trait Shaped {
    /// What is returned.
    type Return;
    /// What is a failure.
    type Failure;
}

impl<T, W: Wrapping> Shaped for Layers<T, W> {
    type Return = W::Return<T>;
    type Failure = W::Failure;
}

/// Whether a `T` can be handed to many callers.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be cached",
    label = "not `Clone + Send + Sync + 'static`",
    note = "a cached value is cloned for every caller: derive `Clone`, or wrap it in an `Arc`"
)]
pub trait Keeps<T> {}

#[diagnostic::do_not_recommend]
impl<T> Keeps<T> for AsBytes {}
#[diagnostic::do_not_recommend]
impl<T> Keeps<T> for InMemory {}

/// Whether a `T` can be written down.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be written to a cache such as Redis",
    label = "not `Serialize + DeserializeOwned`",
    note = "derive serde's `Serialize` and `Deserialize` for it, or keep it in this process with `memory_only`"
)]
pub trait Writes<T> {}

#[diagnostic::do_not_recommend]
impl<T> Writes<T> for AsBytes {}
// What can't be kept at all is reported by `Keeps`, once.
#[diagnostic::do_not_recommend]
impl<T> Writes<T> for Nowhere {}

/// Checks that a value can be stored anywhere.
#[inline]
pub fn portable<T, Y: Keeps<T> + Writes<T>>(_: Stored<T>, _: Y) {}

/// Checks that a value can be stored in this process.
#[inline]
pub fn memory_only<T, Y: Keeps<T>>(_: Stored<T>, _: Y) {}

/// The shape of a return type that can't be stored, which `Keeps` has reported: no program with it ever runs.
pub struct Unusable<R, F>(PhantomData<fn() -> (R, F)>);

impl<R, F> Clone for Unusable<R, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, F> Copy for Unusable<R, F> {}

impl<R: 'static, F: 'static> Outcome for Unusable<R, F> {
    type Return = R;
    type Stored = Infallible;
    type Absent = Infallible;
    type Failure = F;

    fn split(self, _: R) -> Split<Infallible, Infallible, F> {
        placeholder()
    }

    fn value(self, stored: Infallible) -> R {
        match stored {}
    }

    fn absent(self, absent: Infallible) -> R {
        match absent {}
    }

    fn failed(self, _: F) -> R {
        placeholder()
    }

    fn is_none(self, _: &R) -> bool {
        false
    }

    fn is_err(self, _: &R) -> bool {
        false
    }
}

/// Everything about a function that follows from its return type.
pub trait Plan: Copy + Send + Sync + 'static {
    /// What it returns.
    type Return;
    /// The shape of that.
    type Shape: Outcome<Return = Self::Return>;
    /// Where the value can be stored.
    type Face: Face<<Self::Shape as Outcome>::Stored>;
    /// How its failures are shared.
    type Share: Share<<Self::Shape as Outcome>::Failure>;

    /// The shape of its return type.
    fn shape(self) -> Self::Shape;
    /// Where the value can be stored.
    fn face(self) -> Self::Face;
    /// How its failures are shared.
    fn share(self) -> Self::Share;
    /// How an error of ours becomes what it returns, where it can.
    fn ours(self) -> Option<Ours<Self::Return>>;
    /// How what it returns looks to HTTP clients, where it is a response.
    fn show(self) -> Option<Show<Self::Return>>;
}

/// A [`Plan`], put together from what the probes found.
pub struct Found<S: Outcome, X, H> {
    shape: S,
    face: X,
    share: H,
    ours: Option<Ours<S::Return>>,
    show: Option<Show<S::Return>>,
}

impl<S: Outcome, X: Copy, H: Copy> Clone for Found<S, X, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Outcome, X: Copy, H: Copy> Copy for Found<S, X, H> {}

/// Puts a [`Plan`] together.
pub fn plan<S, X, H, W>(shape: S, face: X, share: H, ended: W, show: Option<Show<S::Return>>) -> Found<S, X, H>
where
    S: Outcome,
    W: EndedWay<S::Return>,
{
    Found { shape, face, share, ours: ended.ours(), show }
}

impl<S, X, H> Plan for Found<S, X, H>
where
    S: Outcome,
    X: Face<S::Stored> + Copy + Send + Sync + 'static,
    H: Share<S::Failure>,
{
    type Return = S::Return;
    type Shape = S;
    type Face = X;
    type Share = H;

    fn shape(self) -> S {
        self.shape
    }

    fn face(self) -> X {
        self.face
    }

    fn share(self) -> H {
        self.share
    }

    fn ours(self) -> Option<Ours<S::Return>> {
        self.ours
    }

    fn show(self) -> Option<Show<S::Return>> {
        self.show
    }
}

/// A call of a function whose plan is `plan`.
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn call<'a, P: Plan>(
    plan: P,
    cache: Option<&'a FmCache>,
    key: &'a KeyBuf,
    refresh: bool,
) -> Call<'a, P::Shape, P::Face, P::Share> {
    Call {
        cache,
        key,
        shape: plan.shape(),
        face: plan.face(),
        share: plan.share(),
        ours: plan.ours(),
        refresh,
        limits: Limits::default(),
        exchange: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Alias<T> = Result<T, String>;

    #[test]
    fn a_result_behind_an_alias_is_peeled() {
        let shape = layers::<Alias<u8>>().result().option().json();
        assert!(matches!(shape.split(Ok(1)), Split::Value(1u8)));
        assert!(matches!(shape.split(Err("down".to_owned())), Split::Failed(error) if error == "down"));
        assert!(shape.is_err(&Err(String::new())) && !shape.is_none(&Ok(1)));
    }

    #[test]
    fn none_inside_a_result_is_absence() {
        let shape = layers::<Alias<Option<u8>>>().result().option().json();
        assert!(matches!(shape.split(Ok(None)), Split::Absent(())));
        assert_eq!(shape.absent(()), Ok(None));
        assert_eq!(shape.value(1), Ok(Some(1)));
        assert!(shape.is_none(&Ok(None)));
    }

    #[test]
    fn none_and_err_that_are_kept_are_values() {
        let both = layers::<Alias<Option<u8>>>().keep_result().keep_option().json();
        assert!(matches!(both.split(Ok(None)), Split::Value(Ok(None))));
        assert!(matches!(both.split(Err(String::new())), Split::Value(Err(_))));
        assert!(both.is_none(&Ok(None)) && both.is_err(&Err(String::new())));
        let errors = layers::<Alias<Option<u8>>>().keep_result().option().json();
        assert!(matches!(errors.split(Ok(None)), Split::Absent(())));
        assert!(matches!(errors.split(Err(String::new())), Split::Value(Err(_))));
        assert_eq!(errors.value(Ok(1)), Ok(Some(1)));
    }

    #[cfg(feature = "axum")]
    #[test]
    fn json_is_stored_as_its_inside() {
        use axum::Json;
        let shape = layers::<Alias<Option<Json<u8>>>>().result().keep_option().json();
        assert!(matches!(shape.split(Ok(Some(Json(1)))), Split::Value(Some(1))));
        assert!(matches!(shape.value(Some(2)), Ok(Some(Json(2)))));
    }

    #[test]
    fn everything_else_is_plain() {
        fn parameter<T: Clone + Send + Sync + 'static>(value: T) -> bool {
            let shape = layers::<T>().result().option().json();
            matches!(shape.split(value), Split::Value(_))
        }
        assert!(parameter(Err::<u8, u8>(1)));
        assert!(parameter(None::<u8>));
    }
}
