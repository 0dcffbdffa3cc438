//! The resilient client against an upstream that misbehaves: every promise, over real sockets.

#[path = "support/upstream.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod upstream;

#[path = "client/http2.rs"]
mod http2;
#[path = "client/http_cache.rs"]
mod http_cache;
#[path = "client/layer.rs"]
mod layer;
#[path = "client/requests.rs"]
mod requests;
#[path = "client/secrets.rs"]
mod secrets;
#[path = "client/settings.rs"]
mod settings;
#[path = "client/tls.rs"]
mod tls;
#[path = "client/told.rs"]
mod told;

use std::{
    error::Error as _,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use memory_core::{
    FmBody, FmClientError, FmError, FmHttpError, FmResilientClient, FmResilientClientBuilder, is_retryable_error,
    reqwest::{self, Method},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;
use upstream::{Step, Upstream, answer, gzip, json as ok};

fn builder(upstream: &Upstream) -> FmResilientClientBuilder {
    FmResilientClient::builder().base_url(upstream.url())
}

fn client(upstream: &Upstream) -> FmResilientClient {
    builder(upstream).build().unwrap()
}

fn status(status: u16) -> Vec<Step> {
    answer(status, &[], b"{}")
}

fn seconds(waits: &[Duration]) -> Vec<f64> {
    waits.iter().map(|wait| (wait.as_secs_f64() * 10.0).round() / 10.0).collect()
}

// Sending again.

#[tokio::test(start_paused = true)]
async fn a_post_is_sent_once_however_it_fails() {
    for steps in [status(503), status(500), vec![Step::Close], vec![Step::Hang]] {
        let upstream = Upstream::always(steps).await;
        let client = client(&upstream);
        client.post_json::<Value>("items", &json!({"name": "pen"})).await.unwrap_err();
        client.patch_json::<Value>("items/1", &json!({"name": "ink"})).await.unwrap_err();
        let methods: Vec<_> = upstream.seen().iter().map(|seen| seen.method().to_owned()).collect();
        assert_eq!(methods, ["POST", "PATCH"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_fails_on_a_reused_connection_is_sent_once_too() {
    let upstream = Upstream::scripted(vec![ok("1"), vec![Step::Close], ok("1")]).await;
    let client = client(&upstream);
    client.get_raw("x").await.unwrap();
    let error = client.post_json::<Value>("items", [1]).await.unwrap_err();
    assert!(error.is_network());
    assert_eq!((upstream.seen().len(), upstream.connections()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_post_with_an_idempotency_key_is_sent_again_with_the_same_key() {
    let upstream = Upstream::scripted(vec![vec![Step::Close], status(503), ok(r#"{"id":7}"#)]).await;
    let made: Value =
        client(&upstream).post_json("items", json!({"name": "pen"})).idempotency_key("order-17").await.unwrap();
    assert_eq!(made, json!({"id": 7}));
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.header("idempotency-key") == Some("order-17")));
    assert!(seen.iter().all(|seen| seen.body == br#"{"name":"pen"}"#));
}

#[tokio::test(start_paused = true)]
async fn methods_that_may_be_repeated_are() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let upstream = Upstream::always(status(503)).await;
        let error = client(&upstream).request::<Value>(method, "x").await.unwrap_err();
        assert_eq!((error.status().as_u16(), upstream.seen().len()), (503, 3), "{method}");
        assert_eq!(seconds(&upstream.waits()), [2.0, 2.0], "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_obeyed_in_both_forms() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
    for (value, least, most) in [("1", 1.0, 1.05), ("0", 0.0, 0.05), ("120", 120.0, 120.05), (&date, 50.0, 60.05)] {
        let refusal = answer(503, &[("retry-after", value)], b"");
        let upstream = Upstream::scripted(vec![refusal, ok("1")]).await;
        assert_eq!(client(&upstream).get_json::<u32>("x").await.unwrap(), 1);
        let waited = upstream.waits()[0].as_secs_f64();
        assert!((least..=most).contains(&waited), "{value}: waited {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_retry_after_comes_back_at_once_with_the_delay() {
    let upstream = Upstream::always(answer(503, &[("retry-after", "9999999999")], b"")).await;
    let began = Instant::now();
    let error = client(&upstream).get_raw("x").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(9_999_999_999)));
    assert!(began.elapsed() < Duration::from_secs(1));
    let error = client(&upstream).get_json::<Value>("x").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(9_999_999_999)));
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_junk_is_ignored() {
    for junk in ["soon", "-1", "1.5", "", "1, 2", "Sun, 99 Nov 1994 08:49:37 GMT"] {
        let upstream = Upstream::scripted(vec![answer(503, &[("retry-after", junk)], b""), ok("1")]).await;
        client(&upstream).get_raw("x").await.unwrap();
        assert_eq!(seconds(&upstream.waits()), [2.0], "{junk}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_4xx_is_not_retried_even_if_it_says_when() {
    let upstream = Upstream::always(answer(429, &[("retry-after", "1")], b"")).await;
    let error = client(&upstream).get_raw("x").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_dropped_during_a_backoff_makes_no_further_attempt() {
    let upstream = Upstream::always(status(503)).await;
    let client = client(&upstream);
    let call = client.get_raw("x");
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_raw_call_is_judged_by_its_cause_and_one_of_the_json_call_is_final() {
    for (steps, retryable) in [(status(503), true), (status(404), false), (vec![Step::Close], true)] {
        let upstream = Upstream::always(steps).await;
        let client = builder(&upstream).retry_attempts(1).build().unwrap();
        let raw = client.get_raw("x").await.unwrap_err();
        assert_eq!(is_retryable_error(&raw), retryable, "{raw}");
        assert_eq!(is_retryable_error(&FmError::from(raw)), retryable);
        let http = client.get_json::<Value>("x").await.unwrap_err();
        assert!(!is_retryable_error(&http) && !is_retryable_error(&FmError::from(http)));
    }
}

// Where requests go.

#[tokio::test(start_paused = true)]
async fn a_path_that_could_leave_the_upstream_sends_nothing() {
    let (upstream, other) = (Upstream::always(ok("1")).await, Upstream::always(ok("2")).await);
    let client = FmResilientClient::new(format!("{}/api", upstream.url())).unwrap();
    let elsewhere = other.address().to_string();
    for path in [
        format!("http://{elsewhere}/x"),
        format!("HTTP://{elsewhere}/x"),
        format!("//{elsewhere}/x"),
        format!("http:{elsewhere}/x"),
        format!("@{elsewhere}/x"),
        format!("user:pw@{elsewhere}"),
        format!("\\\\{elsewhere}\\x"),
        format!("x\r\nHost: {elsewhere}\r\n"),
        "..".into(),
        "../up".into(),
        "%2e%2e/up".into(),
        "a/.%2E/..%2fup".into(),
        "x%0d%0ay".into(),
        "a\\..\\b".into(),
    ] {
        let error = client.get_raw(&path).await.unwrap_err();
        assert!(matches!(error, FmClientError::InvalidPath(_)), "{path:?}: {error:?}");
        assert!(!error.is_network() && !is_retryable_error(&error));
        assert_eq!(client.get_json::<Value>(&path).await.unwrap_err().status(), 500);
    }
    assert_eq!((upstream.connections(), other.connections()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_not_followed_and_no_header_leaves() {
    let other = Upstream::always(ok("2")).await;
    for target in [format!("{}/stolen", other.url()), "/elsewhere".to_owned()] {
        let upstream = Upstream::always(answer(302, &[("location", &target)], b"")).await;
        let error = client(&upstream).get_raw("x").header("authorization", "Bearer secret").await.unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(302));
        assert_eq!(client(&upstream).get_json::<Value>("x").await.unwrap_err().status(), 502);
        assert_eq!(upstream.seen().len(), 2);
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn redirects_that_are_allowed_stay_on_the_upstream() {
    let other = Upstream::always(ok("2")).await;
    let away = answer(307, &[("location", &format!("{}/stolen", other.url()))], b"");
    let upstream = Upstream::scripted(vec![answer(302, &[("location", "/there")], b""), ok("1"), away]).await;
    let client = builder(&upstream).max_redirects(3).build().unwrap();
    assert_eq!(client.get_json::<u32>("here").await.unwrap(), 1);
    assert_eq!(upstream.seen()[1].target(), "/there");
    assert_eq!(upstream.seen()[1].header("referer"), None);
    let error = client.get_raw("x").header("x-api-key", "secret").await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(307));
    assert_eq!(other.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn redirects_without_end_are_an_error_that_is_not_retried() {
    let upstream = Upstream::always(answer(302, &[("location", "/again")], b"")).await;
    let client = builder(&upstream).max_redirects(3).build().unwrap();
    let error = client.get_raw("x").await.unwrap_err();
    assert!(!is_retryable_error(&error), "{error:?}");
    assert_eq!(upstream.seen().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_paths_own_query_is_kept_and_parameters_follow_it() {
    #[derive(Serialize)]
    struct Page {
        number: u32,
        after: Option<String>,
    }
    let upstream = Upstream::always(ok("1")).await;
    let client = FmResilientClient::new(format!("http://user:pass@{}/api/", upstream.address())).unwrap();
    let request = client.get_raw("/x?q=1#part").query(Page { number: 2, after: None }).query([("tag", "a b")]);
    request.header("x-trace", "t").await.unwrap();
    let seen = upstream.seen();
    assert_eq!(seen[0].target(), "/api/x?q=1&number=2&tag=a+b");
    assert_eq!(seen[0].header("x-trace"), Some("t"));
    assert_eq!(seen[0].header("authorization"), Some("Basic dXNlcjpwYXNz"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_refused_before_anything_is_sent() {
    let upstream = Upstream::always(ok("1")).await;
    let client = client(&upstream);
    let mistakes = [
        client.get_raw("x").header("x-a", "one\r\nx-b: two").await,
        client.get_raw("x").header("x a", "one").await,
        client.get_raw("x").idempotency_key("line\nbreak").await,
        client.get_raw("x").query("no names").await,
        client.get_raw("x").timeout(-1).await,
        client.get_raw("x").json(std::collections::BTreeMap::from([([1], 2)])).await,
    ];
    for mistake in mistakes {
        assert!(matches!(mistake, Err(FmClientError::InvalidRequest(_))), "{mistake:?}");
    }
    assert_eq!(client.request::<Value>("NO METHOD", "x").await.unwrap_err().status(), 500);
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_method_sends_its_body_and_decodes_its_answer() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Item {
        id: u32,
    }
    let upstream = Upstream::always(ok(r#"{"id":1}"#)).await;
    let client = client(&upstream);
    let body = json!({"name": "pen"});
    let item = Item { id: 1 };
    assert_eq!(client.get_json::<Item>("a").await.unwrap(), item);
    assert_eq!(client.post_json::<Item>("a", &body).await.unwrap(), item);
    assert_eq!(client.put_json::<Item>("a", &body).await.unwrap(), item);
    assert_eq!(client.patch_json::<Item>("a", &body).await.unwrap(), item);
    assert_eq!(client.delete_json::<Item>("a").await.unwrap(), item);
    assert_eq!(client.request::<Item>(Method::from_bytes(b"PURGE").unwrap(), "a").json(&body).await.unwrap(), item);
    assert_eq!(client.request::<Option<Item>>("HEAD", "a").await.unwrap(), None);
    let seen = upstream.seen();
    let methods: Vec<_> = seen.iter().map(|seen| seen.method().to_owned()).collect();
    assert_eq!(methods, ["GET", "POST", "PUT", "PATCH", "DELETE", "PURGE", "HEAD"]);
    for (number, has_body) in [false, true, true, true, false, true, false].into_iter().enumerate() {
        assert_eq!(seen[number].body == body.to_string().as_bytes(), has_body, "{}", methods[number]);
        assert_eq!(seen[number].header("content-type") == Some("application/json"), has_body);
    }
}

/// A helper as people write them: generic, with no bound but decoding.
async fn fetch<T: serde::de::DeserializeOwned>(client: &FmResilientClient, path: &str) -> Result<T, FmHttpError> {
    client.get_json(path).await
}

#[tokio::test(start_paused = true)]
async fn a_generic_helper_needs_no_bound_but_decoding() {
    let upstream = Upstream::always(ok("[1,2]")).await;
    assert_eq!(fetch::<Vec<u8>>(&client(&upstream), "x").await.unwrap(), [1, 2]);
}

// What comes back.

#[tokio::test(start_paused = true)]
async fn a_gzip_bomb_is_cut_at_the_limit() {
    let bomb = gzip(&vec![b' '; 256 << 20]);
    assert!(bomb.len() < 1 << 19, "{} bytes on the wire", bomb.len());
    let upstream = Upstream::always(answer(200, &[("content-encoding", "gzip")], &bomb)).await;
    let error = client(&upstream).get_raw("x").await.unwrap_err();
    assert!(matches!(error, FmClientError::TooLarge(_)), "{error:?}");
    assert!(error.to_string().contains("10485760"), "{error}");
    assert_eq!(client(&upstream).get_json::<Value>("x").await.unwrap_err().status(), 502);
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_may_fill_the_limit_and_not_exceed_it() {
    for (length, fits) in [(1000, true), (1001, false)] {
        let body = "x".repeat(length);
        for steps in [
            answer(200, &[], body.as_bytes()),
            answer(200, &[("content-encoding", "gzip")], &gzip(body.as_bytes())),
            vec![Step::Send(format!("HTTP/1.1 200 OK\r\n\r\n{body}").into_bytes()), Step::Close],
        ] {
            let upstream = Upstream::always(steps).await;
            let client = builder(&upstream).max_body_bytes(1000).build().unwrap();
            match client.get_raw("x").await {
                Ok(got) => assert!(fits && got == FmBody::Text(body.clone())),
                Err(error) => assert!(!fits && matches!(error, FmClientError::TooLarge(_)), "{error:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_announced_too_large_is_not_even_read() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
    let upstream = Upstream::always(vec![Step::Send(head), Step::Hang]).await;
    let began = Instant::now();
    let error = client(&upstream).get_raw("x").await.unwrap_err();
    assert!(matches!(error, FmClientError::TooLarge(_)), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_drips_for_ever_is_cut_at_the_timeout() {
    let mut steps = vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec())];
    for _ in 0..1000 {
        steps.extend([Step::Send(b"x".to_vec()), Step::Pause(Duration::from_millis(100))]);
    }
    let upstream = Upstream::always(steps).await;
    let client = builder(&upstream).timeout(2).retry_attempts(1).build().unwrap();
    for (request, limit) in [(client.get_raw("x"), 2.0), (client.get_raw("x").timeout(0.5), 0.5)] {
        let began = Instant::now();
        let error = request.await.unwrap_err();
        assert!(error.is_timeout() && error.is_network(), "{error:?}");
        assert!((began.elapsed().as_secs_f64() - limit).abs() < 0.05, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn every_way_to_break_off_is_a_network_error_and_is_retried() {
    let raw = |text: &str| vec![Step::Send(text.as_bytes().to_vec()), Step::Close];
    let zipped = |end: Step| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9999\r\n\r\n";
        vec![Step::Send([head.as_slice(), &gzip(&[b'x'; 100])[..20]].concat()), end]
    };
    for broken in [
        zipped(Step::Close),
        zipped(Step::Hang),
        vec![Step::Close],
        vec![Step::Hang],
        raw("garbage\r\n\r\n"),
        raw("HTTP/1.1 200"),
        raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"),
        raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\nnonsense\r\n"),
        vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}".to_vec()), Step::Hang],
    ] {
        let shown = format!("{broken:?}");
        let upstream = Upstream::always(broken).await;
        let client = client(&upstream);
        let error = client.get_raw("x").await.unwrap_err();
        assert!(error.is_network(), "{shown}: {error:?}");
        assert_eq!((upstream.seen().len(), seconds(&upstream.waits())), (3, vec![2.0, 2.0]), "{shown}");
        let cause = error.source().and_then(|source| source.downcast_ref::<reqwest::Error>());
        assert!(cause.is_some(), "{shown}: {error:?}");
        assert_eq!(client.get_json::<Value>("x").await.unwrap_err().status(), 502);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_decoded_is_permanent() {
    let upstream = Upstream::always(answer(200, &[("content-encoding", "gzip")], b"this is no gzip")).await;
    let error = client(&upstream).get_raw("x").await.unwrap_err();
    assert!(matches!(error, FmClientError::Decode(_)) && !is_retryable_error(&error), "{error:?}");
    let upstream = Upstream::always(ok(r#"{"a":1}"#)).await;
    let error = client(&upstream).get_json::<Vec<u32>>("x").await.unwrap_err();
    assert_eq!((error.status().as_u16(), error.is_network(), upstream.seen().len()), (502, false, 1));
}

// Opening and closing.

#[tokio::test(start_paused = true)]
async fn a_closed_client_says_so_until_it_is_started_again() {
    let upstream = Upstream::always(ok("1")).await;
    let client = client(&upstream);
    let clone = client.clone();
    client.get_raw("x").await.unwrap();
    client.aclose().await;
    client.aclose().await;
    assert!(matches!(clone.get_raw("x").await, Err(FmClientError::Closed)));
    assert_eq!(clone.get_json::<Value>("x").await.unwrap_err().status(), 503);
    assert_eq!(upstream.seen().len(), 1);
    clone.start().await.unwrap();
    clone.start().await.unwrap();
    client.get_raw("x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_ends_a_call_that_waits_for_its_next_attempt() {
    let upstream = Upstream::always(status(503)).await;
    let client = client(&upstream);
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.get_raw("x").await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.aclose().await;
    assert!(matches!(call.await.unwrap(), Err(FmClientError::Closed)));
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_dropped_closes_the_connections() {
    let upstream = Upstream::always(ok("1")).await;
    let client = client(&upstream);
    let clone = client.clone();
    client.get_raw("x").await.unwrap();
    drop(client);
    clone.get_raw("x").await.unwrap();
    assert_eq!((upstream.open(), upstream.connections()), (1, 1));
    drop(clone);
    while upstream.open() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_under_way_than_connections_allowed() {
    let slow = [vec![Step::Pause(Duration::from_secs(1))], ok("1")].concat();
    let upstream = Upstream::always(slow).await;
    let client = builder(&upstream).max_connections(2).build().unwrap();
    let began = Instant::now();
    let calls = (0..6).map(|_| client.get_json::<u32>("x").into_future());
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_connection_within_the_timeout_is_told() {
    let upstream = Upstream::always(vec![Step::Hang]).await;
    let client = builder(&upstream).max_connections(1).timeout(5).retry_attempts(1).build().unwrap();
    let (first, second) = tokio::join!(client.get_raw("x"), client.get_raw("x").timeout(1));
    assert!(first.unwrap_err().is_timeout());
    let error = second.unwrap_err();
    assert!(error.is_timeout() && error.is_network() && is_retryable_error(&error), "{error:?}");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_keepalive_every_request_has_its_own_connection() {
    let upstream = Upstream::always(ok("1")).await;
    let client = builder(&upstream).max_keepalive_connections(0).build().unwrap();
    for _ in 0..3 {
        client.get_raw("x").await.unwrap();
    }
    assert_eq!(upstream.connections(), 3);
}

#[test]
fn a_client_fits_a_static_and_settings_are_checked() {
    static CLIENT: LazyLock<FmResilientClient> =
        LazyLock::new(|| FmResilientClient::new("http://127.0.0.1:1").expect("a URL"));
    assert!(format!("{:?}", *CLIENT).contains("http://127.0.0.1:1"));
    let builder = || FmResilientClient::builder().base_url("http://h.example");
    for refused in [
        FmResilientClient::builder().build(),
        builder().timeout(-1).build(),
        builder().retry_wait_min(f64::NAN).retry_wait_max(1).build(),
        builder().max_connections(0).build(),
        FmResilientClient::new(""),
    ] {
        assert!(refused.unwrap_err().is_config());
    }
    assert!(builder().timeout(Duration::MAX).retry_wait_max(u64::MAX).max_connections(usize::MAX).build().is_ok());
}
