use memory_core::{FmError, RetryError, retry};

type Answer = Option<u8>;

#[derive(Debug)]
struct AppError(u16);

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}", self.0)
    }
}

impl std::error::Error for AppError {}

impl From<FmError> for AppError {
    fn from(_: FmError) -> Self {
        Self(504)
    }
}

impl From<RetryError> for AppError {
    fn from(_: RetryError) -> Self {
        Self(503)
    }
}

#[retry(
    attempt_timeout = 2,
    deadline = 5,
    retry = |error: &AppError| error.0 > 500,
    before_sleep = |_, error: &AppError, _| eprintln!("{error}"),
    reraise = false,
)]
async fn call(id: u8) -> Answer {
    Some(id)
}

fn main() {}
