//! The private cache inside the client: what is not asked again, what is asked for less, and what never comes from it.

use std::time::Duration;

use axum::{body::Body, http::Request};
use memory_core::{
    FmCache, FmClientError, FmHttpCache, FmMemoryBackend, FmResilientClient, FmResponseCacheLayer,
    reqwest::header::HeaderMap,
};
use serde_json::Value;
use tower::{Layer, ServiceExt};

use super::upstream::{Step, Upstream, answer, gzip, json};

fn cache() -> FmCache {
    FmCache::builder(FmMemoryBackend::new()).prefix("client").build().unwrap()
}

fn over(cache: &FmCache, upstream: &Upstream) -> FmResilientClient {
    super::builder(upstream).http_cache(FmHttpCache::new().cache(cache)).build().unwrap()
}

fn client(upstream: &Upstream) -> FmResilientClient {
    over(&cache(), upstream)
}

fn says(cache_control: &str, body: &str) -> Vec<Step> {
    answer(200, &[("cache-control", cache_control)], body.as_bytes())
}

async fn get(client: &FmResilientClient) -> u32 {
    client.get_json("x").await.unwrap()
}

async fn get_as(client: &FmResilientClient, name: &str, value: &str) -> u32 {
    client.get_json("x").header(name, value).await.unwrap()
}

