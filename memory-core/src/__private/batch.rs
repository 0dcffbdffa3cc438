//! What the expansion of `#[memorize(batch = ids)]` calls.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet, VecDeque},
    future::Future,
    hash::{BuildHasher, Hash},
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

use super::{
    call::{Answered, peek},
    outcome::{Plan, call},
};
use crate::{
    FmCache, FmError,
    cache::{
        Batch, Chosen, Element, EntriesOf, Hit, Many, RemoveMany,
        outcome::{BodyFuture, Face, Outcome, Share, Verdict},
    },
    key::KeyBuf,
};

/// A list of ids.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of ids",
    label = "not a list that `batch` can take apart",
    note = "take `Vec<Id>`, `&[Id]`, `HashSet<Id>` or `BTreeSet<Id>`"
)]
pub trait Ids: Sized {
    /// One of them.
    type Id;
    /// A list of which this is one, or which this can borrow from.
    type List;
    /// All of them, in order.
    fn ids(self) -> Vec<Self::Id>;
    /// A list of those that the body is asked for.
    fn list(ids: Vec<Self::Id>) -> Self::List;
}

macro_rules! ids {
    ($([$($bounds:tt)*] $list:ty => $id:ty, $owned:ty, |$given:ident| $ids:expr;)*) => {$(
        impl<$($bounds)*> Ids for $list {
            type Id = $id;
            type List = $owned;

            fn ids(self) -> Vec<$id> {
                let $given = self;
                $ids
            }

            fn list(ids: Vec<$id>) -> $owned {
                ids.into_iter().collect()
            }
        }
    )*};
}
ids! {
    [T] Vec<T> => T, Self, |ids| ids;
    [T] VecDeque<T> => T, Self, |ids| ids.into();
    [T] Box<[T]> => T, Self, |ids| ids.into_vec();
    [T: Clone] Arc<[T]> => T, Self, |ids| ids.to_vec();
    [T: Eq + Hash, S: BuildHasher + Default] HashSet<T, S> => T, Self, |ids| ids.into_iter().collect();
    [T: Ord] BTreeSet<T> => T, Self, |ids| ids.into_iter().collect();
    [T: Clone] &[T] => T, Vec<T>, |ids| ids.to_vec();
    [T: Clone] &Vec<T> => T, Vec<T>, |ids| ids.clone();
    [T: Clone + Eq + Hash, S: BuildHasher + Default] &HashSet<T, S> => T, HashSet<T, S>, |ids| ids.iter().cloned().collect();
    [T: Clone + Ord] &BTreeSet<T> => T, BTreeSet<T>, |ids| ids.iter().cloned().collect();
    [T: Clone] Cow<'_, [T]> => T, Vec<T>, |ids| ids.into_owned();
}

#[cfg(feature = "axum")]
macro_rules! extractors {
    ($($extractor:path)*) => {$(
        impl<L: Ids<List = L>> Ids for $extractor {
            type Id = L::Id;
            type List = Self;

            fn ids(self) -> Vec<L::Id> {
                self.0.ids()
            }

            fn list(ids: Vec<L::Id>) -> Self {
                Self(L::list(ids))
            }
        }
    )*};
}
#[cfg(feature = "axum")]
extractors! { axum::Json<L> axum::Form<L> axum::extract::Path<L> axum::extract::Query<L> axum::Extension<L> }

/// A list of those ids that the body is asked for.
#[inline]
pub fn list<L: Ids>(ids: Vec<L::Id>) -> L::List {
    L::list(ids)
}

/// What the body may be asked with more than once: for ids whose runs others have begun and not ended, and for refreshes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be copied for the runs of a batch",
    label = "`{Self}` is not `Clone`",
    note = "a batch runs its body once for what is absent, and again for what another call has left undone: derive `Clone`, take the \
            argument in an `Arc`, or by reference"
)]
pub trait Again {
    /// A copy.
    #[must_use]
    fn again(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Again for T {
    fn again(&self) -> T {
        self.clone()
    }
}

/// An argument for one run of the body.
#[inline]
pub fn again<T: Again>(argument: &T) -> T {
    argument.again()
}

/// A call of a batch function that returns an `R`.
pub struct Calls<'a, R, P> {
    plan: P,
    cache: Option<&'a FmCache>,
    soft: Option<Result<Duration, FmError>>,
    hard: Option<Result<Duration, FmError>>,
    returns: PhantomData<fn() -> R>,
}

/// Begins such a call; `plan` is that of the function of one id.
#[inline]
pub fn calls<R: Many<One = P::Return>, P: Plan>(plan: P, cache: Option<&FmCache>) -> Calls<'_, R, P> {
    Calls { plan, cache, soft: None, hard: None, returns: PhantomData }
}

