//! What expansions of `#[fm_lru]` call.

use std::{
    borrow::Borrow,
    convert::Infallible,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

pub use crate::lru::{
    CacheInfo,
    stores::{Instance, Stores},
};
use crate::lru::{FmLru, hash_with};

/// What `maxsize = …` takes: a number of entries, or `None`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no number of entries",
    label = "write `maxsize = 128`, or `maxsize = None` for no bound"
)]
pub trait Maxsize {
    fn maxsize(self) -> Option<u64>;
}

macro_rules! maxsize_of_integers {
    ($($integer:ty)*) => {$(
        impl Maxsize for $integer {
            /// Negative counts as 0, as in `functools`.
            fn maxsize(self) -> Option<u64> {
                Some(u64::try_from(self.max(0)).unwrap_or(u64::MAX))
            }
        }
    )*};
}

maxsize_of_integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

impl<N: Maxsize> Maxsize for Option<N> {
    fn maxsize(self) -> Option<u64> {
        self.and_then(N::maxsize)
    }
}

/// `value` as a bound.
pub fn maxsize<N: Maxsize>(value: N) -> Option<u64> {
    value.maxsize()
}

/// The type of an argument, to be asked whether it can be part of a key.
pub struct Argument<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> Argument<T> {
    pub const NEW: Self = Self(PhantomData);
}

impl<T: Hash + Eq + ToOwned<Owned: Send + 'static> + ?Sized> Argument<T> {
    /// Found first where the type can be part of a key.
    pub fn __fm_kind(&self) -> Keyed {
        Keyed
    }
}

/// Found where it can't.
pub trait ArgumentUnkeyed {
    fn __fm_kind(&self) -> Unkeyed {
        Unkeyed
    }
}

impl<T: ?Sized> ArgumentUnkeyed for Argument<T> {}

#[derive(Clone, Copy)]
pub struct Keyed;
pub struct Unkeyed;

#[diagnostic::on_unimplemented(
    message = "an argument of type `{T}` can't be part of an `fm_lru` key",
    label = "needs `Hash + Eq + Clone + Send` (behind a reference: `ToOwned` instead of `Clone`)",
    note = "derive what is missing, or take what identifies the value: an id, the bits of a float (`f64::to_bits`)"
)]
pub trait Identifies<T: ?Sized> {}

#[diagnostic::do_not_recommend]
impl<T: ?Sized> Identifies<T> for Keyed {}

/// How a value of type `T` is compared with the owned one in a key.
pub trait KeyOf<T: ?Sized> {
    type Owned: Send + 'static;
    fn hash(value: &T, hasher: &mut impl Hasher);
    fn is(value: &T, owned: &Self::Owned) -> bool;
    fn own(value: &T) -> Self::Owned;
    fn same(one: &Self::Owned, other: &Self::Owned) -> bool;
}

impl<T: Hash + Eq + ToOwned<Owned: Send + 'static> + ?Sized> KeyOf<T> for Keyed {
    type Owned = T::Owned;

    fn hash(value: &T, hasher: &mut impl Hasher) {
        value.hash(hasher);
    }

    fn is(value: &T, owned: &T::Owned) -> bool {
        value == owned.borrow()
    }

    fn own(value: &T) -> T::Owned {
        value.to_owned()
    }

    fn same(one: &T::Owned, other: &T::Owned) -> bool {
        one.borrow() == other.borrow()
    }
}

/// Never run: [`part`] has refused the argument already, and once is enough.
impl<T: ?Sized> KeyOf<T> for Unkeyed {
    type Owned = ();

    fn hash(_: &T, _: &mut impl Hasher) {}

    fn is(_: &T, (): &()) -> bool {
        false
    }

    fn own(_: &T) {}

    fn same((): &(), (): &()) -> bool {
        false
    }
}

/// An argument, as it is looked up.
pub struct Part<'a, T: ?Sized, K>(&'a T, PhantomData<K>);

