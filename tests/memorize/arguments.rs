//! The arguments of the attribute that say how long and where: `expire`, `jitter`, `time_to_idle`, `namespace`, `cache`, …

use std::{rc::Rc, sync::LazyLock, time::Duration};

use memory_core::{FOREVER, FmCache, FmCacheManager, memorize};
use tokio::time::advance;

use crate::{Logs, Runs, alone, cache, seconds};

const SHORTLY: Duration = Duration::from_millis(1);

/// What `call` stores lives exactly that long.
async fn lives<F: Future>(runs: &Runs, life: Duration, call: impl Fn() -> F) {
    runs.take();
    call().await;
    advance(life - SHORTLY).await;
    call().await;
    assert_eq!(runs.take(), 1, "too short a life: not {life:?}");
    advance(SHORTLY).await;
    call().await;
    assert_eq!(runs.take(), 1, "too long a life: not {life:?}");
    advance(life).await;
}

struct Settings {
    ttl: f32,
}

fn settings() -> Settings {
    Settings { ttl: 2.5 }
}

#[memorize(expire = 60, skip(runs))]
async fn whole(runs: Runs) -> u32 {
    runs.begin()
}

#[memorize(expire = 0.5, skip(runs))]
async fn fraction(runs: Runs) -> u32 {
    runs.begin()
}

#[memorize(expire = settings().ttl, skip(runs))]
async fn from_settings(runs: Runs) -> u32 {
    runs.begin()
}

#[memorize(expire = Duration::from_millis(1500), skip(runs))]
async fn from_duration(runs: Runs) -> u32 {
    runs.begin()
}

#[memorize(expire = 30 + 2 * life, skip(runs))]
async fn from_argument(life: u64, runs: Runs) -> u32 {
    let _ = life;
    runs.begin()
}

#[memorize(skip(runs))]
async fn by_default(runs: Runs) -> u32 {
    runs.begin()
}

#[tokio::test(start_paused = true)]
async fn a_value_lives_as_long_as_expire_says_in_each_of_its_forms() {
    let runs = Runs::default();
    alone(async {
        lives(&runs, seconds(60), || whole(runs.clone())).await;
        lives(&runs, Duration::from_millis(500), || fraction(runs.clone())).await;
        lives(&runs, Duration::from_millis(2500), || from_settings(runs.clone())).await;
        lives(&runs, Duration::from_millis(1500), || from_duration(runs.clone())).await;
        lives(&runs, seconds(50), || from_argument(10, runs.clone())).await;
        lives(&runs, seconds(300), || by_default(runs.clone())).await;
    })
    .await;
    let short = FmCacheManager::builder(memory_core::FmMemoryBackend::new()).prefix("p").expire(7).build().unwrap();
    short.scope(lives(&runs, seconds(7), || by_default(runs.clone()))).await;
}

#[memorize(expire = |life| *life, skip(runs))]
async fn from_value(life: u64, runs: Runs) -> u64 {
    runs.begin();
    life
}

#[memorize(expire = |v| v.as_ref().map_or(1, |life| *life), cache_err, skip(runs))]
async fn from_result(life: u64, runs: Runs) -> Result<u64, String> {
    runs.begin();
    if life == 0 { Err("none".to_owned()) } else { Ok(life) }
}

#[memorize(expire = |v: &Option<Duration>| v.unwrap_or_default() * factor, skip(runs))]
async fn from_value_and_argument(life: u64, factor: u32, runs: Runs) -> Option<Duration> {
    runs.begin();
    Some(seconds(life))
}

#[tokio::test(start_paused = true)]
async fn a_closure_computes_the_expiry_from_the_returned_value() {
    let runs = Runs::default();
    alone(async {
        lives(&runs, seconds(9), || from_value(9, runs.clone())).await;
        lives(&runs, seconds(4), || from_value(4, runs.clone())).await;
        lives(&runs, seconds(9), || from_result(9, runs.clone())).await;
        lives(&runs, seconds(1), || from_result(0, runs.clone())).await;
        lives(&runs, seconds(6), || from_value_and_argument(2, 3, runs.clone())).await;
        for _ in 0..3 {
            from_value(0, runs.clone()).await;
        }
        assert_eq!(runs.take(), 3, "0 is not stored");
    })
    .await;
}

#[memorize(expire = FOREVER, skip(runs))]
async fn for_ever(runs: Runs) -> u32 {
    runs.begin()
}

#[memorize(expire = u64::MAX, skip(runs))]
async fn huge(runs: Runs) -> u32 {
    runs.begin()
}

#[memorize(expire = Duration::MAX, skip(runs))]
async fn longest(runs: Runs) -> u32 {
    runs.begin()
}

#[memorize(expire = f64::INFINITY, skip(runs))]
async fn infinite(runs: Runs) -> u32 {
    runs.begin()
}

