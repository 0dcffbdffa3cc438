//! What must never be shared or stored.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::any,
};
use memory_core::{FmCache, FmMemoryBackend, FmResponseCacheLayer};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt};

type Fields = Vec<(&'static str, String)>;

/// A handler that answers each request with its number and what it saw, and the fields that a test gives it.
#[derive(Clone)]
struct Handler {
    runs: Arc<AtomicU32>,
    fields: Arc<dyn Fn(&Request) -> Fields + Send + Sync>,
    status: StatusCode,
}

impl Handler {
    fn new(fields: &'static [(&'static str, &'static str)]) -> Self {
        let fields = move |_: &Request| fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { runs: Arc::default(), fields: Arc::new(fields), status: StatusCode::OK }
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

impl Service<Request> for Handler {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        let mut response = Response::builder().status(self.status);
        for (name, value) in (self.fields)(&request) {
            response = response.header(name, value);
        }
        ready(Ok(response.body(Body::from(format!("run {run}"))).unwrap()))
    }
}

fn layer() -> FmResponseCacheLayer {
    let cache = FmCache::builder(FmMemoryBackend::new()).prefix("leaks").build().unwrap();
    FmResponseCacheLayer::new().cache(&cache)
}

async fn ask<S>(service: &S, method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone,
{
    let mut request = Request::builder().method(method).uri(path).header("host", "shop.test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = service.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

fn get(path: &str) -> Request {
    Request::builder().uri(path).header("host", "shop.test").body(Body::empty()).unwrap()
}

/// How often the handler runs for these requests, each asked twice in a row.
async fn runs(handler: Handler, path: &str, users: &[&[(&str, &str)]]) -> u32 {
    let service = layer().layer(handler.clone());
    for headers in users.iter().flat_map(|headers| [headers, headers]) {
        ask(&service, "GET", path, headers).await;
    }
    handler.runs()
}

#[tokio::test]
async fn a_plain_response_is_shared_or_these_tests_would_show_nothing() {
    assert_eq!(runs(Handler::new(&[("cache-control", "max-age=60")]), "/", &[&[], &[]]).await, 1);
}

#[tokio::test]
async fn users_with_tokens_get_their_own_unless_it_is_for_everybody() {
    let users: [&[_]; 3] = [&[("authorization", "Bearer a")], &[("authorization", "Bearer b")], &[]];
    assert_eq!(runs(Handler::new(&[("cache-control", "max-age=60")]), "/me", &users).await, 5);
    assert_eq!(runs(Handler::new(&[("cache-control", "private, max-age=60")]), "/me", &users).await, 6);
    assert_eq!(runs(Handler::new(&[("cache-control", "public, max-age=60")]), "/", &users).await, 1);
}

#[tokio::test]
async fn keys_and_users_named_by_a_proxy_are_tokens_too() {
    for name in ["x-api-key", "X-Auth-Token", "proxy-authorization", "x-forwarded-user", "cf-access-jwt-assertion"] {
        let users: [&[_]; 3] = [&[(name, "a")], &[(name, "b")], &[]];
        assert_eq!(runs(Handler::new(&[("cache-control", "max-age=60")]), "/me", &users).await, 5, "{name}");
        assert_eq!(runs(Handler::new(&[("cache-control", "public, max-age=60")]), "/", &users).await, 1, "{name}");
    }
}

#[tokio::test]
async fn users_with_cookies_get_their_own_unless_it_is_for_everybody() {
    let users: [&[_]; 3] = [&[("cookie", "session=a")], &[("cookie", "session=b")], &[]];
    assert_eq!(runs(Handler::new(&[("cache-control", "max-age=60")]), "/me", &users).await, 5);
    assert_eq!(runs(Handler::new(&[("cache-control", "max-age=60"), ("vary", "Cookie")]), "/me", &users).await, 3);
    assert_eq!(runs(Handler::new(&[("cache-control", "s-maxage=60")]), "/", &users).await, 1);
}

#[tokio::test]
async fn a_visitors_response_is_not_for_a_user() {
    let handler = Handler::new(&[("cache-control", "max-age=60")]);
    let service = layer().layer(handler);
    assert_eq!(ask(&service, "GET", "/", &[]).await.2, "run 1");
    assert_eq!(ask(&service, "GET", "/", &[("cookie", "session=a")]).await.2, "run 2");
    assert_eq!(ask(&service, "GET", "/", &[]).await.2, "run 1");
}

#[tokio::test]
async fn what_sets_a_cookie_is_not_stored() {
    let sets = |control: &'static str| {
        let fields =
            move |_: &Request| vec![("cache-control", control.to_owned()), ("set-cookie", "session=a".to_owned())];
        Handler { fields: Arc::new(fields), ..Handler::new(&[]) }
    };
    for control in ["max-age=60", "public, max-age=60", "s-maxage=60"] {
        assert_eq!(runs(sets(control), "/", &[&[]]).await, 2, "{control}");
    }
    // Unless it says that the rest may be stored.
    let service = layer().layer(sets("max-age=60, private=\"set-cookie\""));
    assert!(ask(&service, "GET", "/", &[]).await.1.contains_key("set-cookie"));
    let (_, headers, body) = ask(&service, "GET", "/", &[]).await;
    assert!(body == "run 1" && !headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn variants_by_language_and_encoding_are_apart() {
    let handler = Handler::new(&[("cache-control", "max-age=60"), ("vary", "Accept-Language, Accept-Encoding")]);
    let users: [&[_]; 5] = [
        &[("accept-language", "de")],
        &[("accept-language", "en")],
        &[("accept-language", "de"), ("accept-encoding", "gzip")],
        &[("accept-encoding", "gzip")],
        &[],
    ];
    assert_eq!(runs(handler.clone(), "/", &users).await, 5);
    assert_eq!(runs(Handler::new(&[("cache-control", "max-age=60"), ("vary", "*")]), "/", &users).await, 10);
}

#[tokio::test]
async fn a_page_that_looks_like_a_file_is_no_file() {
    let handler = Handler::new(&[("content-type", "text/html")]);
    assert_eq!(runs(handler, "/me/x.css", &[&[("cookie", "session=a")], &[]]).await, 4);
}

#[tokio::test]
async fn overrides_of_method_and_path_pass_the_cache_by() {
    for name in ["x-http-method-override", "x-method-override", "x-http-method", "x-original-url", "x-rewrite-url"] {
        let handler = Handler::new(&[("cache-control", "max-age=60")]);
        let service = layer().layer(handler.clone());
        let (_, headers, _) = ask(&service, "GET", "/", &[(name, "/admin")]).await;
        assert_eq!(headers["x-fm-cache"], "BYPASS");
        assert_eq!(ask(&service, "GET", "/", &[]).await.2, "run 2", "{name} was stored");
        assert_eq!(ask(&service, "GET", "/", &[(name, "/admin")]).await.2, "run 3", "{name} was answered");
    }
}

#[tokio::test]
async fn fields_that_a_proxy_sets_select() {
    let names =
        ["x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix", "forwarded", "x-host", "x-original-host"];
    for name in names {
        let users: [&[_]; 2] = [&[(name, "evil.test")], &[]];
        assert_eq!(runs(Handler::new(&[("cache-control", "max-age=60")]), "/", &users).await, 2, "{name}");
    }
}

#[tokio::test]
async fn hosts_are_apart_and_an_unreadable_one_is_not_stored() {
    let handler = Handler::new(&[("cache-control", "max-age=60")]);
    let service = layer().layer(handler.clone());
    for host in ["a.test", "b.test", "a.test/x", "a.test/x"] {
        let request = Request::builder().uri("/").header("host", host).body(Body::empty()).unwrap();
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(handler.runs(), 4);
}

#[tokio::test]
async fn two_hosts_in_one_request_pass_the_cache_by() {
    let handler = Handler::new(&[("cache-control", "max-age=60")]);
    let service = layer().layer(handler.clone());
    let to = |host: &str| {
        let request = Request::builder().uri("http://shop.test/").header("host", host).body(Body::empty()).unwrap();
        service.clone().oneshot(request)
    };
    for expected in ["BYPASS", "BYPASS"] {
        assert_eq!(to("evil.test").await.unwrap().headers()["x-fm-cache"], expected);
    }
    for expected in ["MISS", "HIT"] {
        assert_eq!(to("Shop.test").await.unwrap().headers()["x-fm-cache"], expected);
    }
}

#[tokio::test]
async fn nested_routers_do_not_mix_up_their_paths() {
    let handler = Handler::new(&[("cache-control", "max-age=60")]);
    let layer = layer();
    let nest = || Router::new().route("/x", any(answer)).layer(layer.clone());
    async fn answer(uri: axum::extract::OriginalUri) -> ([(&'static str, &'static str); 1], String) {
        ([("cache-control", "max-age=60")], uri.0.path().to_owned())
    }
    let router = Router::new().nest("/a", nest()).nest("/b", nest());
    for path in ["/a/x", "/b/x", "/a/x"] {
        assert_eq!(ask(&router, "GET", path, &[]).await.2, path);
    }
    assert_eq!(handler.runs(), 0);
}

#[tokio::test]
async fn an_error_page_is_stored_only_where_it_says_so() {
    for status in [400, 404, 413, 500, 502] {
        let status = StatusCode::from_u16(status).unwrap();
        let quiet = Handler { status, ..Handler::new(&[("etag", "\"x\"")]) };
        assert_eq!(runs(quiet, "/", &[&[("x-evil", "1")], &[]]).await, 4, "{status}");
        let explicit = Handler { status, ..Handler::new(&[("cache-control", "max-age=60")]) };
        assert_eq!(runs(explicit, "/", &[&[]]).await, 1, "{status}");
    }
}

#[tokio::test]
async fn huge_headers_and_lengths_at_odds_are_not_stored() {
    let huge = |_: &Request| vec![("cache-control", "max-age=60".to_owned()), ("x-huge", "x".repeat(70_000))];
    assert_eq!(runs(Handler { fields: Arc::new(huge), ..Handler::new(&[]) }, "/", &[&[]]).await, 2);
    let two = Handler::new(&[("cache-control", "max-age=60"), ("content-length", "5"), ("content-length", "6")]);
    assert_eq!(runs(two, "/", &[&[]]).await, 2);
    let wrong = Handler::new(&[("cache-control", "max-age=60"), ("content-length", "99")]);
    assert_eq!(runs(wrong, "/", &[&[]]).await, 2);
}

#[tokio::test]
async fn a_part_answers_for_no_more_than_it_is() {
    let part = &[("cache-control", "max-age=60"), ("content-range", "bytes 0-4/10")];
    let handler = Handler { status: StatusCode::PARTIAL_CONTENT, ..Handler::new(part) };
    let service = layer().layer(handler.clone());
    let ask = async |range: &str| {
        let fields: &[_] = if range.is_empty() { &[] } else { &[("range", range)] };
        let (status, headers, body) = ask(&service, "GET", "/", fields).await;
        (status.as_u16(), headers["content-range"].to_str().unwrap().to_owned(), body)
    };
    let part = |range: &str, body: &str| (206, format!("bytes {range}/10"), body.to_owned());
    assert_eq!(ask("bytes=0-4").await, part("0-4", "run 1"));
    assert_eq!(ask("bytes=0-4").await, part("0-4", "run 1"));
    assert_eq!(ask("bytes=1-2").await, part("1-2", "un"));
    assert_eq!(handler.runs(), 1);
    for (other, runs) in [("bytes=0-5", 2), ("bytes=5-", 3), ("bytes=-5", 4), ("bytes=0-1,3-4", 5), ("", 6)] {
        ask(other).await;
        assert_eq!(handler.runs(), runs, "{other}");
    }
    for fields in [&[("cache-control", "max-age=60")][..], &[("content-range", "bytes 0-4/10")]] {
        let fields = move |_: &Request| fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let unsaid = Handler { status: StatusCode::PARTIAL_CONTENT, fields: Arc::new(fields), ..Handler::new(&[]) };
        assert_eq!(runs(unsaid, "/", &[&[("range", "bytes=0-4")]]).await, 2);
    }
}

#[tokio::test]
async fn the_answer_to_a_post_is_one_to_a_get_only_where_it_says_so() {
    let said: [(&'static [_], &[_], bool); 6] = [
        (&[("cache-control", "max-age=60"), ("content-location", "/")], &[], true),
        (&[("cache-control", "max-age=60"), ("content-location", "/")], &[("authorization", "Bearer a")], false),
        (&[("cache-control", "max-age=60"), ("content-location", "/")], &[("cookie", "session=a")], false),
        (&[("cache-control", "max-age=60"), ("content-location", "/other")], &[], false),
        (&[("cache-control", "max-age=60")], &[], false),
        (&[("content-location", "/"), ("etag", "\"x\"")], &[], false),
    ];
    for (fields, asked, is_stored) in said {
        let service = layer().layer(Handler::new(fields));
        ask(&service, "POST", "/", asked).await;
        assert_eq!(ask(&service, "GET", "/", &[]).await.2 == "run 1", is_stored, "{fields:?} {asked:?}");
    }
}

#[tokio::test]
async fn content_in_a_get_passes_the_cache_by() {
    let handler = Handler::new(&[("cache-control", "max-age=60")]);
    let service = layer().layer(handler.clone());
    for _ in 0..2 {
        let request = Request::builder().uri("/").header("host", "shop.test").body(Body::from("q=1")).unwrap();
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(handler.runs(), 2);
}

/// The tests of the suite for these read a collection by an index that it does not have, and see nothing.
#[tokio::test]
async fn fields_of_one_connection_are_not_stored() {
    let fields: &[_] = &[
        ("cache-control", "max-age=60"),
        ("connection", "x-one, close"),
        ("x-one", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "a=b"),
        ("proxy-authorization", "Basic x"),
        ("proxy-connection", "close"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("x-kept", "1"),
    ];
    let service = layer().layer(Handler::new(fields));
    ask(&service, "GET", "/", &[]).await;
    let (_, headers, body) = ask(&service, "GET", "/", &[]).await;
    assert!(body == "run 1" && headers.contains_key("x-kept"));
    let stored: HashMap<_, _> =
        fields[1..fields.len() - 1].iter().filter(|(name, _)| headers.contains_key(*name)).copied().collect();
    assert_eq!(stored, HashMap::new());
}

/// A service that answers once, and then fails.
#[derive(Clone)]
struct Dying(Handler);

impl Service<Request> for Dying {
    type Response = Response;
    type Error = &'static str;
    type Future = Ready<Result<Response, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.0.runs() > 0 {
            return ready(Err("the origin is gone"));
        }
        ready(self.0.call(request).into_inner().map_err(|never| match never {}))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_stands_in_for_a_dead_origin_unless_it_forbids_it() {
    let fields: [(&'static [_], bool); 6] = [
        (&[("cache-control", "max-age=2")], true),
        (&[("cache-control", "max-age=2, stale-if-error=60")], true),
        (&[("cache-control", "max-age=2, must-revalidate")], false),
        (&[("cache-control", "max-age=2, proxy-revalidate")], false),
        (&[("cache-control", "max-age=2, no-cache"), ("etag", "\"x\"")], false),
        (&[("cache-control", "max-age=2, s-maxage=2")], false),
    ];
    for (fields, stands_in) in fields {
        let service = layer().layer(Dying(Handler::new(fields)));
        let ask = || service.clone().oneshot(get("/"));
        ask().await.unwrap();
        tokio::time::advance(Duration::from_secs(3)).await;
        let answer = ask().await;
        assert_eq!(answer.is_ok(), stands_in, "{fields:?}");
        if let Ok(answer) = answer {
            assert_eq!(answer.headers()["x-fm-cache"], "STALE");
        }
    }
}

/// A body with a trailer after its one piece.
struct Trailing(u8);

impl HttpBody for Trailing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        Poll::Ready(match self.0 {
            1 => Some(Ok(http_body::Frame::data(Bytes::from_static(b"piece")))),
            2 => Some(Ok(http_body::Frame::trailers(HeaderMap::from_iter([(
                "x-sum".parse().unwrap(),
                "1".parse().unwrap(),
            )])))),
            _ => None,
        })
    }
}

#[tokio::test]
async fn trailers_and_long_bodies_pass_through_and_are_not_stored() {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let service = layer().max_body(8).layer(tower::service_fn(move |request: Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        let body = if request.uri() == "/long" { Body::from("123456789") } else { Body::new(Trailing(0)) };
        ready(Ok::<_, Infallible>(Response::builder().header("cache-control", "max-age=60").body(body).unwrap()))
    }));
    for _ in 0..2 {
        assert_eq!(ask(&service, "GET", "/long", &[]).await.2, "123456789");
        assert_eq!(ask(&service, "GET", "/trailers", &[]).await.2, "piece");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 4);
}

/// A handler that answers no request before it is let, with this `Cache-Control` and status.
#[derive(Clone)]
struct Gated {
    runs: Arc<AtomicU32>,
    gate: Arc<Semaphore>,
    says: Arc<Mutex<(StatusCode, &'static str)>>,
}

impl Gated {
    fn saying(control: &'static str) -> Self {
        let says = Arc::new(Mutex::new((StatusCode::OK, control)));
        Self { runs: Arc::default(), gate: Arc::new(Semaphore::new(0)), says }
    }

    fn say(&self, status: StatusCode, control: &'static str) {
        *self.says.lock().unwrap() = (status, control);
    }

    fn service(
        &self,
    ) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + use<> {
        let handler = self.clone();
        tower::service_fn(move |_: Request| {
            let handler = handler.clone();
            async move {
                handler.runs.fetch_add(1, Ordering::SeqCst);
                handler.gate.acquire().await.unwrap().forget();
                let (status, control) = *handler.says.lock().unwrap();
                let response =
                    Response::builder().status(status).header("cache-control", control).header("etag", "\"x\"");
                Ok::<_, Infallible>(response.body(Body::from("x")).unwrap())
            }
        })
    }

    /// How many of twenty requests at a time get here before any is answered, and how many in all.
    async fn runs_of_twenty<S>(&self, service: &S) -> (u32, u32)
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        let before = self.runs.load(Ordering::SeqCst);
        let all: Vec<_> = (0..20).map(|_| tokio::spawn(service.clone().oneshot(get("/")))).collect();
        // On one thread: after so many turns everybody is here or waits.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let at_once = self.runs.load(Ordering::SeqCst) - before;
        self.gate.add_permits(100);
        for answer in all {
            let body = to_bytes(answer.await.unwrap().unwrap().into_body(), 1).await.unwrap();
            assert_eq!(body, "x");
        }
        self.gate.forget_permits(100);
        (at_once, self.runs.load(Ordering::SeqCst) - before)
    }
}

#[tokio::test]
async fn requests_that_miss_together_ask_once_where_the_response_may_be_shared() {
    for (control, expected) in [("max-age=60", 1), ("private, max-age=60", 20)] {
        let handler = Gated::saying(control);
        let service = layer().layer(handler.service());
        assert_eq!(handler.runs_of_twenty(&service).await, (1, expected), "{control}");
    }
}

#[tokio::test]
async fn nobody_waits_for_what_was_not_shared_the_last_time() {
    let handler = Gated::saying("no-store");
    let layer = layer();
    let service = layer.layer(handler.service());
    assert_eq!(handler.runs_of_twenty(&service).await, (1, 20), "nothing is known yet");
    assert_eq!(handler.runs_of_twenty(&service).await, (20, 20));
    // Once one is stored, the next ones wait again.
    handler.say(StatusCode::OK, "max-age=60");
    assert_eq!(handler.runs_of_twenty(&service).await, (20, 20));
    assert!(layer.invalidate("http://shop.test/").await.unwrap());
    assert_eq!(handler.runs_of_twenty(&service).await, (1, 1));
}

#[tokio::test]
async fn nobody_waits_for_what_each_must_validate() {
    for control in ["no-cache", "max-age=0"] {
        let handler = Gated::saying(control);
        let service = layer().layer(handler.service());
        let all: Vec<_> = (0..20).map(|_| tokio::spawn(service.clone().oneshot(get("/")))).collect();
        for (permits, expected) in [(0, 1), (1, 20)] {
            handler.gate.add_permits(permits);
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(handler.runs.load(Ordering::SeqCst), expected, "{control}");
        }
        handler.gate.add_permits(19);
        for answer in all {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(handler.runs_of_twenty(&service).await, (20, 20), "{control}");
    }
}

#[tokio::test]
async fn an_error_or_a_users_own_response_is_no_reason_not_to_wait() {
    let handler = Gated::saying("");
    let service = layer().layer(handler.service());
    handler.say(StatusCode::BAD_GATEWAY, "");
    assert_eq!(handler.runs_of_twenty(&service).await, (1, 20));
    handler.gate.add_permits(1);
    handler.say(StatusCode::OK, "max-age=60");
    let (status, _, _) = ask(&service, "GET", "/", &[("authorization", "Bearer one")]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(handler.runs_of_twenty(&service).await, (1, 1));
}

#[tokio::test]
async fn what_is_invalidated_while_it_is_on_its_way_is_not_stored() {
    let (runs, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let (counted, opened) = (Arc::clone(&runs), Arc::clone(&gate));
    let layer = layer();
    let service = layer.layer(tower::service_fn(move |request: Request| {
        let (runs, gate) = (Arc::clone(&counted), Arc::clone(&opened));
        async move {
            if request.method() == "GET" {
                runs.fetch_add(1, Ordering::SeqCst);
                let _permit = gate.acquire().await.unwrap();
            }
            Ok::<_, Infallible>(
                Response::builder().header("cache-control", "max-age=60").body(Body::from("x")).unwrap(),
            )
        }
    }));
    let first = tokio::spawn(service.clone().oneshot(get("/")));
    while runs.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    ask(&service, "POST", "/", &[]).await;
    gate.add_permits(100);
    first.await.unwrap().unwrap();
    ask(&service, "GET", "/", &[]).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    ask(&service, "GET", "/", &[]).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert!(layer.invalidate("http://shop.test/").await.unwrap());
    ask(&service, "GET", "/", &[]).await;
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_tag_of_one_variant_invalidates_the_resource() {
    let cache = FmCache::builder(FmMemoryBackend::new()).prefix("leaks").build().unwrap();
    let tagged = |request: &Request| {
        let language = request.headers()["accept-language"].to_str().unwrap();
        let control = ("cache-control", "max-age=60".to_owned());
        vec![control, ("vary", "accept-language".to_owned()), ("surrogate-key", format!("all, {language}"))]
    };
    let handler = Handler { fields: Arc::new(tagged), ..Handler::new(&[]) };
    let layer = FmResponseCacheLayer::new().cache(&cache).tags_from("surrogate-key").unwrap();
    let service = layer.layer(handler.clone());
    let languages = [[("accept-language", "de")], [("accept-language", "en")]];
    for expected in [2, 2] {
        for language in &languages {
            ask(&service, "GET", "/", language).await;
        }
        assert_eq!(handler.runs(), expected);
    }
    cache.invalidate_tag("de").await.unwrap();
    assert_eq!(ask(&service, "GET", "/", &languages[0]).await.2, "run 3");
    cache.clear_namespace("http").await.unwrap();
    assert_eq!(ask(&service, "GET", "/", &languages[0]).await.2, "run 4");
}

/// A service that answers as this function does.
fn answering(
    answer: impl Fn(&Request) -> Response + Clone + Send + 'static,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send {
    tower::service_fn(move |request: Request| ready(Ok::<_, Infallible>(answer(&request))))
}

fn response(status: u16, fields: &[(&str, &str)], body: &'static str) -> Response {
    let response = Response::builder().status(status);
    fields
        .iter()
        .fold(response, |response, (name, value)| response.header(*name, *value))
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_refresh_that_a_head_begins_stores_no_empty_body() {
    let changed = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&changed);
    let service =
        layer().layer(answering(move |request| match (seen.load(Ordering::SeqCst), request.method().as_str()) {
            (0, _) => {
                response(200, &[("cache-control", "max-age=10, stale-while-revalidate=30"), ("etag", "\"1\"")], "x")
            }
            (_, "HEAD") => response(200, &[("cache-control", "max-age=3600"), ("etag", "\"2\"")], ""),
            _ => response(200, &[("cache-control", "max-age=3600"), ("etag", "\"2\"")], "y"),
        }));
    assert_eq!(ask(&service, "GET", "/", &[]).await.2, "x");
    tokio::time::advance(Duration::from_secs(11)).await;
    changed.store(1, Ordering::SeqCst);
    assert_eq!(ask(&service, "HEAD", "/", &[]).await.1["x-fm-cache"], "STALE");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let (_, headers, body) = ask(&service, "GET", "/", &[]).await;
    assert_eq!((&headers["x-fm-cache"], body.as_str()), (&"HIT".parse().unwrap(), "y"));
}

#[tokio::test]
async fn the_head_of_a_user_says_nothing_about_the_response_of_visitors() {
    for of_users in [&[("cache-control", "max-age=60"), ("x-user", "alice")][..], &[("cache-control", "private")]] {
        let service = layer().layer(answering(move |request| match request.method().as_str() {
            "HEAD" => response(200, of_users, ""),
            _ => response(200, &[("cache-control", "max-age=60")], "x"),
        }));
        ask(&service, "GET", "/", &[]).await;
        ask(&service, "HEAD", "/", &[("authorization", "Bearer alice")]).await;
        let (_, headers, _) = ask(&service, "GET", "/", &[]).await;
        assert_eq!((&headers["x-fm-cache"], headers.get("x-user")), (&"HIT".parse().unwrap(), None));
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_request_is_not_stored_for_others() {
    for status in [416, 428, 429, 431, 511] {
        let status = StatusCode::from_u16(status).unwrap();
        let handler = Handler { status, ..Handler::new(&[("cache-control", "max-age=60")]) };
        assert_eq!(runs(handler, "/", &[&[("range", "bytes=99-")], &[]]).await, 4, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_validation_is_stored_by_the_rules_of_storing() {
    let brings: [&[_]; 2] = [
        &[("cache-control", "max-age=60"), ("vary", "accept-language")],
        &[("cache-control", "max-age=60"), ("x-user", "alice")],
    ];
    for (brings, user) in brings.into_iter().zip([("accept-language", "de"), ("authorization", "Bearer alice")]) {
        let service = layer().layer(answering(move |request| {
            if request.headers().contains_key("if-none-match") {
                return response(304, brings, "");
            }
            response(200, &[("cache-control", "public, max-age=1"), ("etag", "\"1\"")], "x")
        }));
        ask(&service, "GET", "/", &[user]).await;
        tokio::time::advance(Duration::from_secs(2)).await;
        ask(&service, "GET", "/", &[user]).await;
        let (_, headers, _) = ask(&service, "GET", "/", &[("accept-language", "en")]).await;
        assert_eq!(headers.get("x-user"), None);
        assert!(user.0 == "authorization" || headers["x-fm-cache"] == "MISS", "{headers:?}");
    }
}

#[tokio::test]
async fn nobody_waits_for_the_request_of_somebody_who_shows_who_it_is() {
    let handler = Gated::saying("max-age=60");
    let service = layer().layer(handler.service());
    let mut as_user = get("/");
    as_user.headers_mut().insert("cookie", "session=a".parse().unwrap());
    let all = [as_user, get("/")].map(|request| tokio::spawn(service.clone().oneshot(request)));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handler.runs.load(Ordering::SeqCst), 2);
    handler.gate.add_permits(2);
    for answer in all {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_began_before_a_change_brings_nothing_back() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let service = layer().layer(tower::service_fn(move |request: Request| {
        let gate = Arc::clone(&opened);
        async move {
            if request.method() == "HEAD" {
                gate.acquire().await.unwrap().forget();
            }
            Ok::<_, Infallible>(response(200, &[("cache-control", "max-age=10"), ("etag", "\"1\"")], "x"))
        }
    }));
    ask(&service, "GET", "/", &[]).await;
    tokio::time::advance(Duration::from_secs(11)).await;
    let mut head = get("/");
    *head.method_mut() = "HEAD".parse().unwrap();
    let head = tokio::spawn(service.clone().oneshot(head));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    ask(&service, "PUT", "/", &[]).await;
    gate.add_permits(1);
    head.await.unwrap().unwrap();
    assert_eq!(ask(&service, "GET", "/", &[]).await.1["x-fm-cache"], "MISS");
}

#[tokio::test]
async fn a_change_whose_client_goes_away_invalidates_too() {
    let service = layer().layer(tower::service_fn(|request: Request| async move {
        if request.method() == "PUT" {
            // It has changed something, and does not come to say so.
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(response(200, &[("cache-control", "max-age=60")], "x"))
    }));
    ask(&service, "GET", "/", &[]).await;
    let change = tokio::spawn({
        let service = service.clone();
        async move { ask(&service, "PUT", "/", &[]).await }
    });
    tokio::task::yield_now().await;
    change.abort();
    assert!(change.await.is_err());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&service, "GET", "/", &[]).await.1["x-fm-cache"], "MISS");
}
