//! `#[derive(Retryable)]` on enums, structs and generic types.

use std::{io, sync::Arc};

use memory_core::{Retryable, default_retry};

#[derive(Debug, thiserror::Error, Retryable)]
enum Failure<E: std::error::Error + 'static> {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("shared")]
    Shared { source: Arc<io::Error>, at: u8 },
    #[error("other")]
    Other(#[source] E),
    #[error("busy")]
    #[retryable]
    Busy,
    #[error("never")]
    #[retryable(false)]
    Never(#[source] io::Error),
    #[error("plain {0}")]
    Plain(u16),
}

#[derive(Debug, Retryable)]
struct Wrapper {
    source: anyhow::Error,
}

#[derive(Debug, Retryable)]
#[retryable]
struct Always;

#[derive(Debug, Retryable)]
enum Empty {}

#[default_retry(wait_min = 0, wait_max = 0)]
fn call(calls: &mut u8) -> Result<Option<Empty>, Always> {
    *calls += 1;
    if *calls < 3 { Err(Always) } else { Ok(None) }
}

fn main() {
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
    type Of = Failure<std::fmt::Error>;
    assert!(Of::Io(reset()).is_retryable());
    assert!(Of::Shared { source: Arc::new(reset()), at: 1 }.is_retryable());
    assert!(Failure::Other(reset()).is_retryable());
    assert!(!Of::Other(std::fmt::Error).is_retryable());
    assert!(Of::Busy.is_retryable());
    assert!(!Of::Never(reset()).is_retryable());
    assert!(!Of::Plain(503).is_retryable());
    assert!(Wrapper { source: reset().into() }.is_retryable());
    assert!(call(&mut 0).unwrap().is_none());
}
