//! Stale responses: answered behind a refresh (`stale-while-revalidate`), and in the place of errors (`stale-if-error`; RFC 5861).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use memory_core::{FmCache, FmMemoryBackend, FmResponseCacheLayer, FmResponseCacheService};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

/// What an origin answers with: a status, fields, a body; `Err`: it is gone.
type Act = Result<(u16, &'static [(&'static str, &'static str)], &'static str), &'static str>;

/// An origin that works through a script, whose last act repeats, and a cache before it.
struct Stage {
    cache: FmCache,
    service: FmResponseCacheService<BoxCloneSyncService<Request, Response, &'static str>>,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    /// One permit is an answer.
    gate: Arc<Semaphore>,
}

/// How a response came, and its body.
type Came = (String, StatusCode, String);

impl Stage {
    /// The first act is played.
    async fn open(script: &[Act]) -> Self {
        Self::with(script, |layer| layer).await
    }

    async fn with(script: &[Act], change: impl FnOnce(FmResponseCacheLayer) -> FmResponseCacheLayer) -> Self {
        let cache = FmCache::builder(FmMemoryBackend::new()).prefix("stale").build().unwrap();
        let (seen, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(1)));
        let (noted, opened, script) = (Arc::clone(&seen), Arc::clone(&gate), script.to_vec());
        let origin = tower::service_fn(move |request: Request| {
            let number = {
                let mut seen = noted.lock().unwrap();
                seen.push(request.headers().clone());
                seen.len() - 1
            };
            let (gate, act) = (Arc::clone(&opened), script[number.min(script.len() - 1)]);
            async move {
                gate.acquire().await.unwrap().forget();
                let (status, fields, body) = act?;
                let response = Response::builder().status(status);
                let add = |response: axum::http::response::Builder, (name, value): &(&str, &str)| {
                    response.header(*name, *value)
                };
                Ok(fields.iter().fold(response, add).body(Body::from(body)).unwrap())
            }
        });
        let layer = change(FmResponseCacheLayer::new().cache(&cache));
        let stage = Self { service: layer.layer(BoxCloneSyncService::new(origin)), cache, seen, gate };
        stage.ask().await;
        stage
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn header(&self, number: usize, name: &str) -> Option<String> {
        self.seen.lock().unwrap()[number].get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    async fn ask(&self) -> Came {
        self.ask_with("GET", &[]).await.unwrap()
    }

    async fn ask_with(&self, method: &str, fields: &[(&str, &str)]) -> Result<Came, &'static str> {
        let mut request = Request::builder().method(method).uri("/").header("host", "shop.test");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut service = self.service.clone();
        let response = service.ready().await?.call(request.body(Body::empty()).unwrap()).await?;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 100).await.unwrap();
        Ok((
            head.headers["x-fm-cache"].to_str().unwrap().to_owned(),
            head.status,
            String::from_utf8(body.to_vec()).unwrap(),
        ))
    }

    /// Lets the origin answer once, and waits until what is behind has ended.
    async fn let_answer(&self) {
        self.gate.add_permits(1);
        while self.gate.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        self.settle().await;
    }

    /// Lets all tasks come to where they wait.
    async fn settle(&self) {
        self.cache.settle().await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

fn came(how: &str, status: u16, body: &str) -> Came {
    (how.to_owned(), StatusCode::from_u16(status).unwrap(), body.to_owned())
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

const WHILE: &[(&str, &str)] = &[("cache-control", "max-age=10, stale-while-revalidate=30"), ("etag", "\"v1\"")];
const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=10")];
const ON_ERROR: &[(&str, &str)] = &[("cache-control", "max-age=10, stale-if-error=30")];

#[tokio::test(start_paused = true)]
async fn a_stale_response_is_answered_while_one_request_refreshes_it() {
    let stage = Stage::open(&[Ok((200, WHILE, "old")), Ok((200, FRESH, "new"))]).await;
    pass(9).await;
    assert_eq!((stage.ask().await, stage.seen()), (came("HIT", 200, "old"), 1));
    pass(2).await;
    for _ in 0..20 {
        assert_eq!(stage.ask().await, came("STALE", 200, "old"), "a client waited");
        stage.settle().await;
    }
    assert_eq!(stage.seen(), 2, "more than one refresh");
    stage.let_answer().await;
    assert_eq!((stage.ask().await, stage.seen()), (came("HIT", 200, "new"), 2));
}

#[tokio::test(start_paused = true)]
async fn past_the_window_the_client_waits() {
    for (seconds, how, body) in [(39, "STALE", "old"), (40, "MISS", "new")] {
        let stage = Stage::open(&[Ok((200, WHILE, "old")), Ok((200, FRESH, "new"))]).await;
        pass(seconds).await;
        stage.gate.add_permits(1);
        assert_eq!(stage.ask().await, came(how, 200, body), "after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_conditional_carries_the_clients_fields_and_a_304_renews() {
    let stage = Stage::open(&[Ok((200, WHILE, "old")), Ok((304, FRESH, ""))]).await;
    pass(11).await;
    assert_eq!(stage.ask_with("GET", &[("x-trace", "7")]).await, Ok(came("STALE", 200, "old")));
    stage.let_answer().await;
    assert_eq!(
        (stage.header(1, "if-none-match"), stage.header(1, "x-trace")),
        (Some("\"v1\"".into()), Some("7".into()))
    );
    pass(9).await;
    assert_eq!((stage.ask().await, stage.seen()), (came("HIT", 200, "old"), 2));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_leaves_what_is_there_and_is_tried_again() {
    for failure in [Ok((503, &[][..], "no")), Err("gone")] {
        let script = [Ok((200, WHILE, "old")), failure, Ok((200, FRESH, "new"))];
        let stage = Stage::open(&script).await;
        pass(11).await;
        for expected in [came("STALE", 200, "old"), came("STALE", 200, "old"), came("HIT", 200, "new")] {
            assert_eq!(stage.ask().await, expected);
            if expected.0 == "STALE" {
                stage.settle().await;
                stage.let_answer().await;
            }
        }
        assert_eq!(stage.seen(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_forbids_stale_answers_is_not_refreshed_behind() {
    const MUST: &[(&str, &str)] = &[("cache-control", "max-age=10, stale-while-revalidate=30, must-revalidate")];
    const NO: &[(&str, &str)] =
        &[("cache-control", "no-cache, max-age=10, stale-while-revalidate=30"), ("etag", "\"x\"")];
    for fields in [MUST, NO] {
        let stage = Stage::open(&[Ok((200, fields, "old")), Ok((200, FRESH, "new"))]).await;
        pass(11).await;
        stage.gate.add_permits(1);
        assert_eq!(stage.ask().await, came("MISS", 200, "new"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_invalidated_while_it_is_refreshed_is_not_stored() {
    let stage =
        Stage::open(&[Ok((200, WHILE, "old")), Ok((200, FRESH, "read before the change")), Ok((200, FRESH, "new"))])
            .await;
    pass(11).await;
    stage.ask().await;
    stage.settle().await;
    assert_eq!(stage.seen(), 2);
    stage.cache.clear_namespace("http").await.unwrap();
    stage.let_answer().await;
    stage.gate.add_permits(1);
    assert_eq!((stage.ask().await, stage.seen()), (came("MISS", 200, "new"), 3));
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_stands_in_for_errors_as_long_as_it_says() {
    for status in [500, 502, 503, 504] {
        let stage = Stage::open(&[Ok((200, ON_ERROR, "old")), Ok((status, &[], "no"))]).await;
        stage.gate.add_permits(10);
        pass(11).await;
        assert_eq!((stage.ask().await, stage.seen()), (came("STALE", 200, "old"), 2));
        pass(28).await;
        assert_eq!((stage.ask().await, stage.seen()), (came("STALE", 200, "old"), 3), "it is asked each time");
        pass(1).await;
        assert_eq!(stage.ask().await, came("MISS", status, "no"), "the window is over");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_client_did_wrong_is_no_error_of_the_origin() {
    let stage = Stage::open(&[Ok((200, ON_ERROR, "old")), Ok((404, &[], "gone"))]).await;
    stage.gate.add_permits(1);
    pass(11).await;
    assert_eq!(stage.ask().await, came("MISS", 404, "gone"));
}

#[tokio::test(start_paused = true)]
async fn an_error_passes_where_nothing_says_otherwise_and_a_client_can_say_so() {
    let stage = Stage::open(&[Ok((200, FRESH, "old")), Ok((503, &[], "no"))]).await;
    stage.gate.add_permits(3);
    pass(11).await;
    assert_eq!(stage.ask().await, came("MISS", 503, "no"));
    let wish = [("cache-control", "stale-if-error=5")];
    assert_eq!(stage.ask_with("GET", &wish).await, Ok(came("STALE", 200, "old")));
    pass(5).await;
    assert_eq!(stage.ask_with("GET", &wish).await, Ok(came("MISS", 503, "no")));
}

#[tokio::test(start_paused = true)]
async fn for_a_dead_origin_a_response_stands_in_as_long_as_it_says_or_is_kept() {
    const SAYS: &[Act] = &[Ok((200, ON_ERROR, "old")), Err("gone")];
    const SAYS_NOTHING: &[Act] = &[Ok((200, FRESH, "old")), Err("gone")];
    for (script, least) in [(SAYS, 30), (SAYS_NOTHING, 60)] {
        let stage = Stage::with(script, |layer| layer.keep_stale(Duration::from_secs(60))).await;
        stage.gate.add_permits(10);
        pass(10 + least - 1).await;
        assert_eq!(stage.ask().await, came("STALE", 200, "old"));
        assert_eq!(stage.ask_with("HEAD", &[]).await, Ok(came("STALE", 200, "")));
        pass(1).await;
        assert_eq!(stage.ask_with("GET", &[]).await, Err("gone"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_forbids_stale_answers_does_not_stand_in() {
    const MUST: &[(&str, &str)] = &[("cache-control", "max-age=10, stale-if-error=30, must-revalidate")];
    let stage = Stage::open(&[Ok((200, MUST, "old")), Ok((503, &[], "no"))]).await;
    stage.gate.add_permits(1);
    pass(11).await;
    assert_eq!(stage.ask().await, came("MISS", 503, "no"));
}
