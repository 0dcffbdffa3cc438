//! Each attempt, wait and refusal is an event with fields that stay, and a number in the statistics.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing_subscriber::{Layer, layer::SubscriberExt as _};

use crate::{
    builder, client, status,
    upstream::{Step, Upstream, answer, json as ok},
};

/// Every event of the client.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Fields>>>);

/// The fields of an event, by name.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name().to_owned(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name().to_owned(), value.to_owned()));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == "memory_core::client" {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields);
        }
    }
}

impl Events {
    /// One line an event: its message and the fields named.
    fn lines(&self, names: &[&str]) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let line = |event: &Fields| {
            let shown = names.iter().filter_map(|name| Some(format!(" {name}={}", event.get(name)?)));
            event.get("message").unwrap().to_owned() + &shown.collect::<String>()
        };
        events.iter().map(line).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_wait_and_refusal_is_told() {
    let events = Events::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    let upstream = Upstream::scripted(vec![status(503), vec![Step::Close], ok("1"), status(500)]).await;
    let client = client(&upstream);
    client.get_raw("a?token=s3cret").await.unwrap();
    client.post_json::<Value>("b", 1).await.unwrap_err();
    let names = ["attempt", "wait_ms", "outcome", "status", "reason"];
    assert_eq!(
        events.lines(&names),
        [
            "attempt attempt=1",
            "attempt ended attempt=1 outcome=status status=503",
            "waiting attempt=1 wait_ms=2000",
            "attempt attempt=2",
            "attempt ended attempt=2 outcome=network",
            "waiting attempt=2 wait_ms=2000",
            "attempt attempt=3",
            "attempt ended attempt=3 outcome=answer",
            "attempt attempt=1",
            "attempt ended attempt=1 outcome=status status=500",
            "not sent again reason=method",
        ]
    );
    let requests = events.lines(&["request"]);
    assert_eq!(requests[0], format!("attempt request=GET {}/a", upstream.url()));
    assert!(requests.iter().all(|line| line.contains("request=") && !line.contains("s3cret")));
}

#[tokio::test(start_paused = true)]
async fn every_refusal_says_why() {
    let events = Events::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    let upstream = Upstream::always(status(503)).await;
    let call = builder(&upstream).retry_attempts(2).build().unwrap();
    call.get_raw("x").await.unwrap_err();
    call.get_raw("x").deadline(1).await.unwrap_err();
    let later = Upstream::always(answer(503, &[("retry-after", "99999")], b"")).await;
    client(&later).get_raw("x").await.unwrap_err();
    let refusals: Vec<_> = events
        .lines(&["reason"])
        .into_iter()
        .filter_map(|line| Some(line.split_once("reason=")?.1.to_owned()))
        .collect();
    assert_eq!(refusals, ["attempts", "deadline", "retry_after"]);
}

#[tokio::test(start_paused = true)]
async fn the_statistics_count_what_happened() {
    let upstream = Upstream::scripted(vec![status(503), ok("1"), status(404), vec![Step::Hang]]).await;
    let client = client(&upstream);
    client.get_raw("x").await.unwrap();
    client.get_raw("x").await.unwrap_err();
    client.get_raw("../x").await.unwrap_err();
    client.post_json::<Value>("x", 1).timeout(1).await.unwrap_err();
    let call = tokio::time::timeout(std::time::Duration::from_secs(1), client.get_raw("x")).await;
    assert!(call.is_err(), "its caller went away");
    let stats = client.clone().stats();
    assert_eq!((stats.requests, stats.successes, stats.failures), (4, 1, 2));
    assert_eq!((stats.attempts, stats.retries, stats.timeouts), (5, 1, 1));
    assert_eq!((stats.refused_retries, stats.under_way), (1, 0));
}
