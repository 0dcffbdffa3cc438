//! Whether what a function returns can say that its run was ended by us (`timeout = ..`).

use std::marker::PhantomData;

use crate::{cache::Ours, error::FmError};

/// A return type, to ask whether an error of ours can be returned: `(&returning::<R>()).way()`.
pub struct Returning<R>(PhantomData<fn() -> R>);

impl<R> Clone for Returning<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Returning<R> {}

/// Begins to ask.
#[inline]
pub const fn returning<R>() -> Returning<R> {
    Returning(PhantomData)
}

/// It can: it is a `Result`, and the error converts.
#[derive(Clone, Copy)]
pub struct ByConversion;
/// It can't.
#[derive(Clone, Copy)]
pub struct Never;

/// First choice.
pub trait EndedByConversion {
    /// How an error of ours is returned.
    #[inline]
    fn way(&self) -> ByConversion {
        ByConversion
    }
}

impl<T, E: From<FmError>> EndedByConversion for Returning<Result<T, E>> {}

/// Last choice.
pub trait EndedNever: Sized {
    /// How an error of ours is returned: not at all.
    #[inline]
    fn way(self) -> Never {
        Never
    }
}

impl<R> EndedNever for Returning<R> {}

/// How an error of ours becomes an `R`.
pub trait EndedWay<R> {
    /// `None`: it can't.
    fn ours(self) -> Option<Ours<R>>;
}

impl<T, E: From<FmError>> EndedWay<Result<T, E>> for ByConversion {
    fn ours(self) -> Option<Ours<Result<T, E>>> {
        Some(|error| Err(E::from(error)))
    }
}

impl<R> EndedWay<R> for Never {
    fn ours(self) -> Option<Ours<R>> {
        None
    }
}

/// What `timeout` may be used on.
#[diagnostic::on_unimplemented(
    message = "`timeout` needs an error to return when the time is up",
    label = "not a `Result` whose error implements `From<FmError>`",
    note = "return a `Result<_, E>` with `impl From<memory_core::FmError> for E`, or remove `timeout`"
)]
pub trait Ends<R> {}

#[diagnostic::do_not_recommend]
impl<R> Ends<R> for ByConversion {}

/// Checks that a run can be ended by us.
#[inline]
pub fn ends<R, W: Ends<R>>(_: Returning<R>, _: W) {}

#[cfg(test)]
#[allow(clippy::needless_borrow, reason = "the expansion borrows as well, so that the choices come in order")]
mod tests {
    use super::*;
    use crate::error::Kind;

    type Alias<T> = Result<T, FmError>;

    #[test]
    fn a_result_whose_error_takes_ours_can_be_ended() {
        let ours: Option<Ours<Alias<u8>>> = (&returning::<Alias<u8>>()).way().ours();
        assert!(ours.unwrap()(FmError::new(Kind::Timeout, "late")).unwrap_err().is_timeout());
    }

    #[test]
    fn nothing_else_can() {
        let ours: Option<Ours<Result<u8, String>>> = (&returning::<Result<u8, String>>()).way().ours();
        assert!(ours.is_none());
        let ours: Option<Ours<u8>> = (&returning::<u8>()).way().ours();
        assert!(ours.is_none());
    }
}
