//! How the failure of a run reaches those who waited for it.

use std::{convert::Infallible, error::Error, marker::PhantomData};

use crate::{
    cache::outcome::{AsSource as BySource, Share},
    error::{FmError, Kind},
};

/// A type of failure, to ask what it can do.
pub struct Failure<F>(pub(super) PhantomData<fn() -> F>);

impl<F> Clone for Failure<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Failure<F> {}

/// Each waiter gets a clone.
#[derive(Clone, Copy)]
pub struct ByClone;
/// Everybody gets an [`FmError`] that holds the failure as its source.
#[derive(Clone, Copy)]
pub struct ByReference;
/// It can't be shared.
#[derive(Clone, Copy)]
pub struct Alone;

/// First choice.
pub trait ShareByClone {
    /// How this failure is shared.
    #[inline]
    fn share(&self) -> ByClone {
        ByClone
    }
}

impl<F: Clone + Send + Sync + 'static> ShareByClone for &&Failure<F> {}

/// Second choice: as the next, but the source is the failure itself and not what it converts to, which may hide its type
/// (`anyhow::Error`).
pub trait ShareByReference {
    /// How this failure is shared.
    #[inline]
    fn share(&self) -> ByReference {
        ByReference
    }
}

impl<F> ShareByReference for &Failure<F> where F: From<FmError> + AsRef<dyn Error + Send + Sync> + Send + Sync + 'static {}

/// Third choice.
pub trait ShareByMessage {
    /// How this failure is shared.
    #[inline]
    fn share(&self) -> BySource {
        BySource
    }
}

impl<F: From<FmError> + Into<Box<dyn Error + Send + Sync>>> ShareByMessage for Failure<F> {}

/// Last choice.
pub trait ShareNot: Sized {
    /// How this failure is shared: not at all.
    #[inline]
    fn share(self) -> Alone {
        Alone
    }
}

impl<F> ShareNot for Failure<F> {}

impl<F: Clone + Send + Sync + 'static> Share<F> for ByClone {
    type Shared = F;

    fn share(self, failure: F) -> (F, Option<F>) {
        let shared = failure.clone();
        (failure, Some(shared))
    }

    fn failure(self, shared: &F) -> F {
        shared.clone()
    }
}

impl<F> Share<F> for ByReference
where
    F: From<FmError> + AsRef<dyn Error + Send + Sync> + Send + Sync + 'static,
{
    type Shared = FmError;

    fn share(self, failure: F) -> (F, Option<FmError>) {
        let shared = FmError::with_held_source(Kind::Run, BySource::MESSAGE, failure);
        (F::from(shared.clone()), Some(shared))
    }

    fn failure(self, shared: &FmError) -> F {
        F::from(shared.clone())
    }
}

impl<F> Share<F> for Alone {
    type Shared = Infallible;

    fn share(self, failure: F) -> (F, Option<Infallible>) {
        (failure, None)
    }

    fn failure(self, shared: &Infallible) -> F {
        match *shared {}
    }
}

#[cfg(test)]
#[allow(clippy::needless_borrow, reason = "the expansion borrows as often, so that the choices come in order")]
mod tests {
    use std::{fmt, io};

    use super::*;

    #[derive(Debug)]
    struct FromOurs(String);

    impl fmt::Display for FromOurs {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl Error for FromOurs {}

    impl From<FmError> for FromOurs {
        fn from(error: FmError) -> Self {
            Self(error.source().map(ToString::to_string).unwrap_or_default())
        }
    }

    fn failure<F>() -> Failure<F> {
        Failure(PhantomData)
    }

    #[test]
    fn a_failure_that_is_clone_is_cloned() {
        let way: ByClone = (&&&failure::<String>()).share();
        let (first, shared) = way.share("down".to_owned());
        assert_eq!((first.as_str(), Share::<String>::failure(way, &shared.unwrap()).as_str()), ("down", "down"));
    }

    #[test]
    fn a_failure_that_takes_ours_becomes_a_source() {
        let way: BySource = (&&&failure::<FromOurs>()).share();
        let (first, shared) = way.share(FromOurs("down".to_owned()));
        let waiter: FromOurs = way.failure(&shared.unwrap());
        assert_eq!((first.0.as_str(), waiter.0.as_str()), ("down", "down"));
    }

    #[test]
    fn any_other_failure_stays_with_its_run() {
        let way: Alone = (&&&failure::<io::Error>()).share();
        assert!(way.share(io::Error::other("down")).1.is_none());
        let _: Alone = (&&&failure::<std::rc::Rc<str>>()).share();
    }
}
