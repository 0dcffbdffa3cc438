//! The companions: `invalidate`, `peek`, `put`, `key`, `refresh`, `uncached`, `on(&cache)`.

use memory_core::{CacheKey, FmCacheManager, memorize};
use serde::Serialize;
use tokio::time::advance;

use crate::{Runs, alone, cache, seconds};

#[memorize(expire = 60, skip(runs))]
async fn square(x: u64, runs: Runs) -> Result<u64, String> {
    runs.begin();
    x.checked_mul(x).ok_or_else(|| "too large".to_owned())
}

#[tokio::test(start_paused = true)]
async fn companions_do_what_they_are_called() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(square::peek(3).await.unwrap(), None);
        assert!(!square::invalidate(3).await.unwrap(), "it was not there");
        assert_eq!(runs.take(), 0, "they never run the body");
        assert_eq!(square(3, runs.clone()).await, Ok(9));
        assert_eq!(square::peek(3).await.unwrap(), Some(Ok(9)));
        assert!(square::invalidate(3).await.unwrap());
        assert_eq!(square::peek(3).await.unwrap(), None);
        square::put(3, Ok(10)).await.unwrap();
        assert_eq!(square(3, runs.clone()).await, Ok(10));
        assert_eq!(square::refresh(3, runs.clone()).await, Ok(9));
        assert_eq!(square(3, runs.clone()).await, Ok(9));
        assert_eq!(square::uncached(4, runs.clone()).await, Ok(16));
        assert_eq!(square::peek(4).await.unwrap(), None, "uncached touches no cache");
        assert_eq!(runs.take(), 3);
        assert!(square::invalidate(3).strict().await.unwrap());
        assert_eq!(square::invalidate(3).strict().await.ok(), Some(false));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn put_and_refresh_live_as_long_as_a_call_s_value() {
    let runs = Runs::default();
    alone(async {
        square::put(1, Ok(5)).await.unwrap();
        let _ = square::refresh(2, runs.clone()).await;
        advance(seconds(59)).await;
        assert_eq!((square::peek(1).await.unwrap(), square::peek(2).await.unwrap()), (Some(Ok(5)), Some(Ok(4))));
        advance(seconds(1)).await;
        assert_eq!((square::peek(1).await.unwrap(), square::peek(2).await.unwrap()), (None, None));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_put_that_is_not_to_be_stored_leaves_what_is_there_or_nothing_stale() {
    let runs = Runs::default();
    alone(async {
        square::put(1, Err("no".to_owned())).await.unwrap();
        assert_eq!(square::peek(1).await.unwrap(), None);
        assert_eq!(square(1, runs.clone()).await, Ok(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_key_companion_names_the_entry_that_peek_finds() {
    let cache = cache();
    cache
        .scope(async {
            let key = square::key(3);
            assert_eq!(key.to_string(), key.as_str());
            assert!(key.as_str().starts_with("test:") && key.as_str().ends_with("::square:3"), "{key}");
            assert_ne!(square::key(3), square::key(4));
            assert_eq!(square::key(3), square::on(&cache).key(3));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn on_works_on_another_cache() {
    let runs = Runs::default();
    let other = cache();
    alone(async {
        assert_eq!(square::on(&other).refresh(3, runs.clone()).await, Ok(9));
        assert_eq!(square::on(&other).peek(3).await.unwrap(), Some(Ok(9)));
        assert_eq!(square::peek(3).await.unwrap(), None);
        square::on(&other).put(4, Ok(1)).await.unwrap();
        assert!(square::on(&other).invalidate(4).await.unwrap());
        assert_eq!(square::on(&other).uncached(5, runs.clone()).await, Ok(25));
        assert_eq!(FmCacheManager::stats().stores, 0);
    })
    .await;
}

#[memorize(key = (id, lang.to_lowercase()))]
async fn page(runs: Runs, lang: &str, id: u64, trace: String) -> String {
    runs.begin();
    format!("{id} {lang} {trace}")
}

#[tokio::test(start_paused = true)]
async fn with_key_the_companions_take_what_it_mentions_in_the_order_of_the_signature() {
    let runs = Runs::default();
    alone(async {
        let call = |lang: &'static str, id, trace: &str| page(runs.clone(), lang, id, trace.to_owned());
        assert_eq!(call("EN", 1, "a").await, "1 EN a");
        assert_eq!(call("en", 1, "b").await, "1 EN a");
        assert!(page::key("En", 1).as_str().ends_with(":1:en"), "{}", page::key("En", 1));
        assert_eq!(page::peek("eN", 1).await.unwrap().as_deref(), Some("1 EN a"));
        page::put("EN", 2, "primed".to_owned()).await.unwrap();
        assert_eq!(call("en", 2, "c").await, "primed");
        assert!(page::invalidate("en", 1).await.unwrap());
        assert_eq!(page::refresh(runs.clone(), "en", 2, "d".to_owned()).await, "2 en d");
        assert_eq!(runs.take(), 2);
    })
    .await;
}

#[derive(Clone, CacheKey)]
struct CurrentUser {
    #[cache_key]
    id: u64,
    session: String,
}

impl CurrentUser {
    fn new(id: u64, session: &str) -> Self {
        Self { id, session: session.to_owned() }
    }
}

#[derive(CacheKey)]
struct Region {
    #[cache_key]
    country: String,
    #[cache_key]
    zone: u8,
    _note: &'static str,
}

#[memorize(skip(runs))]
async fn orders(user: CurrentUser, page: u32, runs: Runs) -> String {
    runs.begin();
    format!("{} {page}", user.session)
}

#[memorize(skip(runs))]
async fn by_reference(user: &CurrentUser, region: Region, runs: Runs) -> u64 {
    runs.begin();
    user.id + u64::from(region.zone)
}

#[tokio::test(start_paused = true)]
async fn an_argument_with_a_cache_key_is_keyed_by_it_and_companions_take_either() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(orders(CurrentUser::new(1, "a"), 7, runs.clone()).await, "a 7");
        assert_eq!(orders(CurrentUser::new(1, "b"), 7, runs.clone()).await, "a 7", "the session is not in the key");
        assert_eq!(orders(CurrentUser::new(2, "b"), 7, runs.clone()).await, "b 7");
        assert_eq!(runs.take(), 2);
        assert_eq!(orders::peek(1, 7).await.unwrap().as_deref(), Some("a 7"));
        assert_eq!(orders::key(1, 7), orders::key(CurrentUser::new(1, "c"), 7));
        assert!(orders::invalidate(CurrentUser::new(1, "c"), 7).await.unwrap());
        assert!(orders::invalidate(2, 7).await.unwrap());

        let region = |zone| Region { country: "se".to_owned(), zone, _note: "" };
        assert_eq!(by_reference(&CurrentUser::new(1, "a"), region(3), runs.clone()).await, 4);
        assert_eq!(by_reference(&CurrentUser::new(1, "b"), region(3), runs.clone()).await, 4);
        assert_eq!(by_reference(&CurrentUser::new(1, "b"), region(4), runs.clone()).await, 5);
        assert_eq!(runs.take(), 2);
        assert!(by_reference::invalidate(&CurrentUser::new(1, "x"), region(3)).await.unwrap());
        assert!(by_reference::invalidate(&CurrentUser::new(1, "x"), ("se".to_owned(), 4)).await.unwrap());
    })
    .await;
}

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
enum Filter {
    All,
    Named { name: String, exact: bool },
    Ids(Vec<u64>),
}

#[memorize(companions = find_cache, skip(runs))]
async fn find(filter: Filter, runs: Runs) -> Option<Filter> {
    runs.begin();
    Some(filter)
}

#[memorize(companions = false, skip(runs))]
async fn silent(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

/// Would clash with the companions of `silent`.
#[allow(dead_code, non_camel_case_types)]
struct silent {}

#[tokio::test(start_paused = true)]
async fn companions_can_be_renamed_or_left_out() {
    let runs = Runs::default();
    alone(async {
        let named = || Filter::Named { name: "a:b%{}".to_owned(), exact: true };
        for filter in [Filter::All, named(), Filter::Ids(vec![1, 2]), Filter::Ids(vec![])] {
            assert_eq!(find(filter.clone(), runs.clone()).await, Some(filter.clone()));
            assert_eq!(find_cache::peek(filter.clone()).await.unwrap(), Some(Some(filter)));
        }
        assert_eq!(runs.take(), 4);
        assert!(find_cache::invalidate(named()).await.unwrap());
        assert_eq!((silent(1, runs.clone()).await, silent(1, runs.clone()).await), (1, 1));
        assert_eq!(runs.take(), 1);
    })
    .await;
}
