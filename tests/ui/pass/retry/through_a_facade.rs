//! `crate = path`: the library behind a re-export.

mod facade {
    pub mod inner {
        pub use ::memory_core::*;
    }
}

use facade::inner::{Retryable, default_retry};

#[derive(Debug, Retryable)]
#[retryable(crate = crate::facade::inner)]
enum Failure {
    #[retryable]
    Busy,
}

#[default_retry(crate = crate::facade::inner, wait_min = 0, wait_max = 0, jitter = "none")]
async fn call(log: &mut Vec<u8>, name: String) -> Result<usize, Failure> {
    log.push(0);
    if log.len() < 3 { Err(Failure::Busy) } else { Ok(log.len() + name.len()) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(call(&mut vec![], "x".to_owned()).await.unwrap(), 4);
}