impl<R, P> Calls<'_, R, P> {
    /// See [`Call::within`].
    #[must_use]
    pub fn within(mut self, soft: Option<Result<Duration, FmError>>, hard: Option<Result<Duration, FmError>>) -> Self {
        (self.soft, self.hard) = (soft, hard);
        self
    }

    /// Looks into memory for every id; `key` also says whether to skip that.
    pub fn of<I>(
        self,
        ids: Vec<I>,
        mut key: impl FnMut(&I) -> (KeyBuf, bool),
    ) -> Asked<R, I, P::Shape, P::Face, P::Share>
    where
        I: Clone,
        R: Many<One = P::Return, Entries: EntriesOf<I>>,
        P: Plan,
    {
        let Self { plan, cache, soft, hard, .. } = self;
        let mut batch = Batch::of(ids.len());
        let mut limits = None;
        for id in ids {
            let (key, refresh) = key(&id);
            let mut call = call(plan, cache, &key, refresh);
            match limits {
                Some(limits) => call.limits = limits,
                None => {
                    call = call.within(soft.clone(), hard.clone());
                    limits = Some(call.limits);
                }
            }
            match call.hit() {
                Hit::Answer(one) => batch.found(id, one),
                Hit::Due(one) => {
                    batch.found(id.clone(), one);
                    if let Some(job) = call.job() {
                        batch.due(Element { id, job, refresh });
                    }
                }
                Hit::Nothing => match call.job() {
                    Some(job) => batch.absent(Element { id, job, refresh }),
                    None => batch.past(id),
                },
            }
        }
        Asked(batch)
    }
}

/// A batch call that has looked into memory.
pub struct Asked<R: Many, I, S: Outcome, X, H>(Batch<R, I, S, X, H>);

/// A batch call whose body runs in tasks of their own. `miss` makes what judges the value of an id and what starts the body for
/// some ids.
pub fn batch_detached<R, I, S, X, H, M, J, B>(
    Asked(mut batch): Asked<R, I, S, X, H>,
    miss: M,
) -> Answered<R, impl Future<Output = R> + use<R, I, S, X, H, M, J, B>>
where
    R: Many<One = S::Return, Entries: EntriesOf<I>> + Send + 'static,
    I: Clone + Send + 'static,
    S: Outcome<Return: Send + 'static>,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    M: FnOnce() -> (J, B),
    J: FnMut(&I, &S::Return) -> Verdict + Send + 'static,
    B: FnMut(Vec<I>) -> BodyFuture<R> + Send + 'static,
{
    if !batch.is_answered() {
        return Answered::later(async move { batch.answer_detached(miss()).await });
    }
    if batch.is_due() {
        batch.renew_behind(miss);
    }
    Answered::AtOnce(batch.whole())
}

/// A batch call whose body runs in the caller's task.
pub fn batch_in_place<R, I, S, X, H, M, J, B, F>(
    Asked(batch): Asked<R, I, S, X, H>,
    miss: M,
) -> Answered<R, impl Future<Output = R> + use<R, I, S, X, H, M, J, B, F>>
where
    R: Many<One = S::Return, Entries: EntriesOf<I>>,
    I: Clone,
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    M: FnOnce() -> (J, B),
    J: FnMut(&I, &S::Return) -> Verdict,
    B: FnMut(Vec<I>) -> F,
    F: Future<Output = R>,
{
    if batch.is_answered() && !batch.is_due() {
        return Answered::AtOnce(batch.whole());
    }
    Answered::later(async move { batch.answer_here(miss()).await })
}

/// Removes the entries of many keys.
pub fn invalidate_many(cache: Option<&FmCache>, keys: impl Iterator<Item = KeyBuf>) -> RemoveMany {
    RemoveMany::keys(Chosen::new(cache), keys.map(|key| key.to_key()).collect())
}

/// What is stored for one id: its value, or nothing where that is remembered.
///
/// # Errors
///
/// None, as [`peek`].
pub async fn peek_one<R, S, X>(
    cache: Option<&FmCache>,
    key: KeyBuf,
    shape: S,
    face: X,
) -> Result<Option<Option<R::Value>>, FmError>
where
    R: Many<One = S::Return>,
    S: Outcome,
    X: Face<S::Stored>,
{
    let stored = peek(cache, key, shape, face).await?;
    Ok(stored.map(|one| R::found(one).ok().flatten()))
}
