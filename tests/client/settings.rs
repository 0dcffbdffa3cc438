//! What the builder is told: credentials, deadlines, proxies, connections, closing.

use std::time::Duration;

use memory_core::{FmClientError, FmResilientClient, reqwest::Method};
use tokio::time::Instant;

use crate::{
    builder, client, status,
    upstream::{Step, Upstream, answer, json as ok},
};

#[tokio::test(start_paused = true)]
async fn default_headers_and_credentials_go_with_every_request_and_a_request_may_set_its_own() {
    let upstream = Upstream::always(ok("1")).await;
    let bearer = builder(&upstream).bearer_auth("t0ken").default_header("x-tenant", "a").user_agent("shop/1").build();
    let bearer = bearer.unwrap();
    bearer.get_raw("x").await.unwrap();
    bearer.get_raw("x").bearer_auth("other").header("x-tenant", "b").await.unwrap();
    bearer.get_raw("x").basic_auth("user", "pass").await.unwrap();
    let url = format!("http://from:url@{}", upstream.address());
    let basic = FmResilientClient::builder().base_url(url).basic_auth("Aladdin", "open sesame").build().unwrap();
    basic.get_raw("x").await.unwrap();
    let of =
        |name: &str| -> Vec<_> { upstream.seen().iter().map(|seen| seen.header(name).map(str::to_owned)).collect() };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        of("authorization"),
        [
            some("Bearer t0ken"),
            some("Bearer other"),
            some("Basic dXNlcjpwYXNz"),
            some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        ]
    );
    assert_eq!(of("x-tenant")[..3], [some("a"), some("b"), some("a")]);
    assert_eq!(of("user-agent")[0], some("shop/1"));
}

#[tokio::test(start_paused = true)]
async fn default_credentials_never_cross_origins_and_are_never_shown() {
    let other = Upstream::always(ok("2")).await;
    let away = answer(307, &[("location", &format!("{}/stolen", other.url()))], b"");
    let upstream = Upstream::always(away).await;
    let builder = builder(&upstream).bearer_auth("s3cret").default_header("x-api-key", "s3cret").max_redirects(5);
    let shown = format!("{builder:?}");
    let client = builder.proxy("http://user:s3cret@proxy.example:1").clone();
    assert!(!format!("{shown}{client:?}").contains("s3cret"));
    let client = FmResilientClient::builder()
        .base_url(upstream.url())
        .bearer_auth("s3cret")
        .default_header("x-api-key", "s3cret")
        .max_redirects(5)
        .build()
        .unwrap();
    let request = client.get_raw("x");
    assert!(!format!("{client:?}{request:?}").contains("s3cret"));
    let error = request.await.unwrap_err();
    assert!(!format!("{error}{error:?}").contains("s3cret"));
    assert_eq!((upstream.seen().len(), other.connections()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_attempts_waits_and_bodies() {
    let drip = vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec()), Step::Hang];
    // An attempt takes 2 s, or none where the answer comes at once; between two attempts there are 2 s.
    for (steps, deadline, sent, lasts) in [
        (vec![Step::Hang], 5.0, 2, 5.0),
        (drip, 5.0, 2, 5.0),
        (vec![Step::Hang], 3.5, 1, 2.0),
        (vec![Step::Hang], 1.0, 1, 1.0),
        (status(503), 3.0, 2, 2.0),
        (status(503), 1.0, 1, 0.0),
    ] {
        let upstream = Upstream::always(steps).await;
        let client = builder(&upstream).timeout(2).deadline(deadline).build().unwrap();
        let began = Instant::now();
        client.get_raw("x").await.unwrap_err();
        let lasted = began.elapsed().as_secs_f64();
        assert_eq!(upstream.seen().len(), sent, "with {deadline} s");
        assert!((lasted - lasts).abs() < 0.05, "with {deadline} s: {lasted} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_past_the_deadline_comes_back_at_once_with_the_delay() {
    let upstream = Upstream::always(answer(503, &[("retry-after", "20")], b"")).await;
    let client = builder(&upstream).deadline(10).build().unwrap();
    let began = Instant::now();
    let error = client.get_raw("x").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(20)));
    assert!(began.elapsed() < Duration::from_secs(1));
    client.get_raw("x").deadline(30).await.unwrap_err();
    assert_eq!(upstream.seen().len(), 3, "with 30 s there is time for one more");
}

#[tokio::test(start_paused = true)]
async fn the_upstream_is_told_how_long_it_has_where_asked_for() {
    let slow = [vec![Step::Pause(Duration::from_secs(1))], status(503)].concat();
    let upstream = Upstream::always(slow).await;
    let client = builder(&upstream).timeout(4).deadline(6).deadline_header("x-deadline-ms").build().unwrap();
    client.get_raw("x").await.unwrap_err();
    let told: Vec<u64> =
        upstream.seen().iter().map(|seen| seen.header("x-deadline-ms").unwrap().parse().unwrap()).collect();
    // 4 s for the attempt; then 1 s and a wait of 2 s are gone of the 6 s; then no wait fits.
    assert_eq!(told.len(), 2);
    assert!((3_990..=4_000).contains(&told[0]) && (2_980..=3_000).contains(&told[1]), "{told:?}");
    let silent = Upstream::always(ok("1")).await;
    crate::client(&silent).get_raw("x").await.unwrap();
    assert!(!silent.seen()[0].head.contains("deadline"));
}

#[tokio::test(start_paused = true)]
async fn cookies_are_not_kept() {
    let upstream = Upstream::always(answer(200, &[("set-cookie", "session=1")], b"1")).await;
    let client = client(&upstream);
    client.get_raw("x").await.unwrap();
    client.get_raw("x").await.unwrap();
    assert!(upstream.seen().iter().all(|seen| seen.header("cookie").is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_is_used_when_it_is_named() {
    let proxy = Upstream::always(ok("1")).await;
    let url = format!("http://user:pass@{}", proxy.address());
    let client = FmResilientClient::builder().base_url("http://upstream.example/api").proxy(&url).build().unwrap();
    client.get_raw("x").await.unwrap();
    let seen = proxy.seen();
    assert_eq!(seen[0].target(), "http://upstream.example/api/x");
    assert_eq!(seen[0].header("proxy-authorization"), Some("Basic dXNlcjpwYXNz"));
}

#[tokio::test]
async fn a_connection_that_is_not_made_ends_at_its_own_timeout_and_any_method_is_tried_again() {
    // A listener whose queue is full answers no further handshake.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        filling.push(stream);
    }
    let client = FmResilientClient::builder()
        .base_url(format!("http://{address}"))
        .connect_timeout(0.2)
        .timeout(30)
        .retry_attempts(2)
        .retry_wait_min(0)
        .retry_wait_max(0)
        .build()
        .unwrap();
    let began = Instant::now();
    let error = client.request_raw(Method::POST, "x").await.unwrap_err();
    assert!(error.is_timeout() && error.is_network(), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(client.stats().attempts, 2);
    drop(filling);
}

#[tokio::test]
async fn a_storm_of_requests_keeps_to_the_connections_allowed() {
    let upstream = Upstream::start(|number| {
        let steps = [vec![Step::Pause(Duration::from_millis(number as u64 % 3))], ok("1")].concat();
        if number % 7 == 0 { vec![Step::Close] } else { steps }
    })
    .await;
    let client = builder(&upstream).max_connections(4).retry_wait_min(0).retry_wait_max(0).retry_attempts(9).build();
    let client = client.unwrap();
    let storm = (0..400).map(|_| tokio::spawn(client.get_raw("x").into_future()));
    let answers = futures::future::join_all(storm).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Ok(_)))));
    assert_eq!(upstream.most_under_way(), 4, "no more at once, and no fewer");
    let open = upstream.most_open();
    assert!((4..=8).contains(&open), "{open} connections");
}

