//! Which errors are worth another call.

use std::{error::Error, io, ops::Deref, sync::Arc, time::Duration};

use tokio::time::error::Elapsed;

use crate::error::{FmError, Kind};

/// An error type that decides for itself whether another call may help.
///
/// Asked by `#[default_retry]` and `#[retry]` where no predicate is given, of the outermost error type only; an error
/// type that does not implement it is judged by [`is_retryable_error`]. Derive it where the variants of an enum wrap
/// errors that can be judged.
///
/// # Examples
///
/// ```
/// use memory_core::Retryable;
///
/// enum Rejected {
///     Busy,
///     Forbidden,
/// }
///
/// impl Retryable for Rejected {
///     fn is_retryable(&self) -> bool {
///         matches!(self, Self::Busy)
///     }
/// }
/// assert!(Rejected::Busy.is_retryable() && !Rejected::Forbidden.is_retryable());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether it is worth a retry",
    label = "implement or derive `Retryable`"
)]
pub trait Retryable {
    /// Whether another call may succeed.
    fn is_retryable(&self) -> bool;
}

impl<T: Retryable + ?Sized> Retryable for Box<T> {
    fn is_retryable(&self) -> bool {
        (**self).is_retryable()
    }
}

impl<T: Retryable + ?Sized> Retryable for Arc<T> {
    fn is_retryable(&self) -> bool {
        (**self).is_retryable()
    }
}

/// Whether an error is worth another call: the default predicate.
///
/// Looks at the error, then through its sources, `Arc`s and `Box`es, for the first one it knows:
///
/// * retryable: failed connections, timeouts, broken transfers, every other [`io::Error`], and HTTP 5xx;
/// * permanent: every other status (4xx above all), a bad URL, too many redirects, a certificate that is not accepted, a body
///   that can't be decoded;
/// * the refusal of a circuit breaker, a rate limiter or a bulkhead is permanent: a retry would only add to the load;
/// * an error with nothing known in it is permanent.
///
/// # Examples
///
/// ```
/// use std::io;
/// use memory_core::is_retryable_error;
///
/// assert!(is_retryable_error(&io::Error::from(io::ErrorKind::ConnectionReset)));
/// assert!(!is_retryable_error(&"seven".parse::<u32>().unwrap_err()));
/// ```
pub fn is_retryable_error(error: &(dyn Error + 'static)) -> bool {
    chain(error).find_map(verdict).unwrap_or(false)
}

/// How long an error asks to be left alone: a `Retry-After` or the refusal of a policy, wherever in the error or its sources.
///
/// Attributes obey it by themselves, where the error can be looked through; by hand it is what
/// [`Retry::delay`](crate::Retry::delay) takes.
///
/// # Examples
///
/// ```
/// # use memory_core::retry_after_hint;
/// assert_eq!(retry_after_hint(&std::io::Error::other("down")), None);
/// ```
pub fn retry_after_hint(error: &(dyn Error + 'static)) -> Option<Duration> {
    chain(error).find_map(known_delay)
}

/// The HTTP status in an error or its sources, where there is one.
pub(crate) fn status_of(error: &(dyn Error + 'static)) -> Option<u16> {
    chain(error).find_map(known_status)
}

/// The error itself, then its sources, each without the `Arc`s and `Box`es around it.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(peeled(error)), |error| inner(*error).map(peeled))
}

/// What an error was caused by. An `io::Error` made from another error names only that one's source, so it is opened.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// A shared or boxed trait object forwards `source()` past the error it holds, so it has to be opened by hand.
fn peeled<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return peeled(&**shared);
    }
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error>>() {
        return peeled(&**shared);
    }
    error
}

/// The error as a `T`, also where it is boxed or shared.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    error
        .downcast_ref::<T>()
        .or_else(|| error.downcast_ref::<Arc<T>>().map(Deref::deref))
        .or_else(|| error.downcast_ref::<Box<T>>().map(Deref::deref))
        .or_else(|| error.downcast_ref::<Arc<Box<T>>>().map(|shared| &***shared))
}