#[memorize(expire = 0, skip(runs))]
async fn never(runs: Runs) -> u32 {
    runs.begin()
}

#[tokio::test(start_paused = true)]
async fn for_ever_and_huge_expiries_never_come_and_zero_is_not_stored() {
    let runs = Runs::default();
    alone(async {
        for _ in 0..3 {
            for_ever(runs.clone()).await;
            huge(runs.clone()).await;
            longest(runs.clone()).await;
            infinite(runs.clone()).await;
            advance(seconds(3600 * 24 * 3650)).await;
        }
        assert_eq!(runs.take(), 4);
        never(runs.clone()).await;
        never(runs.clone()).await;
        assert_eq!(runs.take(), 2);
    })
    .await;
}

#[memorize(expire = life, skip(runs))]
async fn computed(life: f64, runs: Runs) -> u32 {
    let _ = life;
    runs.begin()
}

#[tokio::test(start_paused = true)]
async fn a_negative_or_nan_expiry_at_run_time_costs_the_entry_and_never_the_call() {
    let logs = Logs::capture();
    let runs = Runs::default();
    alone(async {
        for life in [-1.0, f64::NAN] {
            assert_eq!((computed(life, runs.clone()).await, computed(life, runs.clone()).await), (1, 2));
            runs.take();
            let refused = computed::put(life, 7).await.unwrap_err();
            assert!(refused.is_config(), "{refused}");
        }
        assert_eq!(logs.lines("ERROR", "not stored").len(), 1, "said once for the function");
    })
    .await;
}