#[tokio::test(start_paused = true)]
async fn closing_gracefully_waits_for_attempts_and_answers_under_way_and_for_nothing_else() {
    let slow = [vec![Step::Pause(Duration::from_secs(5))], ok("1")].concat();
    let upstream = Upstream::scripted(vec![ok("1"), slow]).await;
    let client = builder(&upstream).max_connections(2).build().unwrap();
    let streamed = client.get_raw("x").stream().await.unwrap();
    let call = tokio::spawn(client.get_raw("x").into_future());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let without_turn = tokio::spawn(client.get_raw("x").into_future());
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let client = client.clone();
        async move { client.aclose_gracefully().await }
    });
    assert!(matches!(without_turn.await.unwrap(), Err(FmClientError::Closed)));
    assert!(matches!(client.get_raw("x").await, Err(FmClientError::Closed)));
    assert!(call.await.unwrap().is_ok());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!closing.is_finished(), "an answer is still read");
    assert_eq!(streamed.bytes().await.unwrap(), b"1".as_slice());
    closing.await.unwrap();
    client.aclose_gracefully().await;
    assert_eq!((upstream.seen().len(), client.stats().under_way), (2, 0));
}

#[test]
fn settings_that_cannot_be_are_refused_without_showing_them() {
    let builder = || FmResilientClient::builder().base_url("http://h.example");
    for refused in [
        builder().proxy("socks9://user:s3cret@h").build(),
        builder().proxy("s3cret").build(),
        builder().bearer_auth("s3cret\r\nx: y").build(),
        builder().basic_auth("s3cret:", "").build(),
        builder().default_header("x a", "s3cret").build(),
        builder().deadline_header("x:s3cret").build(),
        builder().user_agent("s3cret\n").build(),
        builder().add_root_certificate("s3cret").build(),
        builder().deadline(-1).build(),
        builder().connect_timeout(f64::NAN).build(),
    ] {
        let error = refused.unwrap_err();
        assert!(error.is_config() && !format!("{error}{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_function_around_it_holds_for_the_client_and_is_told_to_the_upstream() {
    static CLIENT: std::sync::OnceLock<FmResilientClient> = std::sync::OnceLock::new();
    #[memory_core::retry(deadline = 3)]
    async fn call() -> Result<(), memory_core::FmError> {
        Ok(CLIENT.get().unwrap().get_raw("x").await.map(drop)?)
    }
    let upstream = Upstream::always(vec![Step::Hang]).await;
    CLIENT.set(builder(&upstream).deadline_header("x-deadline-ms").build().unwrap()).unwrap();
    let began = Instant::now();
    assert!(call().await.unwrap_err().is_timeout());
    assert!(began.elapsed() < Duration::from_millis(3_050), "{:?}", began.elapsed());
    let told: u64 = upstream.seen()[0].header("x-deadline-ms").unwrap().parse().unwrap();
    assert!((2_980..=3_000).contains(&told), "{told}");
}
