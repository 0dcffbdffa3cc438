//! A bulkhead that finds out how many calls an upstream can take.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use memory_core::{Bulkhead, BulkheadRoom, FmCacheManager, FmError, bulkhead, resilient};
use proptest::prelude::*;
use tokio::{
    task::JoinSet,
    time::{Instant, advance, sleep, sleep_until},
};

/// Answers within `pace` while it has no more calls than its `capacity`, else they share that.
struct Upstream {
    pace: Mutex<Duration>,
    capacity: AtomicUsize,
    under_way: AtomicUsize,
    crowd: AtomicUsize,
}

impl Upstream {
    fn new(capacity: usize) -> Arc<Self> {
        let (under_way, crowd) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { pace: Mutex::new(Duration::from_millis(10)), capacity: capacity.into(), under_way, crowd })
    }

    async fn answer(&self) -> Result<(), FmError> {
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.crowd.fetch_max(under_way, Ordering::Relaxed);
        let share = under_way as f64 / self.capacity.load(Ordering::Relaxed) as f64;
        let time = self.pace.lock().unwrap().mul_f64(share.max(1.0));
        sleep(time).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// The most calls at once since the last time it was asked.
    fn crowd(&self) -> usize {
        self.crowd.swap(0, Ordering::Relaxed)
    }
}

/// So many clients call for a time, each again and again; how many calls were answered.
async fn clients(number: usize, bulkhead: &Bulkhead, upstream: &Arc<Upstream>, time: Duration) -> usize {
    let until = Instant::now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..number {
        let (guarded, upstream) = (resilient().bulkhead(bulkhead), Arc::clone(upstream));
        clients.spawn(async move {
            let mut answered = 0;
            while Instant::now() < until {
                let upstream = &upstream;
                answered += usize::from(guarded.clone().run(|| upstream.answer()).await.is_ok());
            }
            answered
        });
    }
    clients.join_all().await.into_iter().sum()
}

fn adaptive() -> Bulkhead {
    Bulkhead::builder().max_concurrent(200).min_concurrent(2).max_queued(1_000).build().unwrap()
}

const SECONDS: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn it_settles_a_little_above_what_the_upstream_can_take() {
    let (bulkhead, upstream) = (adaptive(), Upstream::new(20));
    assert_eq!(bulkhead.limit(), 2);
    let answered = clients(100, &bulkhead, &upstream, SECONDS).await;
    assert!((20..=36).contains(&bulkhead.limit()), "{bulkhead:?}");
    assert!(answered > 2_000 * 20 * 9 / 10, "{answered} of 40,000 that it can answer in that time");
    upstream.crowd();
    clients(100, &bulkhead, &upstream, Duration::from_secs(1)).await;
    assert!(upstream.crowd() <= 36);
}

