use std::sync::LazyLock;

use memory_core::{CircuitBreaker, FmError, circuit_breaker, fallback, resilient, timeout};

static BREAKER: LazyLock<CircuitBreaker> = LazyLock::new(|| CircuitBreaker::builder().build().unwrap());

#[circuit_breaker(with = &BREAKER, probes = 2)]
async fn shared() -> Result<u8, FmError> {
    Ok(1)
}

#[circuit_breaker(window_calls = 10, window_time = 10, probs = 2)]
async fn windows() -> Result<u8, FmError> {
    Ok(1)
}

#[timeout]
async fn endless() -> Result<u8, FmError> {
    Ok(1)
}

#[fallback]
async fn nothing() -> Result<u8, FmError> {
    Ok(1)
}

#[resilient]
async fn bare() -> Result<u8, FmError> {
    Ok(1)
}

#[resilient(timeout = 30)]
async fn assigned() -> Result<u8, FmError> {
    Ok(1)
}

fn main() {
    let _ = (shared(), windows(), endless(), nothing(), bare(), assigned());
}
