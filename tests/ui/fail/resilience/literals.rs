use memory_core::{FmError, bulkhead, circuit_breaker, rate_limit};

#[circuit_breaker(failure_rate = 1.5, probes = 0)]
async fn broken() -> Result<u8, FmError> {
    Ok(1)
}

#[rate_limit(rate = 0)]
async fn limited() -> Result<u8, FmError> {
    Ok(1)
}

#[bulkhead(max_concurrent = 0)]
async fn alone() -> Result<u8, FmError> {
    Ok(1)
}

#[bulkhead(max_concurrent = 4, min_concurrent = 0)]
async fn none_at_least() -> Result<u8, FmError> {
    Ok(1)
}

#[bulkhead(max_concurrent = 4, min_concurrent = 5)]
async fn more_than_most() -> Result<u8, FmError> {
    Ok(1)
}

fn main() {
    let _ = (broken(), limited(), alone(), none_at_least(), more_than_most());
}