async fn headers(client: &FmResilientClient) -> HeaderMap {
    client.get_raw("x").stream().await.unwrap().headers().clone()
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_fresh_response_is_not_asked_for_again() {
    let upstream = Upstream::scripted(vec![says("max-age=60", "1"), says("max-age=60", "2")]).await;
    let client = client(&upstream);
    assert_eq!((get(&client).await, get(&client).await, get(&client.clone()).await), (1, 1, 1));
    assert_eq!(client.get_raw("x").text().await.unwrap(), "1");
    pass(30).await;
    let headers = headers(&client).await;
    assert_eq!((&headers["x-fm-cache"], &headers["age"]), (&"HIT".parse().unwrap(), &"30".parse().unwrap()));
    assert_eq!((upstream.seen().len(), client.stats().requests), (1, 1));
    assert_eq!(client.get_json::<u32>("x").query([("page", 2)]).await.unwrap(), 2);
    pass(31).await;
    assert_eq!((get(&client).await, upstream.seen().len()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_cache_asks_every_time() {
    let upstream = Upstream::always(says("max-age=60", "1")).await;
    let client = super::client(&upstream);
    assert_eq!((get(&client).await, get(&client).await, upstream.seen().len()), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_is_validated_and_a_304_brings_it_back() {
    let first = answer(200, &[("cache-control", "max-age=10"), ("etag", "\"v1\""), ("x-kept", "yes")], b"7");
    let same = answer(304, &[("cache-control", "max-age=100"), ("etag", "\"v1\"")], b"");
    let upstream = Upstream::scripted(vec![first, same, says("max-age=10", "8")]).await;
    let client = client(&upstream);
    assert_eq!(get(&client).await, 7);
    pass(11).await;
    assert_eq!(get(&client).await, 7);
    let seen = upstream.seen();
    assert_eq!(
        (seen.len(), seen[0].header("if-none-match"), seen[1].header("if-none-match")),
        (2, None, Some("\"v1\""))
    );
    pass(99).await;
    assert_eq!((get(&client).await, headers(&client).await["x-kept"].to_str().unwrap()), (7, "yes"));
    assert_eq!(upstream.seen().len(), 2, "the 304 made it fresh for 100 s");
    pass(2).await;
    assert_eq!((get(&client).await, client.stats().failures), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn no_cache_is_validated_each_time_and_a_request_can_ask_for_that() {
    let tagged = |says: &str| answer(200, &[("cache-control", says), ("etag", "\"v1\"")], b"7");
    for (says, asks) in [("no-cache", "x"), ("max-age=60", "no-cache"), ("max-age=60", "max-age=0")] {
        let upstream = Upstream::scripted(vec![tagged(says), answer(304, &[("etag", "\"v1\"")], b"")]).await;
        let client = client(&upstream);
        assert_eq!(get(&client).await, 7);
        for count in 2..4 {
            assert_eq!(get_as(&client, "cache-control", asks).await, 7);
            assert_eq!(upstream.seen().len(), count, "{says} {asks}");
            assert_eq!(upstream.seen()[count - 1].header("if-none-match"), Some("\"v1\""));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_stored_is_asked_for_each_time() {
    let unsaid = json("1");
    let star = answer(200, &[("cache-control", "max-age=60"), ("vary", "*")], b"1");
    for steps in [says("no-store", "1"), says("max-age=60, no-store", "1"), unsaid, star] {
        let upstream = Upstream::always(steps).await;
        let client = client(&upstream);
        assert_eq!((get(&client).await, get(&client).await, upstream.seen().len()), (1, 1, 2));
    }
    let upstream = Upstream::always(says("max-age=60", "1")).await;
    let client = client(&upstream);
    get_as(&client, "cache-control", "no-store").await;
    get(&client).await;
    assert_eq!(upstream.seen().len(), 2, "what a no-store asked for was stored");
}

#[tokio::test(start_paused = true)]
async fn what_varies_is_kept_apart() {
    let varying = |body: &str| {
        answer(200, &[("cache-control", "public, max-age=60"), ("vary", "accept-language")], body.as_bytes())
    };
    let upstream = Upstream::scripted(vec![varying("1"), varying("2"), varying("3")]).await;
    let client = client(&upstream);
    for _ in 0..2 {
        assert_eq!(get_as(&client, "accept-language", "de").await, 1);
        assert_eq!(get_as(&client, "accept-language", "en").await, 2);
        assert_eq!(get(&client).await, 3);
    }
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_private_response_is_stored_for_the_one_who_asked() {
    for control in ["private, max-age=60", "max-age=60", "private, max-age=60, s-maxage=0"] {
        let bodies = ["1", "2", "3"].map(|body| says(control, body));
        let upstream = Upstream::scripted(bodies.to_vec()).await;
        let client = client(&upstream);
        for _ in 0..2 {
            assert_eq!(get_as(&client, "authorization", "Bearer a").await, 1, "{control}");
            assert_eq!(get_as(&client, "authorization", "Bearer b").await, 2, "{control}");
            assert_eq!(get_as(&client, "x-tenant", "c").await, 3, "{control}");
            assert_eq!(
                client.get_json::<u32>("x").header("x-tenant", "c").header("x-request-id", "9").await.unwrap(),
                3
            );
        }
        assert_eq!(upstream.seen().len(), 3, "{control}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_public_response_is_for_all() {
    let upstream = Upstream::scripted(vec![says("public, max-age=60", "1"), says("max-age=60", "2")]).await;
    let client = client(&upstream);
    assert_eq!(get_as(&client, "authorization", "Bearer a").await, 1);
    assert_eq!((get_as(&client, "authorization", "Bearer b").await, get(&client).await), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_client_stores_is_not_for_the_visitors_of_a_service() {
    let upstream = Upstream::always(says("private, max-age=60", "1")).await;
    let cache = cache();
    assert_eq!(get(&over(&cache, &upstream)).await, 1);
    let behind = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, std::io::Error>(axum::http::Response::new(Body::empty()))
    });
    let request = Request::builder().uri(format!("{}/x", upstream.url())).body(Body::empty()).unwrap();
    let answer = FmResponseCacheLayer::new().cache(&cache).layer(behind).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["x-fm-cache"], "MISS");
}

#[tokio::test(start_paused = true)]
async fn an_unsafe_request_forgets_what_it_may_have_changed() {
    let changes = [
        ("an answer", answer(200, &[], b"null"), true),
        ("a redirect", answer(303, &[("location", "/y")], b""), true),
        ("an answer that got lost", vec![Step::Close], true),
        ("a refusal", answer(400, &[], b"{}"), false),
        ("a failure", answer(500, &[], b"{}"), true),
    ];
    for (what, change, forgets) in changes {
        let script = vec![says("max-age=60", "1"), change, says("max-age=60", "2")];
        let upstream = Upstream::scripted(script).await;
        let client = client(&upstream);
        get(&client).await;
        let _ = client.post_json::<()>("x", [1]).await;
        assert_eq!(upstream.seen()[1].body, b"[1]");
        assert_eq!(get(&client).await, if forgets { 2 } else { 1 }, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_caller_goes_away_forgets_too() {
    let upstream = Upstream::scripted(vec![says("max-age=60", "1"), vec![Step::Hang], says("max-age=60", "2")]).await;
    let cache = cache();
    let client = over(&cache, &upstream);
    get(&client).await;
    let change = client.post_json::<()>("x", [1]).into_future();
    assert!(tokio::time::timeout(Duration::from_secs(1), change).await.is_err());
    tokio::task::yield_now().await;
    assert_eq!(get(&client).await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_change_is_not_stored_after_it() {
    let slow = [vec![Step::Pause(Duration::from_secs(5))], says("max-age=60", "1")].concat();
    let upstream = Upstream::scripted(vec![slow, answer(200, &[], b"null"), says("max-age=60", "2")]).await;
    let client = client(&upstream);
    let reader = tokio::spawn(client.get_json::<u32>("x").into_future());
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.post_json::<()>("x", [1]).await.unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), 1);
    assert_eq!((get(&client).await, get(&client).await, upstream.seen().len()), (2, 2, 3));
}

#[tokio::test(start_paused = true)]
async fn what_is_only_wanted_from_the_cache_is_not_asked_for() {
    let upstream = Upstream::always(says("max-age=60", "1")).await;
    let client = client(&upstream);
    let only = || client.get_json::<u32>("x").header("cache-control", "only-if-cached").into_future();
    assert_eq!((only().await.unwrap_err().status().as_u16(), upstream.seen().len()), (504, 0));
    get(&client).await;
    assert_eq!((only().await.unwrap(), upstream.seen().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_change_forgets_what_its_answer_names_at_the_same_host() {
    for (location, forgets) in [("/x", true), ("http://elsewhere.test/x", false)] {
        let made = answer(201, &[("location", location)], b"null");
        let upstream = Upstream::scripted(vec![says("max-age=60", "1"), made, says("max-age=60", "2")]).await;
        let client = client(&upstream);
        get(&client).await;
        client.put_json::<()>("y", [1]).await.unwrap();
        assert_eq!(get(&client).await, if forgets { 2 } else { 1 }, "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_stands_in_for_an_error_after_one_attempt() {
    let failing = answer(503, &[], b"{}");
    let upstream = Upstream::scripted(vec![says("max-age=1, stale-if-error=60", "1"), failing]).await;
    let client = client(&upstream);
    get(&client).await;
    pass(2).await;
    assert_eq!((get(&client).await, upstream.seen().len()), (1, 2));
    assert_eq!(headers(&client).await["x-fm-cache"], "STALE");
    pass(60).await;
    let error = client.get_json::<u32>("x").await.unwrap_err();
    assert_eq!((error.status().as_u16(), upstream.seen().len()), (503, 6), "three attempts when nothing stands in");
    assert!(
        std::error::Error::source(&client.get_raw("x").await.unwrap_err())
            .is_some_and(|cause| cause.is::<memory_core::reqwest::Error>())
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_is_not_hidden_where_nothing_says_so() {
    let upstream = Upstream::scripted(vec![says("max-age=1", "1"), answer(503, &[], b"{}")]).await;
    let client = client(&upstream);
    get(&client).await;
    pass(2).await;
    assert_eq!(client.get_json::<u32>("x").await.unwrap_err().status(), 503);
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_stands_in_for_a_dead_upstream_after_all_attempts_unless_it_forbids_it() {
    for (control, stands_in) in [("max-age=1", true), ("max-age=1, must-revalidate", false)] {
        let upstream = Upstream::scripted(vec![says(control, "1"), vec![Step::Close]]).await;
        let client = client(&upstream);
        get(&client).await;
        pass(2).await;
        let answer = client.get_json::<u32>("x").await;
        assert_eq!((answer.is_ok(), upstream.seen().len()), (stands_in, 4), "{control}");
        assert!(answer.map_or_else(|error| error.is_network(), |value| value == 1));
        pass(3600).await;
        assert!(client.get_json::<u32>("x").await.unwrap_err().is_network(), "an hour is long enough");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_stands_in_for_no_answer_that_came() {
    let upstream =
        Upstream::scripted(vec![says("max-age=1, stale-if-error=60", "1"), says("max-age=1", "12345")]).await;
    let http_cache = FmHttpCache::new().cache(&cache());
    let client = super::builder(&upstream).max_body_bytes(4).http_cache(http_cache).build().unwrap();
    get(&client).await;
    pass(2).await;
    assert!(matches!(client.get_raw("x").await, Err(FmClientError::TooLarge(_))));
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_is_answered_at_once_and_refreshed_behind() {
    let slow = [vec![Step::Pause(Duration::from_secs(5))], says("max-age=60", "2")].concat();
    let upstream = Upstream::scripted(vec![says("max-age=1, stale-while-revalidate=60", "1"), slow]).await;
    let client = client(&upstream);
    get(&client).await;
    pass(2).await;
    let began = tokio::time::Instant::now();
    assert_eq!((get(&client).await, get(&client).await), (1, 1));
    assert!(began.elapsed() < Duration::from_secs(1), "a caller waited for the refresh");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((get(&client).await, upstream.seen().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_compressed_response_is_stored_as_what_it_means() {
    let headers = [("cache-control", "max-age=60"), ("content-encoding", "gzip"), ("vary", "accept-encoding")];
    let upstream = Upstream::always(answer(200, &headers, &gzip(b"[1, 2]"))).await;
    let client = client(&upstream);
    for _ in 0..2 {
        assert_eq!(client.get_json::<Vec<u32>>("x").await.unwrap(), [1, 2]);
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stored_404_is_the_same_error_again() {
    let gone = answer(404, &[("cache-control", "max-age=60"), ("retry-after", "9")], b"{}");
    let upstream = Upstream::always(gone).await;
    let client = client(&upstream);
    for _ in 0..2 {
        let error = client.get_raw("x").await.unwrap_err();
        assert_eq!((error.status().unwrap().as_u16(), error.retry_after()), (404, Some(Duration::from_secs(9))));
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(client.get_json::<Value>("x").await.unwrap_err().status(), 404);
    }
    assert_eq!((upstream.seen().len(), client.stats().failures), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_asked_for_again() {
    let head = b"HTTP/1.1 200 X\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\n1".to_vec();
    let broken = vec![Step::Send(head), Step::Close];
    let upstream = Upstream::scripted(vec![broken.clone(), says("max-age=60", "12")]).await;
    let client = client(&upstream);
    assert_eq!((get(&client).await, get(&client).await, upstream.seen().len()), (12, 12, 2));
    let upstream = Upstream::scripted(vec![broken, says("max-age=60", "12")]).await;
    let client = self::client(&upstream);
    let error = client.get_raw("x").stream().await.unwrap().bytes().await.unwrap_err();
    assert!(error.is_network(), "{error:?}");
    assert_eq!(get(&client).await, 12, "half a body was stored");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_stored_where_it_is_short_and_passes_through_where_it_is_long() {
    for (length, count) in [(1000, 1), (1001, 2)] {
        let upstream = Upstream::always(says("max-age=60", &"1".repeat(length))).await;
        let http_cache = FmHttpCache::new().cache(&cache()).max_body(1000);
        let client = super::builder(&upstream).http_cache(http_cache).build().unwrap();
        for _ in 0..2 {
            let answer = client.get_raw("x").stream().await.unwrap();
            assert_eq!(answer.content_length(), Some(length as u64));
            assert_eq!(answer.bytes().await.unwrap().len(), length);
        }
        assert_eq!(upstream.seen().len(), count);
        client.aclose_gracefully().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_redirect_leads_to_is_not_stored_as_what_was_asked_for() {
    let moved = answer(302, &[("location", "/y")], b"");
    let upstream =
        Upstream::scripted(vec![moved.clone(), says("max-age=60", "1"), moved, says("max-age=60", "2")]).await;
    let http_cache = FmHttpCache::new().cache(&cache());
    let client = super::builder(&upstream).max_redirects(1).http_cache(http_cache).build().unwrap();
    assert_eq!((get(&client).await, get(&client).await), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_answers_nothing_and_what_is_invalidated_is_gone() {
    let upstream = Upstream::scripted(vec![says("max-age=60", "1"), says("max-age=60", "2")]).await;
    let http_cache = FmHttpCache::new().cache(&cache());
    let client = super::builder(&upstream).http_cache(http_cache.clone()).build().unwrap();
    get(&client).await;
    assert!(http_cache.invalidate(&format!("{}/x", upstream.url())).await.unwrap());
    assert_eq!((get(&client).await, get(&client).await), (2, 2));
    client.aclose().await;
    assert!(matches!(client.get_raw("x").await, Err(FmClientError::Closed)));
}

/// Five seconds later.
fn slow(answer: Vec<Step>) -> Vec<Step> {
    [vec![Step::Pause(Duration::from_secs(5))], answer].concat()
}

/// Ten requests at a time for each of these users, and how many seconds they took.
async fn together(client: &FmResilientClient, users: &[&str]) -> (Vec<Result<u32, FmClientError>>, u64) {
    let began = tokio::time::Instant::now();
    let get = |user: &&str| client.get_raw("x").header("authorization", *user).text().into_future();
    let asked: Vec<_> = (0..10).flat_map(|_| users.iter().map(get)).map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.unwrap().map(|text| text.parse().unwrap()));
    }
    (answers, began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_user_that_miss_together_are_one_and_users_do_not_wait_for_each_other() {
    let upstream =
        Upstream::scripted(vec![slow(says("max-age=60", "1")), slow(says("max-age=60", "2")), vec![Step::Close]]).await;
    let client = client(&upstream);
    let (answers, took) = together(&client, &["a", "b"]).await;
    assert_eq!((took, upstream.seen().len()), (5, 2));
    let of = |user: &str| if upstream.seen()[0].header("authorization") == Some(user) { 1 } else { 2 };
    for pair in answers.chunks(2) {
        assert_eq!([pair[0].as_ref().unwrap(), pair[1].as_ref().unwrap()], [&of("a"), &of("b")]);
    }
    // Both were stored.
    assert_eq!(
        (get_as(&client, "authorization", "a").await, get_as(&client, "authorization", "b").await),
        (of("a"), of("b"))
    );
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_can_t_be_stored_is_waited_for_once_and_no_more() {
    let upstream = Upstream::always(slow(says("no-store", "1"))).await;
    let client = client(&upstream);
    for (seconds, requests) in [(10, 10), (5, 20), (5, 30)] {
        let (answers, took) = together(&client, &["a"]).await;
        assert!(answers.iter().all(|answer| *answer.as_ref().unwrap() == 1));
        assert_eq!((took, upstream.seen().len()), (seconds, requests));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_its_own_timeout_and_deadline() {
    let upstream = Upstream::scripted(vec![vec![Step::Hang], says("max-age=60", "2"), vec![Step::Hang]]).await;
    let client = client(&upstream);
    let first = tokio::spawn(client.get_json::<u32>("x").into_future());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = tokio::time::Instant::now();
    assert_eq!(client.get_json::<u32>("x").timeout(2).await.unwrap(), 2);
    assert_eq!((began.elapsed().as_secs(), upstream.seen().len()), (2, 2));
    let error = client.get_json::<u32>("y").deadline(3).into_future();
    let other = tokio::spawn(client.get_json::<u32>("y").into_future());
    tokio::task::yield_now().await;
    let began = tokio::time::Instant::now();
    error.await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 3);
    other.abort();
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn the_request_goes_on_for_the_others_when_its_caller_goes_away() {
    let upstream = Upstream::always(slow(says("max-age=60", "1"))).await;
    let client = client(&upstream);
    let first = tokio::spawn(client.get_json::<u32>("x").into_future());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = tokio::spawn(client.get_json::<u32>("x").into_future());
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.abort();
    assert_eq!((second.await.unwrap().unwrap(), upstream.seen().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_request_finds_out_for_all_that_the_upstream_fails_where_a_response_stands_in() {
    for failing in [slow(answer(503, &[], b"{}")), slow(vec![Step::Close])] {
        let upstream = Upstream::scripted(vec![says("max-age=1, stale-if-error=600", "1"), failing]).await;
        let http_cache = FmHttpCache::new().cache(&cache());
        let client = super::builder(&upstream).retry_attempts(1).http_cache(http_cache).build().unwrap();
        get_as(&client, "authorization", "a").await;
        pass(2).await;
        let (answers, _) = together(&client, &["a"]).await;
        assert!(answers.iter().all(|answer| *answer.as_ref().unwrap() == 1));
        assert_eq!(upstream.seen().len(), 2);
    }
}
