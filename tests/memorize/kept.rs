//! What is stored and what is not: `cache_if`, `cache_none`, `cache_err`, and the rules without them.

use axum::Json;
use memory_core::memorize;
use tokio::time::advance;

use crate::{Runs, alone, seconds};

type Answer<T> = Result<T, String>;

#[memorize(skip(runs))]
async fn option(id: u32, runs: Runs) -> Option<u32> {
    runs.begin();
    (id > 0).then_some(id)
}

#[memorize(skip(runs))]
async fn result(id: u32, runs: Runs) -> Answer<u32> {
    runs.begin();
    if id > 0 { Ok(id) } else { Err("zero".to_owned()) }
}

#[memorize(skip(runs))]
async fn nested(id: u32, runs: Runs) -> Answer<Option<Json<u32>>> {
    runs.begin();
    match id {
        0 => Err("zero".to_owned()),
        1 => Ok(None),
        id => Ok(Some(Json(id))),
    }
}

/// How many of three calls ran.
async fn thrice<F: Future>(runs: &Runs, call: impl Fn() -> F) -> u32 {
    runs.take();
    for _ in 0..3 {
        call().await;
    }
    runs.take()
}

#[tokio::test(start_paused = true)]
async fn none_and_err_are_not_stored_through_aliases_and_layers() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(thrice(&runs, || option(0, runs.clone())).await, 3);
        assert_eq!(thrice(&runs, || option(1, runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || result(0, runs.clone())).await, 3);
        assert_eq!(thrice(&runs, || result(1, runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || nested(0, runs.clone())).await, 3);
        assert_eq!(thrice(&runs, || nested(1, runs.clone())).await, 3, "Ok(None) counts as None");
        assert_eq!(thrice(&runs, || nested(2, runs.clone())).await, 1);
        result::put(5, Err("no".to_owned())).await.unwrap();
        option::put(5, None).await.unwrap();
        assert_eq!((result::peek(5).await.unwrap(), option::peek(5).await.unwrap()), (None, None));
    })
    .await;
}

#[memorize(expire = 60, cache_none, skip(runs))]
async fn with_none(id: u32, runs: Runs) -> Option<u32> {
    runs.begin();
    (id > 0).then_some(id)
}

#[memorize(expire = 60, cache_none = 5, skip(runs))]
async fn with_short_none(id: u32, runs: Runs) -> Answer<Option<u32>> {
    runs.begin();
    if id > 9 { Err("nine".to_owned()) } else { Ok((id > 0).then_some(id)) }
}

#[memorize(expire = 60, cache_err, skip(runs))]
async fn with_err(id: u32, runs: Runs) -> Answer<u32> {
    runs.begin();
    if id > 0 { Ok(id) } else { Err("zero".to_owned()) }
}

#[memorize(expire = 60, cache_err = 0.5, cache_none = 5, skip(runs))]
async fn with_both(id: u32, runs: Runs) -> Answer<Option<u32>> {
    runs.begin();
    if id > 9 { Err("nine".to_owned()) } else { Ok((id > 0).then_some(id)) }
}

#[tokio::test(start_paused = true)]
async fn cache_none_and_cache_err_store_them_with_an_expiry_of_their_own() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(thrice(&runs, || with_none(0, runs.clone())).await, 1);
        assert_eq!(with_none::peek(0).await.unwrap(), Some(None), "a stored None is told from nothing stored");
        assert_eq!(thrice(&runs, || with_short_none(0, runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || with_short_none(1, runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || with_short_none(10, runs.clone())).await, 3, "an Err is not a None");
        assert_eq!(thrice(&runs, || with_err(0, runs.clone())).await, 1);
        assert_eq!(with_err(0, runs.clone()).await, Err("zero".to_owned()));
        assert_eq!(thrice(&runs, || with_both(10, runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || with_both(0, runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || with_both(1, runs.clone())).await, 1);
        advance(seconds(1)).await;
        assert_eq!(thrice(&runs, || with_both(10, runs.clone())).await, 1, "half a second for an Err");
        assert_eq!(thrice(&runs, || with_both(0, runs.clone())).await, 0);
        advance(seconds(5)).await;
        assert_eq!(thrice(&runs, || with_both(0, runs.clone())).await, 1, "five for a None");
        assert_eq!(thrice(&runs, || with_short_none(0, runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || with_both(1, runs.clone())).await, 0, "sixty for a value");
        assert_eq!(thrice(&runs, || with_none(0, runs.clone())).await, 0);
        advance(seconds(60)).await;
        assert_eq!(thrice(&runs, || with_none(0, runs.clone())).await, 1);
    })
    .await;
}

#[memorize(cache_if = |v| *v % 2 == 0, skip(runs))]
async fn even(id: u32, runs: Runs) -> u32 {
    runs.begin();
    id
}

#[memorize(cache_if = |v: &Answer<u32>| v.as_ref().is_ok_and(|n| *n > limit), skip(runs))]
async fn above(id: u32, limit: u32, runs: Runs) -> Answer<u32> {
    runs.begin();
    let _ = limit;
    Ok(id)
}

fn is_long(text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| text.len() > 3)
}

#[memorize(cache_if = is_long, skip(runs))]
async fn long(text: &str, runs: Runs) -> Option<String> {
    runs.begin();
    Some(text.to_owned())
}

#[memorize(cache_if = |_| true, skip(runs))]
async fn always(runs: Runs) -> Option<u32> {
    runs.begin();
    None
}

#[tokio::test(start_paused = true)]
async fn cache_if_decides_on_the_whole_returned_value() {
    let runs = Runs::default();
    alone(async {
        assert_eq!(thrice(&runs, || even(2, runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || even(3, runs.clone())).await, 3);
        assert_eq!(thrice(&runs, || above(5, 4, runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || above(5, 5, runs.clone())).await, 3);
        assert_eq!(thrice(&runs, || long("long", runs.clone())).await, 1);
        assert_eq!(thrice(&runs, || long("no", runs.clone())).await, 3);
        assert_eq!(thrice(&runs, || always(runs.clone())).await, 3, "it narrows what is stored, it does not widen");
        even::put(7, 7).await.unwrap();
        even::put(8, 8).await.unwrap();
        assert_eq!(
            (even::peek(7).await.unwrap(), even::peek(8).await.unwrap()),
            (None, Some(8)),
            "put keeps the rules"
        );
    })
    .await;
}