/// `value` as part of the key.
pub fn part<'a, T: ?Sized, K: Identifies<T>>(_argument: &Argument<T>, _kind: K, value: &'a T) -> Part<'a, T, K> {
    Part(value, PhantomData)
}

/// An `Option<&T>`, as it is looked up.
pub struct OptionalPart<'a, T: ?Sized, K>(Option<&'a T>, PhantomData<K>);

/// `value` as part of the key.
pub fn optional_part<'a, T: ?Sized, K: Identifies<T>>(
    _argument: &Argument<T>,
    _kind: K,
    value: Option<&'a T>,
) -> OptionalPart<'a, T, K> {
    OptionalPart(value, PhantomData)
}

/// Arguments, looked up as they are and owned on a miss only. They are nested pairs: `(first, (second, ()))`.
pub trait Parts {
    type Key: Send + 'static;
    fn hash(&self, hasher: &mut impl Hasher);
    fn is(&self, key: &Self::Key) -> bool;
    fn to_key(&self) -> Self::Key;
    fn same(one: &Self::Key, other: &Self::Key) -> bool;
}

impl Parts for () {
    type Key = ();

    fn hash(&self, _: &mut impl Hasher) {}

    fn is(&self, (): &()) -> bool {
        true
    }

    fn to_key(&self) {}

    fn same((): &(), (): &()) -> bool {
        true
    }
}

impl<T: ?Sized, K: KeyOf<T>, Rest: Parts> Parts for (Part<'_, T, K>, Rest) {
    type Key = (K::Owned, Rest::Key);

    fn hash(&self, hasher: &mut impl Hasher) {
        K::hash(self.0.0, hasher);
        self.1.hash(hasher);
    }

    fn is(&self, key: &Self::Key) -> bool {
        K::is(self.0.0, &key.0) && self.1.is(&key.1)
    }

    fn to_key(&self) -> Self::Key {
        (K::own(self.0.0), self.1.to_key())
    }

    fn same(one: &Self::Key, other: &Self::Key) -> bool {
        K::same(&one.0, &other.0) && Rest::same(&one.1, &other.1)
    }
}

impl<T: ?Sized, K: KeyOf<T>, Rest: Parts> Parts for (OptionalPart<'_, T, K>, Rest) {
    type Key = (Option<K::Owned>, Rest::Key);

    fn hash(&self, hasher: &mut impl Hasher) {
        hasher.write_u8(u8::from(self.0.0.is_some()));
        if let Some(value) = self.0.0 {
            K::hash(value, hasher);
        }
        self.1.hash(hasher);
    }

    fn is(&self, key: &Self::Key) -> bool {
        let matches = match (self.0.0, &key.0) {
            (Some(value), Some(owned)) => K::is(value, owned),
            (None, None) => true,
            _ => false,
        };
        matches && self.1.is(&key.1)
    }

    fn to_key(&self) -> Self::Key {
        (self.0.0.map(K::own), self.1.to_key())
    }

    fn same(one: &Self::Key, other: &Self::Key) -> bool {
        let matches = match (&one.0, &other.0) {
            (Some(one), Some(other)) => K::same(one, other),
            (None, None) => true,
            _ => false,
        };
        matches && Rest::same(&one.1, &other.1)
    }
}

/// The return type, to be asked what of it is stored.
pub struct Returned<R>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    pub const NEW: Self = Self(PhantomData);
}

impl<T: Clone + Send + 'static, E> Returned<Result<T, E>> {
    /// Found first where the type is a `Result`, whatever it is called.
    pub fn __fm_outcome(&self) -> OkOnly {
        OkOnly
    }
}

/// Found second, where the type is anything else that can be stored.
pub trait ReturnedWhole {
    fn __fm_outcome(&self) -> Whole {
        Whole
    }
}

impl<R: Clone + Send + 'static> ReturnedWhole for Returned<R> {}

