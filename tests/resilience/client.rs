//! The policies around the requests of the HTTP client, over real sockets.

use memory_core::{
    Bulkhead, Chaos, CircuitBreaker, CircuitBreakerBuilder, CircuitState, FmBody, FmCache, FmClientError, FmError,
    FmMemoryBackend, FmResilientClient, RateLimiter, fixed, memorize, retry, retry_on_status, stop_after_retries,
};

use crate::upstream::{Upstream, answer, json};

fn breaker() -> CircuitBreakerBuilder {
    CircuitBreaker::builder().minimum_calls(4).open_for(3600)
}

fn client(upstream: &Upstream, breaker: &CircuitBreaker) -> FmResilientClient {
    let builder = FmResilientClient::builder().base_url(upstream.url()).retry_wait_min(0).retry_wait_max(0);
    builder.retry_attempts(3).circuit_breaker(breaker).build().unwrap()
}

#[tokio::test]
async fn a_breaker_that_opens_ends_the_retries_and_spares_the_upstream() {
    let upstream = Upstream::always(answer(503, &[], b"")).await;
    let breaker = breaker().build().unwrap();
    let client = client(&upstream, &breaker);
    assert_eq!(client.get_json::<u8>("a").await.unwrap_err().status(), 503);
    let opened = client.get_json::<u8>("a").await.unwrap_err();
    assert!(opened.client_error().unwrap().is_circuit_open() && opened.retry_after().is_some(), "{opened}");
    for _ in 0..20 {
        assert!(FmError::from(client.get_json::<u8>("a").await.unwrap_err()).is_circuit_open());
    }
    assert_eq!((upstream.seen().len(), client.stats().attempts), (4, 4));
}

#[tokio::test]
async fn an_upstream_that_says_no_to_the_caller_is_well() {
    let upstream = Upstream::always(answer(404, &[], b"")).await;
    let breaker = breaker().build().unwrap();
    let client = client(&upstream, &breaker);
    for _ in 0..10 {
        assert_eq!(client.get_json::<u8>("a").await.unwrap_err().status(), 404);
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[memorize(expire = 0.001, stale_if_error = 3600, skip(client))]
async fn price(id: u32, client: FmResilientClient) -> Result<u32, FmError> {
    Ok(client.get_json::<u32>(format!("price/{id}")).await?)
}

#[tokio::test]
async fn a_memorized_call_is_answered_stale_while_the_breaker_is_open() {
    let upstream = Upstream::always(json("7")).await;
    let breaker = breaker().build().unwrap();
    let client = client(&upstream, &breaker);
    let cache = FmCache::builder(FmMemoryBackend::new()).build().unwrap();
    cache
        .scope(async {
            assert_eq!(price(1, client.clone()).await.unwrap(), 7);
            breaker.force_open();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            assert_eq!(price(1, client.clone()).await.unwrap(), 7);
            assert!(price(2, client.clone()).await.unwrap_err().is_circuit_open(), "there is nothing to answer with");
        })
        .await;
    assert_eq!(upstream.seen().len(), 1);
    assert!(cache.stats().stale_hits >= 1);
}

#[tokio::test]
async fn limits_refuse_before_anything_is_sent() {
    let upstream = Upstream::always(json("7")).await;
    let limiter = RateLimiter::builder().rate(1).per(3600).burst(1).build().unwrap();
    let bulkhead = Bulkhead::builder().max_concurrent(1).build().unwrap();
    let builder = FmResilientClient::builder().base_url(upstream.url());
    let client = builder.rate_limit(&limiter).bulkhead(&bulkhead).build().unwrap();
    assert_eq!(client.get_json::<u8>("a").await.unwrap(), 7);
    let refused = client.get_json::<u8>("a").await.unwrap_err();
    assert!(
        matches!(refused.client_error(), Some(FmClientError::Refused(refusal)) if refusal.is_rate_limited()),
        "{refused}"
    );
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn chaos_reaches_the_client() {
    let upstream = Upstream::always(json("7")).await;
    let breaker = breaker().build().unwrap();
    let client = client(&upstream, &breaker);
    let chaos = Chaos::builder().fault_rate(1.0).build().unwrap();
    let failed = chaos.scope(async { client.get_json::<u8>("a").await }).await.unwrap_err();
    assert!(failed.is_network() && client.stats().refused_retries == 1, "{failed}");
    assert_eq!(upstream.seen().len(), 0);
    assert_eq!(client.get_json::<u8>("a").await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_429_that_is_to_be_repeated_waits_as_long_as_it_says() {
    let busy = answer(429, &[("retry-after", "7")], b"");
    let upstream = Upstream::scripted(vec![busy, json("7")]).await;
    let client = FmResilientClient::builder().base_url(upstream.url()).build().unwrap();

    #[retry(stop = stop_after_retries(3), wait = fixed(1), retry = retry_on_status([429]))]
    async fn price(client: &FmResilientClient) -> Result<FmBody, FmClientError> {
        client.get_raw("price").await
    }

    price(&client).await.unwrap();
    assert_eq!(upstream.waits().iter().map(|wait| wait.as_secs()).collect::<Vec<_>>(), [7]);
}
