//! JSON that is serialised once.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::{Router, extract::State, http::StatusCode, routing};
use memory_core::{FmCacheHeadersLayer, FmJson, memorize};
use serde::{Deserialize, Serialize, Serializer};

use crate::{Runs, cache, get, support::redis_server::RedisServer};

static WRITTEN: AtomicU32 = AtomicU32::new(0);

/// Counts how often it is serialised.
#[derive(Debug, Deserialize)]
struct Counted {
    run: u32,
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Plain {
            run: u32,
        }
        WRITTEN.fetch_add(1, Ordering::SeqCst);
        Plain { run: self.run }.serialize(serializer)
    }
}

#[memorize(expire = 60)]
async fn counted(State(runs): State<Runs>) -> FmJson<Counted> {
    FmJson(Counted { run: runs.begin() })
}

#[memorize(expire = 60)]
async fn impossible(State(runs): State<Runs>) -> FmJson<Vec<std::collections::BTreeMap<Vec<u8>, u8>>> {
    runs.begin();
    FmJson(vec![[(vec![1], 2)].into()])
}

fn app(runs: &Runs, layer: memory_core::FmCacheLayer) -> Router {
    Router::new()
        .route("/counted", routing::get(counted))
        .route("/impossible", routing::get(impossible))
        .layer(FmCacheHeadersLayer::new())
        .layer(layer)
        .with_state(runs.clone())
}

#[tokio::test]
async fn a_value_is_serialised_once_wherever_it_is_stored() {
    let server = RedisServer::start();
    for cache in [cache(), crate::stores::shared(&server).await, crate::stores::tiered(&server).await] {
        let runs = Runs::default();
        let app = app(&runs, cache.layer());
        let before = WRITTEN.load(Ordering::SeqCst);
        let first = get(&app, "/counted").await;
        cache.settle().await;
        for _ in 0..5 {
            let again = get(&app, "/counted").await;
            assert_eq!((again.body.as_str(), again.header("x-fm-cache")), (r#"{"run":1}"#, "HIT"));
            assert_eq!(again.header("etag"), first.header("etag"));
        }
        assert_eq!((WRITTEN.load(Ordering::SeqCst) - before, runs.count()), (1, 1));
        cache.clear().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_cannot_be_json_is_an_error_and_is_not_stored() {
    let runs = Runs::default();
    let app = app(&runs, cache().layer());
    for run in 1..=2 {
        let answer = get(&app, "/impossible").await;
        assert_eq!((answer.status, answer.caching()), (StatusCode::INTERNAL_SERVER_ERROR, ("", "MISS")));
        assert_eq!(runs.count(), run);
    }
}

#[test]
fn it_is_its_value_to_everybody_else() {
    let json: FmJson<Vec<u8>> = vec![1, 2].into();
    assert_eq!((json.len(), json.clone()), (2, FmJson(vec![1, 2])));
    assert_eq!(serde_json::to_string(&(1, &json)).unwrap(), "[1,[1,2]]");
    assert_eq!(serde_json::from_str::<FmJson<Vec<u8>>>("[1,2]").unwrap(), json);
    assert_eq!(FmJson::bytes(&json).unwrap(), "[1,2]");
    assert_eq!(format!("{json:?}"), "FmJson([1, 2])");
    assert_eq!(FmJson::into_inner(json), [1, 2]);
}
