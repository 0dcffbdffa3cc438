//! Hedges: made when a call takes long, within a budget, and gone when another call has answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use memory_core::{FmCacheManager, FmError, Hedge, HedgeBuilder, RateLimiter, RetryBudget};
use tokio::time::{Instant, sleep};

/// Counts calls and those under way.
#[derive(Clone, Default)]
struct Upstream(Arc<[AtomicU32; 2]>);

struct UnderWay(Upstream);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0[1].fetch_sub(1, Relaxed);
    }
}

impl Upstream {
    /// Answers with the number of the call, after the seconds that are said for it.
    async fn call(self, seconds: impl Fn(u32) -> Result<f64, f64>) -> Result<u32, FmError> {
        let number = self.0[0].fetch_add(1, Relaxed) + 1;
        self.0[1].fetch_add(1, Relaxed);
        let _under_way = UnderWay(self);
        let seconds = seconds(number);
        sleep(Duration::from_secs_f64(seconds.unwrap_or_else(|fails| fails))).await;
        seconds.map(|_| number).map_err(|_| RateLimiter::builder().build().unwrap_err())
    }

    fn calls(&self) -> u32 {
        self.0[0].load(Relaxed)
    }

    fn under_way(&self) -> u32 {
        self.0[1].load(Relaxed)
    }
}

fn after_a_second() -> HedgeBuilder {
    Hedge::builder().after(1)
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_counts_and_the_loser_is_cancelled() {
    let (hedge, upstream) = (after_a_second().name("hedge::first").build().unwrap(), Upstream::default());
    let began = Instant::now();
    let seconds = |number| Ok(if number == 1 { 3600.0 } else { 1.0 });
    let answer = hedge.run(|| upstream.clone().call(seconds)).await.unwrap();
    assert_eq!((answer, upstream.calls(), upstream.under_way()), (2, 2, 0));
    assert_eq!(began.elapsed().as_secs(), 2);
    let counts = FmCacheManager::stats().resilience["hedge::first"].clone();
    assert_eq!((counts.hedges, counts.hedge_wins), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_quick_or_fails_is_not_hedged() {
    let (hedge, upstream) = (after_a_second().build().unwrap(), Upstream::default());
    hedge.run(|| upstream.clone().call(|_| Ok(0.9))).await.unwrap();
    hedge.run(|| upstream.clone().call(|_| Err(0.9))).await.unwrap_err();
    assert_eq!(upstream.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_waits_for_the_calls_that_are_under_way() {
    let (hedge, upstream) = (after_a_second().build().unwrap(), Upstream::default());
    let seconds = |number| if number == 1 { Err(1.5) } else { Ok(5.0) };
    assert_eq!(hedge.run(|| upstream.clone().call(seconds)).await.unwrap(), 2);
    let failing = |number| if number == 3 { Err(1.5) } else { Err(5.0) };
    assert!(hedge.run(|| upstream.clone().call(failing)).await.is_err());
    assert_eq!((upstream.calls(), upstream.under_way()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn no_more_hedges_than_asked_for_and_paid_for() {
    let budget = RetryBudget::new().share(0.0).reserve(3);
    let hedge = after_a_second().max_hedges(2).budget(&budget).build().unwrap();
    let upstream = Upstream::default();
    hedge.run(|| upstream.clone().call(|_| Ok(10.0))).await.unwrap();
    assert_eq!(upstream.calls(), 3);
    hedge.run(|| upstream.clone().call(|_| Ok(10.0))).await.unwrap();
    assert_eq!(upstream.calls(), 5, "the budget is spent");
    hedge.run(|| upstream.clone().call(|_| Ok(10.0))).await.unwrap();
    assert_eq!(upstream.calls(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_quantile_moves_with_the_latencies() {
    let (hedge, upstream) = (Hedge::builder().quantile(0.9).build().unwrap(), Upstream::default());
    let call = async |seconds: f64| {
        let (before, began) = (upstream.calls(), Instant::now());
        hedge.run(|| upstream.clone().call(move |_| Ok(seconds))).await.unwrap();
        (upstream.calls() - before, began.elapsed())
    };
    for _ in 0..20 {
        assert_eq!(call(0.1).await.0, 1, "nobody knows yet how long is long");
    }
    assert_eq!(call(0.05).await.0, 1);
    assert_eq!(call(10.0).await.0, 2);
    for _ in 0..300 {
        call(10.0).await;
    }
    assert_eq!(call(9.0).await.0, 1, "ten seconds are usual by now");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_call_drops_all_of_them() {
    let (hedge, upstream) = (after_a_second().build().unwrap(), Upstream::default());
    let call = hedge.run(|| upstream.clone().call(|_| Ok(3600.0)));
    assert!(tokio::time::timeout(Duration::from_secs(2), call).await.is_err());
    assert_eq!((upstream.calls(), upstream.under_way()), (2, 0));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for refused in [
        Hedge::builder(),
        Hedge::builder().after(0),
        Hedge::builder().quantile(1.5),
        after_a_second().quantile(0.9),
        after_a_second().max_hedges(0),
    ] {
        assert!(refused.build().unwrap_err().is_config());
    }
}
