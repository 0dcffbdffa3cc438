//! What an error of the driver or of the server means, for the caller and for the connection.

use memory_core::{FmError, backend::Kind};
use redis::{RedisError, ServerError, Value};

/// Whether a driver's error means that its connection must be thrown away.
///
/// A server that answers with an error is alive, and a new connection would hear the same (`OOM`, `READONLY`,
/// `LOADING`), except where it no longer knows us.
pub(crate) fn condemns(error: &RedisError) -> bool {
    match error.kind() {
        redis::ErrorKind::Server(_) => false,
        redis::ErrorKind::Extension => error.code().is_some_and(is_lost_login),
        _ => true,
    }
}

/// Whether an answer says that the connection is no longer logged in.
pub(crate) fn refuses_us(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if is_lost_login(error.code()))
}

/// Whether an answer says that this server is no master.
pub(crate) fn refuses_writes(value: &Value) -> bool {
    let Value::ServerError(error) = value else { return false };
    // Before Redis 7, the error of a command within a script is wrapped into another one.
    error.code() == "READONLY" || error.details().is_some_and(|details| details.contains("-READONLY "))
}

/// The error of one answer, if it is one.
pub(crate) fn answered(value: &Value) -> Result<&Value, FmError> {
    match value {
        Value::ServerError(error) => Err(refused(error)),
        value => Ok(value),
    }
}

/// The driver failed.
pub(crate) fn driver(error: RedisError) -> FmError {
    if let Some(code) = error.code() {
        return backend(format!("Redis refused the connection ({code})"));
    }
    FmError::with_source(Kind::Backend, format!("the connection to Redis failed: {}", error.category()), error)
}

/// Redis answered with an error. Its details can quote arguments, so only those of known codes are shown.
pub(crate) fn refused(error: &ServerError) -> FmError {
    match (error.code(), error.details()) {
        (
            code @ ("OOM" | "READONLY" | "LOADING" | "NOAUTH" | "MISCONF" | "MASTERDOWN" | "NOREPLICAS"),
            Some(details),
        ) => backend(format!("Redis refused: {code} {details}")),
        (code, _) => backend(format!("Redis refused: {code}")),
    }
}

/// An answer that this command can't have: the replies of the connection are mixed up.
pub(crate) fn out_of_step() -> FmError {
    backend("Redis gave an answer that belongs to another command")
}

/// No answer in time.
pub(crate) fn too_slow(limit: std::time::Duration) -> FmError {
    backend(format!("Redis gave no answer within {limit:?}"))
}

/// The store was closed.
pub(crate) fn closed() -> FmError {
    FmError::new(Kind::Closed, "the cache was closed")
}

pub(crate) fn backend(message: impl Into<std::borrow::Cow<'static, str>>) -> FmError {
    FmError::new(Kind::Backend, message)
}

fn is_lost_login(code: &str) -> bool {
    matches!(code, "NOAUTH" | "WRONGPASS")
}

#[cfg(test)]
mod tests {
    use redis::ErrorKind;

    use super::*;

    #[test]
    fn a_connection_is_thrown_away_when_it_breaks_and_kept_when_the_server_only_refuses() {
        let io = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert!(condemns(&io));
        for kind in [ErrorKind::Io, ErrorKind::Parse, ErrorKind::AuthenticationFailed, ErrorKind::UnexpectedReturnType]
        {
            assert!(condemns(&RedisError::from((kind, "broken"))), "{kind:?}");
        }
        for (code, condemned) in [("NOAUTH", true), ("WRONGPASS", true), ("OOM", false), ("MISCONF", false)] {
            let error = redis::make_extension_error(code.to_owned(), None);
            assert_eq!(condemns(&error), condemned, "{code}");
        }
        let read_only = RedisError::from((ErrorKind::Server(redis::ServerErrorKind::ReadOnly), "refused"));
        assert!(!condemns(&read_only));
    }
}
