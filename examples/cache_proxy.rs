//! A caching reverse proxy: the response cache over everything that an origin serves.
//!
//! `cargo run --release --example cache_proxy -- --listen 127.0.0.1:8080 --origin http://127.0.0.1:8000`
//!
//! `--redis URL` shares what it stores between proxies; `--as-rfc-9111` takes responses at their word: cookies make no difference,
//! clients may ask for fresh responses, languages are ranked by their quality alone, and what says nothing is fresh for a tenth of its
//! age.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    error_handling::HandleErrorLayer,
    http::{HeaderMap, HeaderName, Request, StatusCode, header},
    response::Response,
};
use memory_core::{FmCacheManager, FmMemoryBackend, FmResponseCacheLayer, reqwest};
use memory_redis::FmRedisBackend;
use tower::{Service, ServiceBuilder};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value_of = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let origin = value_of("--origin").ok_or("--origin URL is missing")?;
    let listen = value_of("--listen").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let manager = FmCacheManager::builder(FmMemoryBackend::new()).prefix("cache-proxy");
    match value_of("--redis") {
        Some(url) => manager.l2(FmRedisBackend::connect(&url)?).init()?,
        None => manager.init()?,
    };
    let is_plain = arguments.iter().any(|argument| argument == "--as-rfc-9111");
    let cache = FmResponseCacheLayer::new()
        .heuristic_freshness(is_plain)
        .share_cookies(is_plain)
        .client_bypass(is_plain)
        .rank_languages(is_plain);
    let service = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(unreachable_origin))
        .layer(cache)
        .service(Origin::new(origin)?);
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, Router::new().fallback_service(service)).await?;
    Ok(())
}

/// The origin was not reached, and the cache had nothing that could stand in.
async fn unreachable_origin(error: reqwest::Error) -> (StatusCode, String) {
    (StatusCode::BAD_GATEWAY, format!("the origin was not reached: {}", error.without_url()))
}

/// Passes requests on to the origin, and fails where it can't be reached.
#[derive(Clone)]
struct Origin {
    base: String,
    client: reqwest::Client,
}

impl Origin {
    fn new(base: String) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .no_brotli()
            .no_proxy()
            .retry(reqwest::retry::never())
            .build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client })
    }

    async fn pass_on(self, request: Request<Body>) -> Result<Response, reqwest::Error> {
        let (mut parts, body) = request.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        parts.headers.remove(header::HOST);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let has_body = !HttpBody::is_end_stream(&body);
        let mut onward = self.client.request(parts.method, format!("{}{path}", self.base)).headers(parts.headers);
        if has_body {
            onward = onward.body(reqwest::Body::wrap_stream(body.into_data_stream()));
        }
        let mut answer = axum::http::Response::<reqwest::Body>::from(onward.send().await?);
        strip_hop_by_hop(answer.headers_mut());
        Ok(answer.map(Body::new))
    }
}

impl Service<Request<Body>> for Origin {
    type Response = Response;
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, reqwest::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().pass_on(request))
    }
}

/// Removes the fields that are about one connection (RFC 9110, section 7.6.1).
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let lists = headers.get_all(header::CONNECTION).into_iter().filter_map(|list| list.to_str().ok());
    let mut names: Vec<HeaderName> =
        lists.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    names.extend([header::CONNECTION, header::TE, header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE]);
    names.extend(["keep-alive", "proxy-connection"].map(HeaderName::from_static));
    for name in names {
        headers.remove(name);
    }
}
