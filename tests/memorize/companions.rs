//! The companions: `invalidate`, `peek`, `put`, `key`, `refresh`, `uncached`, `on(&cache)`.

#![allow(clippy::needless_borrows_for_generic_args, reason = "companions are called in every spelling")]

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query},
};
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

#[tokio::test(start_paused = true)]
async fn a_reference_to_an_argument_with_a_cache_key_is_given_as_it_is_or_by_key() {
    let runs = Runs::default();
    alone(async {
        let user = CurrentUser::new(1, "a");
        let region = || ("se".to_owned(), 3);
        assert_eq!(by_reference(&user, Region { country: "se".into(), zone: 3, _note: "" }, runs.clone()).await, 4);
        assert_eq!(by_reference::peek(1, region()).await.unwrap(), Some(4));
        let key = by_reference::key(1, region());
        assert!(key.as_str().ends_with(":by_reference:1:se:3u8"), "{key}");
        assert_eq!(by_reference::key(&user, region()), key);
        assert_eq!(by_reference::key(&Arc::new(user.clone()), region()), key);
        assert_eq!(by_reference::key(&Box::new(user.clone()), region()), key);
        let borrowed = &user;
        assert_eq!([borrowed].iter().map(|user| by_reference::key(user, region())).next(), Some(key.clone()));
        assert_ne!(by_reference::key(2, region()), key);
        by_reference::put(1, region(), 5).await.unwrap();
        assert_eq!(by_reference::peek(&user, region()).await.unwrap(), Some(5));
        assert!(by_reference::invalidate(1, region()).await.unwrap());
    })
    .await;
}

#[memorize(skip(runs))]
async fn extension(
    Extension(user): Extension<CurrentUser>,
    Path(page): Path<u32>,
    Extension(runs): Extension<Runs>,
) -> String {
    runs.begin();
    format!("{} {page}", user.session)
}

#[memorize]
async fn extracted(
    Path(path): Path<CurrentUser>,
    Query(query): Query<Region>,
    Json(json): Json<(u32, String)>,
    Extension(shared): Extension<Arc<CurrentUser>>,
    plain: Arc<CurrentUser>,
) -> u64 {
    path.id + u64::from(query.zone) + u64::from(json.0) + shared.id + plain.id
}

#[tokio::test(start_paused = true)]
async fn an_extractor_of_an_argument_with_a_cache_key_is_given_whole_or_by_its_inside_or_by_key() {
    let runs = Runs::default();
    alone(async {
        let user = CurrentUser::new(1, "a");
        let call = |user: &CurrentUser| extension(Extension(user.clone()), Path(7), Extension(runs.clone()));
        assert_eq!(call(&user).await, "a 7");
        assert_eq!(call(&CurrentUser::new(1, "b")).await, "a 7", "the session is not in the key");
        assert_eq!(runs.take(), 1);
        assert_eq!(extension::peek(1, 7).await.unwrap().as_deref(), Some("a 7"));
        let key = extension::key(1, 7);
        assert!(key.as_str().ends_with(":extension:1:7"), "{key}");
        assert_eq!(extension::key(Extension(user.clone()), Path(7)), key);
        assert_eq!(extension::key(user.clone(), 7), key);
        assert_ne!(extension::key(2, 7), key);
        extension::put(1, 7, "primed".to_owned()).await.unwrap();
        assert_eq!(call(&user).await, "primed");
        assert!(extension::invalidate(1, 7).await.unwrap());
        assert_eq!(extension::peek(user, 7).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_extractor_and_every_arc_is_given_by_key_too() {
    alone(async {
        let user = |id| CurrentUser::new(id, "a");
        let region = || Region { country: "se".to_owned(), zone: 3, _note: "" };
        let body = || (4, "x".to_owned());
        let arc = |id| Arc::new(user(id));
        assert_eq!(extracted(Path(user(1)), Query(region()), Json(body()), Extension(arc(2)), arc(5)).await, 15);
        let key = extracted::key(Path(user(1)), Query(region()), Json(body()), Extension(arc(2)), arc(5));
        assert_eq!(extracted::key(user(1), region(), body(), arc(2), user(5)), key);
        assert_eq!(extracted::key(1, ("se".to_owned(), 3), body(), 2, 5), key);
        assert_eq!(extracted::peek(1, ("se".to_owned(), 3), body(), user(2), 5).await.unwrap(), Some(15));
    })
    .await;
}

struct Orders;

impl Orders {
    #[memorize(skip(self))]
    pub(crate) async fn of(&self, user: &CurrentUser, Extension(owner): Extension<CurrentUser>) -> u64 {
        user.id + owner.id
    }
}

#[tokio::test(start_paused = true)]
async fn the_companions_of_a_method_take_keys_too() {
    alone(async {
        let (user, owner) = (CurrentUser::new(1, "a"), CurrentUser::new(2, "b"));
        assert_eq!(Orders.of(&user, Extension(owner.clone())).await, 3);
        assert_eq!(Orders::of_key(&user, owner), Orders::of_key(1, 2));
        assert_eq!(Orders::of_peek(1, 2).await.unwrap(), Some(3));
        assert!(Orders::of_invalidate(&user, 2).await.unwrap());
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
