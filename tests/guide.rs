//! The guide, line by line: what its pages show compiles and does what they say.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Extension, Path, Query, State},
    http::StatusCode,
    response::IntoResponse,
    routing::get,
};
use memory_core::{
    CacheKey, FOREVER, FmBody, FmCache, FmCacheManager, FmClientError, FmError, FmHttpError, FmLru, FmMemoryBackend,
    FmResilientClient, RetryError, Retryable, cached_singleton, default_retry, exponential_backoff, fixed, fm_lru,
    is_retryable_error, memorize, random_between, retry, retry_on_error, retry_on_result, retry_on_status,
    stop_after_delay, stop_after_retries,
};
use memory_redis::FmRedisBackend;
use serde::{Deserialize, Serialize};

fn cache(prefix: &str) -> FmCache {
    FmCacheManager::builder(FmMemoryBackend::new()).prefix(prefix).build().unwrap()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

#[derive(Clone, Default)]
struct Db {
    queries: Arc<AtomicU32>,
}

impl Db {
    fn user(&self, id: u64) -> Option<User> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        (id < 100).then(|| User { id, name: format!("user {id}") })
    }
}

#[derive(Clone, Debug, thiserror::Error)]
enum AppError {
    #[error("no such user")]
    NotFound,
    #[error(transparent)]
    Cache(#[from] FmError),
}

impl IntoResponse for AppError {
    fn into_response(self) -> axum::response::Response {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::Cache(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

type AppResult<T> = std::result::Result<T, AppError>;

#[tokio::test]
async fn backends_and_managers_open_without_io() {
    let client = redis::Client::open("redis://127.0.0.1:1").unwrap();
    for backend in [FmRedisBackend::connect("redis://127.0.0.1:1").unwrap(), FmRedisBackend::from_client(client)] {
        FmCacheManager::builder(backend).prefix("app-cache").expire(300).jitter(0.1).build().unwrap();
    }
    FmCacheManager::builder(FmMemoryBackend::builder().max_entries(10_000).build()).prefix("a").build().unwrap();
    FmCacheManager::builder(FmMemoryBackend::builder().max_bytes(64 << 20).build()).prefix("a").build().unwrap();
    assert!(FmRedisBackend::connect("no url at all").is_err());
}

#[tokio::test]
async fn the_manager_is_one_for_the_process_and_a_second_init_replaces_it() {
    let first = FmCacheManager::init(FmMemoryBackend::new(), "app-cache").unwrap();
    FmCacheManager::set("loaderReport:SNF", vec![1]).expire(3600).await.unwrap();
    assert_eq!(first.get::<Vec<i32>>("loaderReport:SNF").await.unwrap(), Some(vec![1]));
    FmCacheManager::init(FmMemoryBackend::new(), "app-cache").unwrap();
    assert_eq!(FmCacheManager::get::<Vec<i32>>("loaderReport:SNF").await.unwrap(), None);
    assert!(!FmCacheManager::remove("loaderReport:SNF").await.unwrap());
    assert_eq!(FmCacheManager::clear().await.unwrap(), 0);
    assert_eq!(FmCacheManager::clear_namespace("reports").await.unwrap(), 0);
    let value = FmCacheManager::get_or_compute("k", || async { Ok::<u32, FmError>(1) }).expire(60).await;
    assert_eq!(value.unwrap(), 1);
    let snapshot = FmCacheManager::stats();
    assert!(snapshot.misses >= 1 && snapshot.errors == 0);
    FmCacheManager::settle().await;
}

#[memorize(expire = 60)]
async fn get_data() -> HashMap<String, u32> {
    HashMap::from([("hello".to_owned(), 1)])
}

#[memorize(expire = 60)]
async fn get_user(State(db): State<Db>, Path(id): Path<u64>) -> Result<Json<User>, AppError> {
    db.user(id).map(Json).ok_or(AppError::NotFound)
}

#[memorize(expire = 60)]
async fn by_alias(State(db): State<Db>, Path(id): Path<u64>) -> AppResult<Json<User>> {
    db.user(id).map(Json).ok_or(AppError::NotFound)
}

#[tokio::test]
async fn a_memorized_handler_stays_a_handler_and_only_ok_is_stored() {
    use tower::ServiceExt;
    let db = Db::default();
    let cache = cache("handlers");
    let router = Router::new()
        .route("/users/{id}", get(get_user))
        .route("/alias/{id}", get(by_alias))
        .layer(cache.layer())
        .with_state(db.clone());
    let status = async |path: &str| {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    for path in ["/users/7", "/alias/7"] {
        assert_eq!((status(path).await, status(path).await), (200, 200));
    }
    assert_eq!(db.queries.load(Ordering::SeqCst), 2);
    for path in ["/users/700", "/alias/700"] {
        assert_eq!((status(path).await, status(path).await), (404, 404));
    }
    assert_eq!(db.queries.load(Ordering::SeqCst), 6, "an Err is not stored, whatever alias Result hides behind");
}

#[tokio::test]
async fn companions_are_typed_and_take_the_arguments_of_the_key() {
    let db = Db::default();
    cache("companions")
        .scope(async {
            let user = User { id: 42, name: "primed".to_owned() };
            assert!(get_user::peek(42).await.unwrap().is_none());
            get_user::put(42, Ok(Json(user.clone()))).await.unwrap();
            assert_eq!(get_user(State(db.clone()), Path(42)).await.unwrap().0, user);
            assert!(matches!(get_user::peek(Path(42)).await.unwrap(), Some(Ok(Json(found))) if found == user));
            assert!(get_user::key(42).to_string().ends_with("get_user:42"), "{}", get_user::key(42));
            assert!(get_user::invalidate(42).await.unwrap());
            assert!(!get_user::invalidate(Path(42)).strict().await.unwrap());
            assert_eq!(get_user::refresh(State(db.clone()), Path(42)).await.unwrap().0.name, "user 42");
            assert_eq!(get_user::uncached(State(db.clone()), Path(42)).await.unwrap().0.name, "user 42");
            assert_eq!(db.queries.load(Ordering::SeqCst), 2);
            get_user::put(43, Err(AppError::NotFound)).await.unwrap();
            assert!(get_user::peek(43).await.unwrap().is_none(), "an Err is not stored by put either");
            assert_eq!(get_data().await["hello"], 1);
            assert!(get_data::invalidate().await.unwrap());
        })
        .await;
    let elsewhere = cache("elsewhere");
    assert!(!get_user::on(&elsewhere).invalidate(42).await.unwrap());
}

#[derive(Clone, CacheKey)]
struct CurrentUser {
    #[cache_key]
    id: u64,
    #[allow(dead_code)]
    session: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Page {
    page: u32,
}

static RUNS: AtomicU64 = AtomicU64::new(0);

fn run() -> u64 {
    RUNS.fetch_add(1, Ordering::SeqCst)
}

#[memorize(expire = 0.5, namespace = "orders")]
async fn orders(user: CurrentUser, Query(page): Query<Page>, Extension(tenant): Extension<String>) -> u64 {
    let _ = (user.id, page.page, tenant);
    run()
}

#[memorize(expire = Duration::from_secs(5), key = (id, lang), jitter = 0.1, version = 2)]
async fn greeting(id: u64, lang: &str, trace: String) -> String {
    format!("{id} {lang} {trace} {}", run())
}

#[memorize(expire = |v: &Option<u64>| if v.is_some() { 60 } else { 5 }, cache_none, skip(trace))]
async fn maybe(id: u64, trace: &str) -> Option<u64> {
    let _ = trace;
    run();
    (id > 0).then_some(id)
}

#[memorize(cache_if = |v: &u64| v.is_multiple_of(2), refresh_if = force)]
async fn even(force: bool) -> u64 {
    run()
}

#[memorize(cache_err, expire = FOREVER)]
async fn fails() -> Result<u64, String> {
    Err(format!("failure {}", run()))
}

#[memorize(memory_only, time_to_idle = 30)]
async fn not_serialisable() -> Arc<std::sync::Mutex<u64>> {
    Arc::new(std::sync::Mutex::new(run()))
}

#[memorize]
async fn load<T>(id: u64) -> T
where
    T: From<u64> + Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
{
    T::from(id + run())
}

#[memorize(name = "sum.of")]
fn sum(a: u64, b: u64) -> u64 {
    run();
    a + b
}

struct Repository {
    base: u64,
}

impl Repository {
    #[memorize(skip(self))]
    pub(crate) async fn total(&self, id: u64) -> u64 {
        self.base + id + run()
    }

    #[memorize]
    pub(crate) async fn shared(self: Arc<Self>, id: u64) -> u64
    where
        Self: Serialize,
    {
        self.base + id + run()
    }
}

impl Serialize for Repository {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.base)
    }
}

#[tokio::test(start_paused = true)]
async fn the_arguments_of_memorize_do_what_the_table_says() {
    cache("arguments")
        .scope(async {
            let user = |id| CurrentUser { id, session: format!("session {}", run()) };
            let page = |page| Query(Page { page });
            let first = orders(user(1), page(1), Extension("a".into())).await;
            assert_eq!(
                orders(user(1), page(1), Extension("a".into())).await,
                first,
                "only the marked field is the key"
            );
            assert_ne!(orders(user(2), page(1), Extension("a".into())).await, first);
            assert_ne!(orders(user(1), page(2), Extension("a".into())).await, first);
            assert_ne!(
                orders(user(1), page(1), Extension("b".into())).await,
                first,
                "Extension is keyed as its inside"
            );
            assert!(orders::invalidate(1, Page { page: 1 }, "a".to_owned()).await.unwrap());
            assert_eq!(FmCacheManager::clear_namespace("orders").await.unwrap(), 3);

            let hello = greeting(1, "en", "x".into()).await;
            assert_eq!(greeting(1, "en", "y".into()).await, hello);
            assert_ne!(greeting(1, "de", "x".into()).await, hello);
            assert!(greeting::invalidate(1, "en").await.unwrap());

            let before = run();
            assert_eq!((maybe(0, "a").await, maybe(0, "b").await), (None, None));
            assert_eq!(run(), before + 2, "a None is stored, and `trace` is not in the key");
            tokio::time::advance(Duration::from_secs(5)).await;
            maybe(0, "c").await;
            assert_eq!(run(), before + 4, "for five seconds, as the value decided");

            let mut value = even(false).await;
            while value % 2 == 1 {
                value = even(false).await;
            }
            assert_eq!(even(false).await, value);
            assert_ne!(even(true).await, value);

            assert_eq!(fails().await, fails().await);
            assert!(Arc::ptr_eq(&not_serialisable().await, &not_serialisable().await));
            assert_eq!(load::<u64>(1).await, load::<u64>(1).await);
            assert!(load::invalidate::<u64>(1).await.unwrap());
            assert_eq!((sum(1, 2), sum(1, 2)), (3, 3));
            assert!(sum::key(1, 2).to_string().ends_with("sum.of:1:2"), "{}", sum::key(1, 2));
            assert!(sum::invalidate(1, 2).unwrap());

            let repository = Repository { base: 1000 };
            assert_eq!(repository.total(1).await, Repository { base: 0 }.total(1).await, "self is skipped");
            assert!(Repository::total_invalidate(1).await.unwrap());
            let shared = Arc::new(Repository { base: 1 });
            assert_eq!(shared.clone().shared(1).await, shared.clone().shared(1).await);
        })
        .await;
}

#[derive(Debug, thiserror::Error, Retryable)]
enum UpstreamError {
    #[error("down")]
    #[retryable]
    Down,
    #[error("refused")]
    Refused,
    #[error(transparent)]
    Given(#[from] RetryError),
    #[error(transparent)]
    Cache(#[from] FmError),
}

fn is_down(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Down)
}

#[default_retry(attempts = 5, wait_min = 1, wait_max = 30, multiplier = 1, retry_on = is_down)]
async fn flaky(calls: Arc<AtomicU32>) -> Result<u32, UpstreamError> {
    match calls.fetch_add(1, Ordering::SeqCst) + 1 {
        call @ 1..4 => Err(if call == 99 { UpstreamError::Refused } else { UpstreamError::Down }),
        call => Ok(call),
    }
}

#[retry(
    stop = stop_after_retries(5) | stop_after_delay(60),
    wait = exponential_backoff(multiplier = 2, min = 2, max = 30) + random_between(0, 1),
    retry = retry_on_error(is_down),
    reraise = false,
)]
async fn always_down(calls: &AtomicU32) -> Result<u32, UpstreamError> {
    calls.fetch_add(1, Ordering::SeqCst);
    Err(UpstreamError::Down)
}

/// Of its own, as the tests run side by side.
static TRIES: AtomicU64 = AtomicU64::new(0);

fn tries() -> u64 {
    TRIES.fetch_add(1, Ordering::SeqCst)
}

#[memorize(expire = 60)]
#[default_retry(wait_min = 0.01)]
async fn cached_and_retried(id: u64) -> Result<u64, UpstreamError> {
    if tries().is_multiple_of(2) { Err(UpstreamError::Down) } else { Ok(id) }
}

#[default_retry(wait_min = 0.01)]
#[memorize(expire = 60)]
async fn retried_and_cached(id: u64) -> Result<u64, UpstreamError> {
    if tries().is_multiple_of(2) { Err(UpstreamError::Down) } else { Ok(id) }
}

#[tokio::test(start_paused = true)]
async fn retries_follow_their_blocks() {
    let calls = Arc::new(AtomicU32::new(0));
    let start = tokio::time::Instant::now();
    assert_eq!(flaky(calls).await.unwrap(), 4);
    assert_eq!(start.elapsed(), Duration::from_secs(1 + 2 + 4));
    let calls = AtomicU32::new(0);
    let error = always_down(&calls).await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Given(given) if given.attempts() == 5), "{error:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 5);
    let by_hand = retry()
        .stop(stop_after_retries(3))
        .wait(exponential_backoff().multiplier(2).min(2).max(30))
        .when(retry_on_error(is_down))
        .run(|| async { Err::<(), _>(UpstreamError::Down) });
    assert!(by_hand.await.is_err());
    let polled = AtomicU32::new(0);
    let last = retry()
        .stop(stop_after_retries(3))
        .wait(fixed(1))
        .when(retry_on_result(|done: &bool| !*done))
        .run(|| async { Ok::<bool, UpstreamError>(polled.fetch_add(1, Ordering::SeqCst) > 5) });
    assert!(!last.await.unwrap(), "exhausted by a result gives the last one");
    let _ = retry_on_status([408, 425, 429]);
    assert!(is_retryable_error(&std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
    cache("retried")
        .scope(async {
            assert_eq!(cached_and_retried(5).await.unwrap(), 5);
            assert_eq!(retried_and_cached(5).await.unwrap(), 5);
            let before = tries();
            assert_eq!((cached_and_retried(5).await.unwrap(), retried_and_cached(5).await.unwrap()), (5, 5));
            assert_eq!(tries(), before + 1, "both came from the cache");
        })
        .await;
}

struct Settings {
    name: &'static str,
}

#[cached_singleton]
fn get_settings() -> Settings {
    Settings { name: "once" }
}

#[cached_singleton]
async fn get_pool() -> Result<String, std::io::Error> {
    Ok("pool".to_owned())
}

#[fm_lru(maxsize = 2)]
fn get_config(name: &str) -> String {
    name.to_uppercase()
}

#[tokio::test]
async fn singletons_and_lru() {
    let settings: &'static Settings = get_settings();
    assert_eq!(settings.name, "once");
    let pool: Result<&'static String, std::io::Error> = get_pool().await;
    assert_eq!(pool.unwrap(), "pool");
    for name in ["a", "a", "b", "c"] {
        get_config(name);
    }
    let info = get_config::cache_info();
    assert_eq!((info.hits, info.misses, info.maxsize, info.currsize), (1, 3, Some(2), 2));
    get_config::cache_clear();
    let store: FmLru<u32, u32> = FmLru::new(None);
    assert_eq!(store.cache_info().maxsize, None);
}

#[tokio::test]
async fn the_client_speaks_to_an_upstream() {
    let app = Router::new()
        .route("/data", get(|| async { Json(User { id: 1, name: "one".into() }) }))
        .route("/text", get(|| async { "plain" }))
        .route("/missing", get(|| async { StatusCode::NOT_FOUND }))
        .route("/items", axum::routing::post(|Json(user): Json<User>| async move { Json(user.id) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let upstream = FmResilientClient::builder()
        .base_url(format!("http://{address}"))
        .timeout(30)
        .retry_attempts(5)
        .retry_wait_min(1)
        .retry_wait_max(30)
        .max_connections(20)
        .max_keepalive_connections(10)
        .verify(true)
        .build()
        .unwrap();
    upstream.start().await.unwrap();
    let user: User = upstream.get_json("data").await.unwrap();
    let raw = upstream.get_raw("text").query([("q", "1")]).header("x-trace", "1").timeout(5).await.unwrap();
    assert!(matches!(raw, FmBody::Text(text) if text == "plain"));
    let id: u64 = upstream.post_json("items", &user).idempotency_key("k-1").await.unwrap();
    assert_eq!(id, user.id);
    let error: FmHttpError = upstream.get_json::<User>("missing").await.unwrap_err();
    assert_eq!(error.into_response().status(), StatusCode::NOT_FOUND);
    let error = upstream.get_raw("missing").await.unwrap_err();
    assert!(matches!(error, FmClientError::Status(_)), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
    // The `reqwest` that errors are judged by works out of the box, too.
    let plain = memory_core::reqwest::Client::new();
    assert_eq!(plain.get(format!("http://{address}/text")).send().await.unwrap().text().await.unwrap(), "plain");
    upstream.aclose().await;
    assert!(matches!(upstream.get_raw("data").await, Err(FmClientError::Closed)));
    upstream.start().await.unwrap();
    upstream.get_json::<User>("data").await.unwrap();
    let fails =
        async || -> Result<User, FmError> { Ok(FmResilientClient::new("http://127.0.0.1:1")?.get_json("..").await?) };
    assert!(fails().await.is_err());
}

/// Each promise of the README names a test, and that test exists where it says.
#[test]
fn every_promise_of_the_readme_is_linked_to_its_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, table) = readme.split_once("| When … |").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 40, "{}", rows.len());
    for row in rows {
        let proof = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let links: Vec<(&str, &str)> = proof.split('[').skip(1).filter_map(link).collect();
        assert!(!links.is_empty(), "no test is named: {row}");
        for (name, file) in links {
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let is_test = name.starts_with('`') && name.contains('_') && !name.contains('.') && file.ends_with(".rs");
            assert!(!is_test || text.contains(&format!("fn {}(", name.trim_matches('`'))), "{name} is not in {file}");
        }
    }
}

// Input: `name`](file), …
fn link(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once("](")?;
    Some((name, rest.split_once(')')?.0))
}
