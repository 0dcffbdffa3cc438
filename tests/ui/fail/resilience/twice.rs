use memory_core::{FmError, bulkhead, circuit_breaker, fallback, timeout};

#[circuit_breaker]
#[bulkhead(max_concurrent = 1)]
#[circuit_breaker]
async fn guarded() -> Result<u8, FmError> {
    Ok(1)
}

#[timeout(1)]
#[timeout(2)]
async fn timed() -> Result<u8, FmError> {
    Ok(1)
}

#[fallback(1)]
#[timeout(1)]
#[fallback(2)]
async fn answered() -> Result<u8, FmError> {
    Ok(1)
}

fn main() {
    let _ = (guarded(), timed(), answered());
}
