//! Calling again what failed.
//!
//! The engine is a loop of our own rather than `tokio-retry`. That crate takes an iterator of waits and a condition on
//! the error, which can't say half of what a policy says here: stops by elapsed time or by the wait to come
//! (`stop_before_delay`), stops joined by `&`, repeating `Ok` values, timeouts and deadlines, hooks that see attempt,
//! error and wait, and blocking callers. What would be left of it is one `sleep`.
//!
//! The decision is apart from the mechanism: [`Attempts`](attempts::Attempts) decides, never sleeps and is shared by
//! the attributes, [`Retry::run`] and [`Retry::run_blocking`]; [`sleep`] does nothing but wait.

mod around;
pub(crate) mod attempts;
mod budget;
pub(crate) mod classify;
pub(crate) mod entropy;
mod error;
mod nest;
pub(crate) mod number;
pub(crate) mod policy;
mod predicate;
mod run;
pub(crate) mod sleep;
mod stop;
mod wait;

pub(crate) use around::Around;
#[cfg(feature = "client")]
pub(crate) use attempts::{Attempts, Plan};
pub use budget::RetryBudget;
#[cfg(feature = "client")]
pub(crate) use classify::{Known, chain as causes, refused_certificate};
pub use classify::{Retryable, is_retryable_error, retry_after_hint};
pub use error::RetryError;
pub(crate) use nest::Nest;
pub use number::{IntoCount, IntoSeconds};
pub use policy::{Retry, retry};
pub(crate) use predicate::view;
pub use predicate::{AsError, Predicate, RetryOn, retry_on_error, retry_on_result, retry_on_status};
#[cfg(feature = "client")]
pub(crate) use sleep::pause;
pub use stop::{Stop, stop_after_delay, stop_after_retries, stop_before_delay, stop_never};
pub use wait::{
    Backoff, Jitter, Wait, chain, decorrelated_jitter, exponential_backoff, fixed, full_jitter, incrementing, no_wait,
    random_between,
};
