//! Every policy, stacked and in one attribute, on functions of all kinds.

use std::{future::Future, sync::LazyLock, time::Duration};

use memory_core::{
    CircuitBreaker, FmError, bulkhead, circuit_breaker, default_retry, fallback, hedge, memorize, rate_limit,
    resilient, timeout,
};

static BREAKER: LazyLock<CircuitBreaker> = LazyLock::new(|| CircuitBreaker::builder().build().unwrap());

#[circuit_breaker(with = &BREAKER, failure_on = FmError::is_timeout)]
#[timeout(30, attempt = 2)]
#[default_retry(attempts = 2)]
#[rate_limit(rate = 100, max_wait = 0.5)]
async fn stacked(id: u64) -> Result<u64, FmError> {
    let id = Some(id).map_or_else(|| unreachable!(), Ok::<u64, FmError>)?;
    Ok(id)
}

#[resilient(
    fallback(0, on = FmError::is_circuit_open),
    memorize(expire = 60),
    timeout(30),
    default_retry,
    circuit_breaker(window_time = 30),
    bulkhead(max_concurrent = 4, max_queued = 4)
)]
async fn all(id: u64) -> Result<u64, FmError> {
    Ok(id)
}

#[fallback(|error| if error.is_timeout() { Ok(String::new()) } else { Err(error) })]
#[memorize(expire = 60)]
#[bulkhead(max_concurrent = 10, min_concurrent = 2)]
async fn cached(name: String) -> Result<String, FmError> {
    Ok(name)
}

#[circuit_breaker]
#[fallback("none".to_owned())]
fn blocking<T: ToString>(value: &T) -> Result<String, FmError> {
    Ok(value.to_string())
}

#[hedge(after = 0.5, max_hedges = 1)]
#[circuit_breaker]
async fn hedged(name: String) -> Result<String, FmError> {
    Ok(name)
}

struct Service {
    calls: u32,
}

impl Service {
    #[timeout(Duration::from_secs(5))]
    #[circuit_breaker(probes = 1)]
    async fn call(&mut self) -> Result<u32, FmError> {
        self.calls += 1;
        Ok(self.calls)
    }

    #[rate_limit(rate = 100)]
    fn later(&self) -> impl Future<Output = Result<u32, FmError>> + Send {
        let calls = self.calls;
        async move { Ok(calls) }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(stacked(1).await.unwrap(), 1);
    assert_eq!(all(2).await.unwrap(), 2);
    assert_eq!(cached("a".to_owned()).await.unwrap(), "a");
    assert_eq!(blocking(&3).unwrap(), "3");
    assert_eq!(hedged("b".to_owned()).await.unwrap(), "b");
    let mut service = Service { calls: 0 };
    assert_eq!(service.call().await.unwrap(), 1);
    assert_eq!(service.later().await.unwrap(), 1);
}