#[tokio::test(start_paused = true)]
async fn it_goes_down_with_the_upstream_and_up_again() {
    let (bulkhead, upstream) = (adaptive(), Upstream::new(40));
    clients(100, &bulkhead, &upstream, SECONDS).await;
    assert!(bulkhead.limit() >= 40, "{bulkhead:?}");
    upstream.capacity.store(5, Ordering::Relaxed);
    clients(100, &bulkhead, &upstream, SECONDS).await;
    assert!((5..=12).contains(&bulkhead.limit()), "{bulkhead:?}");
    upstream.capacity.store(40, Ordering::Relaxed);
    clients(100, &bulkhead, &upstream, SECONDS).await;
    assert!(bulkhead.limit() >= 40, "{bulkhead:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_can_take_more_gets_the_most_but_only_while_there_is_use_for_it() {
    let (bulkhead, upstream) = (adaptive(), Upstream::new(1_000));
    clients(3, &bulkhead, &upstream, SECONDS).await;
    assert!(bulkhead.limit() <= 10, "three clients need no more: {bulkhead:?}");
    clients(300, &bulkhead, &upstream, SECONDS).await;
    assert_eq!(bulkhead.limit(), 200);
}

#[tokio::test(start_paused = true)]
async fn once_a_minute_it_looks_with_few_calls_how_fast_the_upstream_is_now() {
    let (bulkhead, upstream) = (adaptive(), Upstream::new(20));
    clients(100, &bulkhead, &upstream, SECONDS).await;
    // Every call takes three times as long now, however few there are.
    *upstream.pace.lock().unwrap() *= 3;
    clients(100, &bulkhead, &upstream, Duration::from_secs(70)).await;
    assert!((20..=36).contains(&bulkhead.limit()), "{bulkhead:?}");

    upstream.crowd();
    let mut least = usize::MAX;
    let load = clients(100, &bulkhead, &upstream, Duration::from_secs(61));
    tokio::pin!(load);
    while tokio::select! { _ = &mut load => false, () = sleep(Duration::from_millis(20)) => true } {
        least = least.min(bulkhead.limit());
    }
    assert_eq!(least, 2, "it has looked");
    assert!((20..=36).contains(&bulkhead.limit()), "and not at calls from before: {bulkhead:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_or_are_given_up_teach_nothing_but_a_timeout_does() {
    let bulkhead = adaptive();
    let upstream = Upstream::new(20);
    clients(100, &bulkhead, &upstream, SECONDS).await;
    let limit = bulkhead.limit();
    let guarded = resilient().bulkhead(&bulkhead);
    for _ in 0..500 {
        let failed = guarded.clone().run(|| async {
            sleep(Duration::from_millis(1)).await;
            Err::<(), Box<dyn std::error::Error + Send + Sync>>("refused at once".into())
        });
        failed.await.unwrap_err();
        let given_up = guarded.clone().run(std::future::pending::<Result<(), FmError>>);
        tokio::time::timeout(Duration::from_millis(1), given_up).await.unwrap_err();
        assert_eq!(bulkhead.limit(), limit);
    }
    clients(100, &bulkhead, &upstream, SECONDS).await;
    assert!((20..=36).contains(&bulkhead.limit()), "{bulkhead:?}");
    let cut = guarded.attempt_timeout(1);
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        calls.spawn(cut.clone().run(std::future::pending::<Result<(), FmError>>));
    }
    calls.join_all().await;
    assert_eq!(bulkhead.limit(), 2, "that was {limit}");
    clients(100, &bulkhead, &upstream, SECONDS).await;
    assert!((20..=36).contains(&bulkhead.limit()), "the upstream is well again: {bulkhead:?}");
}

#[bulkhead(max_concurrent = 50, min_concurrent = 2, max_queued = 100)]
async fn guarded(upstream: &Upstream) -> Result<(), FmError> {
    upstream.answer().await
}

#[tokio::test(start_paused = true)]
async fn by_attribute_it_adapts_and_counts_that() {
    let upstream = Upstream::new(10);
    let mut clients = JoinSet::new();
    for _ in 0..40 {
        let upstream = Arc::clone(&upstream);
        clients.spawn(async move {
            for _ in 0..1_000 {
                guarded(&upstream).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    let crowd = upstream.crowd();
    assert!((10..=25).contains(&crowd), "{crowd}");
    let stats = FmCacheManager::stats();
    let (_, counts) = stats.resilience.iter().find(|(name, _)| name.ends_with("::guarded")).expect("counted");
    assert!(counts.bulkhead_resizes > 3, "{counts:?}");
}

#[test]
fn what_cannot_be_a_limit_is_refused() {
    let build = |least: u32| Bulkhead::builder().max_concurrent(4).min_concurrent(least).build();
    let error = build(5).unwrap_err();
    assert!(error.is_config() && error.to_string().contains("`min_concurrent` is above `max_concurrent`"), "{error}");
    assert!(build(0).unwrap_err().to_string().contains("`min_concurrent` is 0"));
    assert_eq!(build(4).unwrap().limit(), 4);
    assert_eq!(Bulkhead::builder().max_concurrent(7).build().unwrap().limit(), 7);
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Call,
    Finish(usize),
    TimeOut(usize),
    GiveUp(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Call),
        4 => any::<usize>().prop_map(Step::Finish),
        1 => any::<usize>().prop_map(Step::TimeOut),
        1 => any::<usize>().prop_map(Step::GiveUp),
        3 => (0_u64..80).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever the calls teach, the limit is within its bounds, and nobody gets room beyond it or loses any.
    #[test]
    fn room_is_neither_lost_nor_given_twice(steps in proptest::collection::vec(step(), 1..2_000), most in 1_u32..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let least = most.div_ceil(4);
            let bulkhead = Bulkhead::builder().max_concurrent(most).min_concurrent(least).build().unwrap();
            let mut rooms: Vec<BulkheadRoom<'_>> = Vec::new();
            for step in steps {
                match step {
                    Step::Call => {
                        let has_room = rooms.len() < bulkhead.limit();
                        let room = bulkhead.try_acquire();
                        prop_assert_eq!(room.is_ok(), has_room, "{} under way of {}", rooms.len(), bulkhead.limit());
                        rooms.extend(room);
                    }
                    Step::Finish(at) if !rooms.is_empty() => rooms.swap_remove(at % rooms.len()).finish(),
                    Step::GiveUp(at) if !rooms.is_empty() => drop(rooms.swap_remove(at % rooms.len())),
                    Step::Wait(millis) => advance(Duration::from_millis(millis)).await,
                    Step::TimeOut(at) if !rooms.is_empty() => rooms.swap_remove(at % rooms.len()).time_out(),
                    Step::Finish(_) | Step::TimeOut(_) | Step::GiveUp(_) => {}
                }
                prop_assert!((least as usize..=most as usize).contains(&bulkhead.limit()));
            }
            rooms.clear();
            let all: Vec<_> = std::iter::from_fn(|| bulkhead.try_acquire().ok()).collect();
            prop_assert_eq!(all.len(), bulkhead.limit());
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_moves_up_when_the_limit_does() {
    let bulkhead = adaptive();
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..500 {
        let guarded = resilient().bulkhead(&bulkhead);
        calls.spawn(guarded.run(|| async {
            sleep(Duration::from_millis(50)).await;
            Ok::<_, FmError>(())
        }));
    }
    calls.join_all().await;
    // Two at a time would be twelve seconds.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    sleep_until(began + Duration::from_secs(60)).await;
    assert_eq!(std::iter::from_fn(|| bulkhead.try_acquire().ok()).collect::<Vec<_>>().len(), bulkhead.limit());
}
