//! What a policy does is an event with fields that stay.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use memory_core::{Bulkhead, Chaos, CircuitBreaker, FmError, Hedge, RateLimiter, resilient};
use tokio::time::{advance, sleep};
use tracing::field::{Field, Visit};
use tracing_subscriber::{Layer, layer::SubscriberExt as _};

/// The fields of every event of the policies, without the message, as one line each.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Line(Vec<String>);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "message" {
            self.0.push(format!("{}={value:?}", field.name()));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push(format!("{}={value}", field.name()));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == "memory_core::resilience" {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0.join(" "));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_refusal_and_hedge_is_told() {
    let events = Events::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    let call = || async { Ok::<_, FmError>(()) };

    let breaker = CircuitBreaker::builder().minimum_calls(1).open_for(30).probes(1).name("b").build().unwrap();
    let chaos = Chaos::builder().fault_rate(1.0).build().unwrap();
    let failing = resilient().name("f").circuit_breaker(&breaker).fallback(|_: FmError| Ok(()));
    chaos.scope(failing.run(call)).await.unwrap();
    assert!(breaker.run(call).await.is_err());
    advance(Duration::from_secs(30)).await;
    breaker.run(call).await.unwrap();

    let limiter = RateLimiter::builder().rate(1).burst(1).name("l").build().unwrap();
    limiter.acquire().await.unwrap();
    limiter.acquire().await.unwrap_err();
    let bulkhead = Bulkhead::builder().max_concurrent(1).max_queued(1).max_wait(1).name("k").build().unwrap();
    let _room = bulkhead.acquire().await.unwrap();
    bulkhead.acquire().await.unwrap_err();

    let adaptive = Bulkhead::builder().max_concurrent(9).min_concurrent(2).name("a").build().unwrap();
    for _ in 0..20 {
        let room = adaptive.acquire().await.unwrap();
        let _other = adaptive.acquire().await.unwrap();
        advance(Duration::from_millis(10)).await;
        room.finish();
    }

    let hedge = Hedge::builder().after(1).name("h").build().unwrap();
    let mut seconds = [9, 1].into_iter();
    let slow_then_quick = || {
        let seconds = seconds.next().unwrap();
        async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok::<_, FmError>(())
        }
    };
    hedge.run(slow_then_quick).await.unwrap();
    let late = resilient().name("t").timeout(1).run(std::future::pending::<Result<(), FmError>>).await;
    assert!(late.unwrap_err().is_timeout());

    let told = events.0.lock().unwrap().clone();
    assert_eq!(
        told,
        [
            "function=f policy=chaos injected=fault",
            "function=b policy=circuit_breaker from=closed to=open",
            "function=f policy=fallback",
            "function=b policy=circuit_breaker retry_after_ms=30000",
            "function=b policy=circuit_breaker from=open to=half_open",
            "function=b policy=circuit_breaker from=half_open to=closed",
            "function=l policy=rate_limit retry_after_ms=1000",
            "function=k policy=bulkhead",
            "function=k policy=bulkhead",
            "function=a policy=bulkhead from=2 to=4",
            "function=h policy=hedge attempt=2",
            "function=h policy=hedge attempt=2",
            "function=t policy=timeout limit=total",
        ]
    );
}