/// A type of error whose worth is known. Another room's error joins by one line in [`verdict`] and [`known_status`].
pub(crate) trait Known: Error + Sized + 'static {
    /// Whether it is worth a retry; `None`: its sources decide.
    fn verdict(&self) -> Option<bool>;

    /// The HTTP status it stands for.
    fn status(&self) -> Option<u16> {
        None
    }

    /// How long it asks to be left alone.
    fn delay(&self) -> Option<Duration> {
        None
    }
}

/// What is known about this one error, not counting its sources.
fn verdict(error: &(dyn Error + 'static)) -> Option<bool> {
    fn ask<T: Known>(error: &(dyn Error + 'static)) -> Option<bool> {
        find::<T>(error).and_then(Known::verdict)
    }
    let asked = ask::<Elapsed>(error).or_else(|| ask::<FmError>(error)).or_else(|| ask::<io::Error>(error));
    #[cfg(feature = "client")]
    let asked = asked
        .or_else(|| ask::<reqwest::Error>(error))
        .or_else(|| ask::<rustls::Error>(error))
        .or_else(|| ask::<crate::client::FmClientError>(error))
        .or_else(|| ask::<crate::client::FmHttpError>(error));
    asked
}

fn known_status(error: &(dyn Error + 'static)) -> Option<u16> {
    #[cfg(feature = "client")]
    return find::<reqwest::Error>(error).and_then(Known::status);
    #[cfg(not(feature = "client"))]
    return error.downcast_ref::<io::Error>().and_then(Known::status);
}

fn known_delay(error: &(dyn Error + 'static)) -> Option<Duration> {
    let asked = find::<FmError>(error).and_then(Known::delay);
    #[cfg(feature = "client")]
    let asked = asked.or_else(|| find::<crate::client::FmClientError>(error).and_then(Known::delay));
    asked
}

impl Known for Elapsed {
    fn verdict(&self) -> Option<bool> {
        Some(true)
    }
}

impl Known for FmError {
    fn verdict(&self) -> Option<bool> {
        match self.kind() {
            Kind::Timeout => Some(true),
            // The policy refuses because the upstream has enough to do.
            _ if self.is_refusal() => Some(false),
            _ => None,
        }
    }

    fn delay(&self) -> Option<Duration> {
        self.retry_after()
    }
}

impl Known for io::Error {
    /// Yes, unless it only wraps another error that is known to be permanent.
    fn verdict(&self) -> Option<bool> {
        let wrapped = self.get_ref().map(|wrapped| wrapped as &(dyn Error + 'static));
        Some(wrapped.and_then(|wrapped| chain(wrapped).find_map(verdict)).unwrap_or(true))
    }
}

#[cfg(feature = "client")]
impl Known for reqwest::Error {
    fn verdict(&self) -> Option<bool> {
        Some(match self.status() {
            Some(status) => status.is_server_error(),
            None if self.is_builder() || self.is_redirect() || refused_certificate(self).is_some() => false,
            None if self.is_connect() || self.is_timeout() => true,
            // The body is decoded while it arrives, so a connection that breaks half-way is a decoding error too.
            None if self.is_decode() => broken_off(self),
            None => self.is_request() || self.is_body(),
        })
    }

    fn status(&self) -> Option<u16> {
        self.status().map(|status| status.as_u16())
    }
}

#[cfg(feature = "client")]
impl Known for rustls::Error {
    fn verdict(&self) -> Option<bool> {
        matches!(self, Self::InvalidCertificate(_)).then_some(false)
    }
}

/// Why the certificate of the upstream was not accepted, if that is what failed. The next attempt would not accept it either.
#[cfg(feature = "client")]
pub(crate) fn refused_certificate(error: &reqwest::Error) -> Option<&rustls::Error> {
    chain(error).filter_map(find::<rustls::Error>).find(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

/// Whether the transfer broke, as opposed to bytes that arrived and make no sense.
#[cfg(feature = "client")]
fn broken_off(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let mut sources = chain(error).skip(1);
    sources.any(|source| match source.downcast_ref::<io::Error>() {
        Some(error) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
        }
        None => source.downcast_ref::<hyper::Error>().is_some_and(hyper_broke),
    })
}

#[cfg(feature = "client")]
fn hyper_broke(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_closed() || error.is_canceled() || error.is_timeout()
}
