//! Blocks by import, under another name, by path and as an argument; keyword arguments, positions and operators.

use std::cell::Cell;

use memory_core::{
    chain, exponential_backoff, fixed as every, incrementing, random_between, retry, retry_on_error, retry_on_result,
    stop_after_delay, stop_after_retries, stop_before_delay, Wait,
};

#[retry(
    stop = stop_after_retries(5) | stop_after_delay(60) & stop_before_delay(d = 90),
    wait = exponential_backoff(multiplier = 0.0001, min = 0, max = 0.01, exp_base = 3)
        + random_between(0, 0.001)
        + chain([every(0), memory_core::fixed(wait = 0), incrementing(0, max = 0, increment = 1)]),
    retry = retry_on_error(|error| error.to_string() == "again") | retry_on_result(|value| *value == 0),
    reraise = true,
)]
async fn call(calls: &Cell<u32>) -> Result<u32, std::io::Error> {
    calls.set(calls.get() + 1);
    match calls.get() {
        1 => Err(std::io::Error::other("again")),
        2 => Ok(0),
        n => Ok(n),
    }
}

#[retry(wait = fixed.clone())]
async fn waits_as_told(fixed: &Wait) -> Result<u32, std::io::Error> {
    Ok(1)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    waits_as_told(&every(0)).await.unwrap();
    assert_eq!(call(&Cell::new(0)).await.unwrap(), 3);
}
