//! Axum handlers, called through a real router.

use std::sync::Arc;

use axum::{
    Extension, Form, Json, Router,
    body::Body,
    extract::{FromRequestParts, Path, Query, State},
    http::{HeaderMap, Method, Request, StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use memory_core::{CacheKey, FmCache, FmError, memorize};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

use crate::{Runs, cache};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    run: u32,
}

#[derive(Debug)]
enum AppError {
    NotFound,
    Shared(FmError),
}

impl From<FmError> for AppError {
    fn from(error: FmError) -> Self {
        Self::Shared(error)
    }
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::Shared(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AppError {}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::Shared(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

type Answer<T> = Result<Json<T>, AppError>;

#[memorize(expire = 60)]
async fn get_user(State(runs): State<Runs>, Path(id): Path<u64>) -> Answer<User> {
    let run = runs.begin();
    if id == 0 { Err(AppError::NotFound) } else { Ok(Json(User { id, run })) }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Page {
    from: u32,
    size: Option<u32>,
}

#[derive(Clone, Serialize)]
struct Tenant(String);

#[memorize(skip(headers))]
async fn list(
    State(runs): State<Runs>,
    Extension(Tenant(tenant)): Extension<Tenant>,
    Path((team, member)): Path<(String, u8)>,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Json<Vec<String>> {
    let run = runs.begin();
    Json(vec![run.to_string(), tenant, team, member.to_string(), page.from.to_string(), headers.len().to_string()])
}

#[memorize]
async fn search(State(runs): State<Runs>, Query(page): Query<Page>, Json(words): Json<Vec<String>>) -> Json<u32> {
    let _ = (page, words);
    Json(runs.begin())
}

#[memorize]
async fn submit(state: State<Runs>, Form(page): Form<Page>) -> Json<u32> {
    Json(state.0.begin() + page.from)
}

/// Who asks, taken from a header by an extractor of the service's own.
#[derive(CacheKey)]
struct CurrentUser {
    #[cache_key]
    name: String,
    _session: String,
}

impl<S: Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let header =
            |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let name = header("user");
        if name.is_empty() { Err(StatusCode::UNAUTHORIZED) } else { Ok(Self { name, _session: header("session") }) }
    }
}

#[memorize]
async fn orders(State(runs): State<Runs>, user: CurrentUser) -> String {
    format!("{} {}", user.name, runs.begin())
}

fn app(cache: &FmCache, runs: &Runs, tenant: &str) -> Router {
    Router::new()
        .route("/users/{id}", get(get_user))
        .route("/teams/{team}/{member}", get(list))
        .route("/search", post(search))
        .route("/submit", post(submit))
        .route("/orders", get(orders))
        .layer(Extension(Tenant(tenant.to_owned())))
        .layer(cache.layer())
        .with_state(runs.clone())
}

async fn send(app: &Router, request: Request<Body>) -> (StatusCode, String) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn ask(app: &Router, uri: &str) -> (StatusCode, String) {
    send(app, Request::get(uri).body(Body::empty()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_handler_answers_from_the_cache_and_its_errors_are_not_stored() {
    let (runs, cache) = (Runs::default(), cache());
    let app = app(&cache, &runs, "acme");
    for _ in 0..3 {
        assert_eq!(ask(&app, "/users/7").await, (StatusCode::OK, r#"{"id":7,"run":1}"#.to_owned()));
    }
    assert_eq!(runs.take(), 1);
    for _ in 0..3 {
        assert_eq!(ask(&app, "/users/0").await.0, StatusCode::NOT_FOUND);
    }
    assert_eq!(runs.take(), 3);
    assert_eq!(ask(&app, "/users/seven").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(runs.take(), 0);
}

#[tokio::test(start_paused = true)]
async fn companions_of_a_handler_take_extractors_or_their_inside_and_no_state() {
    let (runs, cache) = (Runs::default(), cache());
    let app = app(&cache, &runs, "acme");
    ask(&app, "/users/7").await;
    let user = User { id: 7, run: 1 };
    cache
        .scope(async {
            let stored: Option<Answer<User>> = get_user::peek(7).await.unwrap();
            assert_eq!(stored.unwrap().unwrap().0, user);
            assert!(get_user::invalidate(Path(7)).await.unwrap());
            get_user::put(7, Ok(Json(User { id: 7, run: 99 }))).await.unwrap();
            get_user::put(8, Err(AppError::NotFound)).await.unwrap();
            assert!(get_user::peek(Path(8)).await.unwrap().is_none());
            assert_eq!(get_user::key(7), get_user::key(Path(7)));
        })
        .await;
    assert_eq!(ask(&app, "/users/7").await.1, r#"{"id":7,"run":99}"#);
    let refreshed = cache.scope(get_user::refresh(State(runs.clone()), Path(7))).await.unwrap();
    assert_eq!(refreshed.0, User { id: 7, run: 2 });
    assert_eq!(ask(&app, "/users/7").await.1, r#"{"id":7,"run":2}"#);
    let uncached = cache.scope(get_user::uncached(State(runs.clone()), Path(7))).await.unwrap();
    assert_eq!(uncached.0.run, 3);
    assert_eq!(ask(&app, "/users/7").await.1, r#"{"id":7,"run":2}"#);
}

#[tokio::test(start_paused = true)]
async fn every_extractor_counts_by_its_inside_but_state_never_does() {
    let (runs, cache) = (Runs::default(), cache());
    let acme = app(&cache, &runs, "acme");
    let other_tenant = app(&cache, &runs, "other");
    let other_state = app(&cache, &Runs::default(), "acme");
    let first = ask(&acme, "/teams/red/1?from=2").await;
    assert_eq!(first.1, r#"["1","acme","red","1","2","0"]"#);
    let with_header = Request::get("/teams/red/1?from=2").header("x", "y").body(Body::empty()).unwrap();
    assert_eq!(send(&acme, with_header).await, first, "skipped");
    assert_eq!(ask(&other_state, "/teams/red/1?from=2").await, first, "State is never part of the key");
    for (app, uri) in [
        (&other_tenant, "/teams/red/1?from=2"),
        (&acme, "/teams/red/1?from=3"),
        (&acme, "/teams/red/1?from=2&size=2"),
        (&acme, "/teams/red/2?from=2"),
        (&acme, "/teams/blue/1?from=2"),
    ] {
        assert_ne!(ask(app, uri).await, first, "{uri}");
    }
    assert_eq!(runs.take(), 6);
    let page = || Page { from: 2, size: None };
    let red = || ("red".to_owned(), 1);
    cache
        .scope(async {
            assert!(list::peek(Tenant("acme".to_owned()), red(), page()).await.unwrap().is_some());
            assert!(list::invalidate(Extension(Tenant("acme".to_owned())), Path(red()), Query(page())).await.unwrap());
            assert!(list::peek(Tenant("other".to_owned()), red(), page()).await.unwrap().is_some());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn bodies_are_part_of_the_key_too() {
    let (runs, cache) = (Runs::default(), cache());
    let app = app(&cache, &runs, "acme");
    let post = |uri: &str, kind: &str, body: &str| {
        Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header("content-type", kind)
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let json = |uri: &str, body: &str| post(uri, "application/json", body);
    let form = |body: &str| post("/submit", "application/x-www-form-urlencoded", body);
    assert_eq!(send(&app, json("/search?from=1", r#"["a"]"#)).await.1, "1");
    assert_eq!(send(&app, json("/search?from=1", r#"[ "a" ]"#)).await.1, "1");
    assert_eq!(send(&app, json("/search?from=2", r#"["a"]"#)).await.1, "2");
    assert_eq!(send(&app, json("/search?from=1", r#"["b"]"#)).await.1, "3");
    assert_eq!(send(&app, form("from=0")).await.1, "4");
    assert_eq!(send(&app, form("from=0")).await.1, "4");
    assert_eq!(send(&app, form("from=1")).await.1, "6");
}

#[tokio::test(start_paused = true)]
async fn an_extractor_of_the_service_s_own_is_keyed_by_its_marked_fields() {
    let (runs, cache) = (Runs::default(), cache());
    let app = app(&cache, &runs, "acme");
    let request = |user: &str, session: &str| {
        Request::get("/orders").header("user", user).header("session", session).body(Body::empty()).unwrap()
    };
    assert_eq!(send(&app, request("ann", "1")).await.1, "ann 1");
    assert_eq!(send(&app, request("ann", "2")).await.1, "ann 1");
    assert_eq!(send(&app, request("bob", "2")).await.1, "bob 2");
    assert_eq!(ask(&app, "/orders").await.0, StatusCode::UNAUTHORIZED);
    assert!(cache.scope(async { orders::invalidate("ann".to_owned()).await }).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn cache_layer_gives_each_router_its_own_cache() {
    let runs = Runs::default();
    let (one, two) = (cache(), cache());
    let (first, second) = (app(&one, &runs, "acme"), app(&two, &runs, "acme"));
    for _ in 0..2 {
        assert_eq!(ask(&first, "/users/7").await.1, r#"{"id":7,"run":1}"#);
        assert_eq!(ask(&second, "/users/7").await.1, r#"{"id":7,"run":2}"#);
    }
    assert_eq!((one.stats().hits, two.stats().hits), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_disconnects_does_not_take_the_run_with_it() {
    #[memorize]
    async fn slow(State(runs): State<Arc<Runs>>) -> Json<u32> {
        tokio::time::sleep(crate::seconds(1)).await;
        Json(runs.begin())
    }
    let (runs, cache) = (Arc::new(Runs::default()), cache());
    let app = Router::new().route("/", get(slow)).layer(cache.layer()).with_state(runs.clone());
    let call = |app: Router| app.oneshot(Request::get("/").body(Body::empty()).unwrap());
    assert!(
        tokio::time::timeout(crate::seconds(0) + std::time::Duration::from_millis(500), call(app.clone()))
            .await
            .is_err()
    );
    let start = tokio::time::Instant::now();
    assert_eq!(ask(&app, "/").await.1, "1");
    assert_eq!(start.elapsed(), std::time::Duration::from_millis(500));
    assert_eq!(runs.take(), 1);
}