/// Found last, where it can't be stored.
pub trait ReturnedUnkept {
    fn __fm_outcome(&self) -> Unkept {
        Unkept
    }
}

impl<R> ReturnedUnkept for &Returned<R> {}

pub struct OkOnly;
pub struct Whole;
pub struct Unkept;

#[diagnostic::on_unimplemented(
    message = "`{R}` can't be stored by `fm_lru`",
    label = "needs `Clone + Send`, owned: each caller gets a clone",
    note = "derive `Clone`, or return an `Arc` of it"
)]
pub trait Storable<R> {}

#[diagnostic::do_not_recommend]
impl<R> Storable<R> for OkOnly {}
#[diagnostic::do_not_recommend]
impl<R> Storable<R> for Whole {}

/// Compiles where the returned value can be stored; the one place that says so.
pub fn storable<R, O: Storable<R>>(_returned: &Returned<R>, outcome: O) -> O {
    outcome
}

/// What of a returned value is stored.
pub trait Outcome<R> {
    type Stored: Clone + Send + 'static;
    fn stored(returned: &R) -> Option<Self::Stored>;
    fn returned(stored: Self::Stored) -> R;
}

impl<T: Clone + Send + 'static, E> Outcome<Result<T, E>> for OkOnly {
    type Stored = T;

    fn stored(returned: &Result<T, E>) -> Option<T> {
        returned.as_ref().ok().cloned()
    }

    fn returned(stored: T) -> Result<T, E> {
        Ok(stored)
    }
}

impl<R: Clone + Send + 'static> Outcome<R> for Whole {
    type Stored = R;

    fn stored(returned: &R) -> Option<R> {
        Some(returned.clone())
    }

    fn returned(stored: R) -> R {
        stored
    }
}

/// Never run: [`storable`] has refused the value already, and once is enough.
impl<R> Outcome<R> for Unkept {
    type Stored = Infallible;

    fn stored(_: &R) -> Option<Infallible> {
        None
    }

    fn returned(stored: Infallible) -> R {
        match stored {}
    }
}

/// How a lookup ended.
pub enum Lookup<R, M> {
    Found(R),
    Missing(M),
}

/// A call that has to run, holding the key under which its value is stored. It borrows nothing from the arguments, which
/// the body takes.
pub struct Miss<R, V: 'static, K: 'static> {
    lru: &'static FmLru<K, V>,
    hash: u64,
    key: K,
    same: fn(&K, &K) -> bool,
    stored: fn(&R) -> Option<V>,
}

/// Looks the arguments up, and counts that.
#[inline]
pub fn look_up<M, R, O, P>(
    instance: Instance<M>,
    _returned: &Returned<R>,
    _outcome: O,
    parts: P,
) -> Lookup<R, Miss<R, O::Stored, P::Key>>
where
    M: 'static,
    O: Outcome<R>,
    P: Parts,
{
    let lru = instance.store::<P::Key, O::Stored>();
    let hash = hash_with(|hasher| parts.hash(hasher));
    match lru.find(hash, |key| parts.is(key)) {
        Some(stored) => Lookup::Found(O::returned(stored)),
        None => Lookup::Missing(Miss { lru, hash, key: parts.to_key(), same: P::same, stored: O::stored }),
    }
}

impl<R, V, K> Miss<R, V, K> {
    /// Runs the body and stores what came.
    pub fn run(self, body: impl FnOnce() -> R) -> R {
        let returned = body();
        self.keep(&returned);
        returned
    }

    /// As [`run`](Self::run). Dropped on the way, it stores nothing.
    pub async fn run_async(self, body: impl AsyncFnOnce() -> R) -> R {
        let returned = body().await;
        self.keep(&returned);
        returned
    }

    fn keep(self, returned: &R) {
        if self.lru.stores()
            && let Some(stored) = (self.stored)(returned)
        {
            self.lru.keep(self.hash, self.key, stored, self.same);
        }
    }
}
