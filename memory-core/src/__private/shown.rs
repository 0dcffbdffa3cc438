//! Whether what a function returns is a response, so that an HTTP client may be told about it.

use super::ended::Returning;
use crate::cache::Show;

/// First choice.
pub trait ShownAsResponse<R> {
    /// How it looks to HTTP clients.
    fn show(&self) -> Option<Show<R>>;
}

#[cfg(feature = "axum")]
impl<R: axum::response::IntoResponse> ShownAsResponse<R> for Returning<R> {
    fn show(&self) -> Option<Show<R>> {
        Some(|returned| crate::print::Print::of(returned.into_response()).map(std::sync::Arc::new))
    }
}

/// Last choice.
pub trait ShownNot<R>: Sized {
    /// How it looks to HTTP clients: they never see it.
    fn show(self) -> Option<Show<R>> {
        None
    }
}

impl<R> ShownNot<R> for Returning<R> {}
