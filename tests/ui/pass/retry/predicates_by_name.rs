//! A predicate may take the error's own type, or any error.

use std::{cell::Cell, error::Error, io};

use memory_core::{default_retry, is_retryable_error, retry, retry_on_status};

fn is_mine(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

fn is_any(_: &(dyn Error + 'static)) -> bool {
    true
}

macro_rules! retried {
    ($name:ident, $error:ty, $($args:tt)*) => {
        #[$($args)*]
        fn $name(calls: &Cell<u32>) -> Result<(), $error> {
            calls.set(calls.get() + 1);
            Err(io::Error::from(io::ErrorKind::TimedOut).into())
        }
    };
}

retried!(typed, io::Error, default_retry(retry_on = is_mine, wait_min = 0, wait_max = 0));
retried!(any, io::Error, default_retry(retry_on = is_any, wait_min = 0, wait_max = 0));
retried!(by_name, anyhow::Error, default_retry(retry_on = is_retryable_error, wait_min = 0, wait_max = 0));
retried!(boxed, Box<dyn Error + Send + Sync>, retry(retry = is_retryable_error));
retried!(local, Box<dyn Error>, retry(retry = is_retryable_error));
retried!(status, anyhow::Error, retry(retry = retry_on_status([429])));
retried!(closure, anyhow::Error, retry(retry = |error| error.is::<io::Error>()));
retried!(annotated, io::Error, retry(retry = |error: &io::Error| is_mine(error)));

fn main() {
    let calls = Cell::new(0);
    assert!(typed(&calls).is_err() && any(&calls).is_err() && by_name(&calls).is_err());
    assert!(boxed(&calls).is_err() && local(&calls).is_err() && status(&calls).is_err());
    assert!(closure(&calls).is_err() && annotated(&calls).is_err());
    assert_eq!(calls.get(), 8 * 3);
}