#[memorize(expire = 100, jitter = 0.5, skip(runs))]
async fn spread(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_expiries_below_the_given_one() {
    let runs = Runs::default();
    alone(async {
        for id in 0..200 {
            spread(id, runs.clone()).await;
        }
        advance(seconds(49)).await;
        runs.take();
        let mut left = 200;
        let mut gone_at = Vec::new();
        for _ in 0..6 {
            let mut here = 0;
            for id in 0..200 {
                here += u32::from(spread::peek(id).await.unwrap().is_some());
            }
            gone_at.push(left - here);
            left = here;
            advance(Duration::from_millis(10_300)).await;
        }
        assert_eq!((gone_at[0], left), (0, 0), "{gone_at:?}: none before half its life, all at its end");
        assert!(gone_at[1..].iter().all(|gone| *gone > 5), "{gone_at:?}: spread");
    })
    .await;
}

#[memorize(expire = 100, time_to_idle = 10, skip(runs))]
async fn idle(runs: Runs) -> u32 {
    runs.begin()
}

#[tokio::test(start_paused = true)]
async fn time_to_idle_counts_from_the_last_read_and_never_beyond_expire() {
    let runs = Runs::default();
    alone(async {
        for _ in 0..11 {
            assert_eq!(idle(runs.clone()).await, 1);
            advance(seconds(9)).await;
        }
        advance(seconds(1)).await;
        assert_eq!(idle(runs.clone()).await, 2, "100 s are over, however often it is read");
        advance(seconds(10)).await;
        assert_eq!(idle(runs.clone()).await, 3, "10 s without a read");
    })
    .await;
}

const REPORTS: &str = "reports";

#[memorize(namespace = "reports", skip(runs))]
async fn daily(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

#[memorize(namespace = REPORTS, skip(runs))]
async fn weekly(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

#[memorize(skip(runs))]
async fn other(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

#[tokio::test(start_paused = true)]
async fn clear_namespace_clears_the_functions_of_the_namespace_and_no_other() {
    let runs = Runs::default();
    alone(async {
        for _ in 0..2 {
            for id in 0..3 {
                daily(id, runs.clone()).await;
                weekly(id, runs.clone()).await;
                other(id, runs.clone()).await;
            }
        }
        assert_eq!(runs.take(), 9);
        assert_eq!(FmCacheManager::clear_namespace("reports").await.unwrap(), 6);
        assert_eq!(FmCacheManager::clear_namespace("report").await.unwrap(), 0);
        daily(1, runs.clone()).await;
        weekly(1, runs.clone()).await;
        other(1, runs.clone()).await;
        assert_eq!(runs.take(), 2);
        assert!(daily::key(1).as_str().starts_with("test:reports/"), "{}", daily::key(1));
        assert!(!other::key(1).as_str().contains('/'), "{}", other::key(1));
    })
    .await;
}

#[memorize(refresh_if = force || id > 10, skip(force, runs))]
async fn forced(id: u32, force: bool, runs: Runs) -> u32 {
    let _ = (id, force);
    runs.begin()
}

#[tokio::test(start_paused = true)]
async fn refresh_if_runs_and_stores() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(forced(1, false, runs.clone()).await, 1);
        assert_eq!(forced(1, false, runs.clone()).await, 1);
        assert_eq!(forced(1, true, runs.clone()).await, 2);
        assert_eq!(forced(1, false, runs.clone()).await, 2, "what the forced run returned is stored");
        assert_eq!((forced(11, false, runs.clone()).await, forced(11, false, runs.clone()).await), (3, 4));
        assert_eq!(forced::peek(11).await.unwrap(), Some(4));
    })
    .await;
}

static OWN: LazyLock<FmCache> = LazyLock::new(cache);

#[memorize(cache = OWN, skip(runs))]
async fn in_static(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

#[memorize(cache = app.cache, key = id)]
async fn in_argument(app: &App, id: u32) -> u32 {
    app.runs.begin();
    id
}

#[derive(Clone)]
struct App {
    cache: FmCache,
    runs: Runs,
}

impl App {
    #[memorize(cache = self.cache, key = id)]
    pub(crate) async fn find(&self, id: u32) -> u32 {
        self.runs.begin();
        id
    }
}

#[tokio::test(start_paused = true)]
async fn the_cache_that_the_attribute_names_is_used_and_not_the_global_one() {
    let runs = Runs::default();
    let app = || App { cache: cache(), runs: runs.clone() };
    let (one, two) = (app(), app());
    alone(async {
        in_static(1, runs.clone()).await;
        in_static(1, runs.clone()).await;
        assert_eq!(runs.take(), 1);
        assert!(in_static::peek(1).await.unwrap().is_some());
        for app in [&one, &two] {
            in_argument(app, 1).await;
            in_argument(app, 1).await;
            app.find(2).await;
            app.find(2).await;
        }
        assert_eq!(runs.take(), 4, "once for each cache");
        assert!(in_argument::on(&one.cache).invalidate(1).await.unwrap());
        assert!(!in_argument::on(&one.cache).invalidate(1).await.unwrap());
        assert_eq!(in_argument::on(&two.cache).peek(1).await.unwrap(), Some(1));
        assert!(one.find_invalidate(2).await.unwrap());
        assert_eq!((one.find_peek(2).await.unwrap(), two.find_peek(2).await.unwrap()), (None, Some(2)));
        assert_eq!(FmCacheManager::stats().misses, 0, "the global cache knows nothing of it");
    })
    .await;
    assert_eq!(OWN.stats().runs, 1);
}

#[memorize(in_place, skip(runs))]
async fn not_send(runs: Runs) -> u32 {
    let kept = Rc::new(runs.begin());
    tokio::task::yield_now().await;
    *kept
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_send_runs_in_place() {
    let runs = Runs::default();
    alone(async {
        assert_eq!((not_send(runs.clone()).await, not_send(runs.clone()).await), (1, 1));
        assert_eq!(not_send::refresh(runs.clone()).await, 2);
        assert_eq!(not_send::uncached(runs.clone()).await, 3);
        assert_eq!(not_send::peek().await.unwrap(), Some(2));
    })
    .await;
}

/// Neither `Serialize` nor `Debug`.
#[derive(Clone)]
struct Handle(u32);

#[memorize(memory_only, skip(runs))]
async fn handle(id: u32, runs: Runs) -> Option<Handle> {
    runs.begin();
    (id > 0).then_some(Handle(id))
}

#[tokio::test(start_paused = true)]
async fn memory_only_values_need_not_serialise() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(handle(5, runs.clone()).await.unwrap().0, 5);
        assert_eq!(handle(5, runs.clone()).await.unwrap().0, 5);
        assert_eq!(runs.take(), 1);
        handle::put(6, Some(Handle(60))).await.unwrap();
        assert_eq!(handle(6, runs.clone()).await.unwrap().0, 60);
        assert!(handle(0, runs.clone()).await.is_none() && handle(0, runs.clone()).await.is_none());
        assert_eq!(runs.take(), 2, "None is not stored");
    })
    .await;
}

#[memorize(version = 1, name = "prices")]
async fn old_prices(id: u32) -> u32 {
    id
}

#[memorize(version = 2, name = "prices")]
async fn new_prices(id: u32) -> u32 {
    id * 2
}

#[memorize(name = "users.get", skip(runs))]
async fn named(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

#[tokio::test(start_paused = true)]
async fn a_version_makes_other_keys_and_a_name_fixes_them() {
    let runs = Runs::default();
    alone(async {
        assert_ne!(old_prices::key(1), new_prices::key(1));
        assert_eq!((old_prices(1).await, new_prices(1).await), (1, 2), "they never see each other's values");
        assert_eq!((old_prices(1).await, new_prices(1).await), (1, 2));
        assert_eq!(named::key(7).to_string(), "test:users.get:7");
        named(7, runs.clone()).await;
        assert_eq!(FmCacheManager::stats().functions["users.get"].runs, 1);
    })
    .await;
}
