//! Clients: they ask over real sockets, go away in the middle, and have what they get checked.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::{HeaderValue, StatusCode};
use fastrand::Rng;
use reqwest::Url;

use crate::{
    call::{Call, Shape},
    ledger::{Answer, Asked, Ledger},
    order::Mood,
    service::path_of,
    stop::Stop,
    sweep::Hot,
};

/// Nothing takes longer: the longest are a body that is aborted after a second and, for those who take over, another one.
const ANSWERED: Duration = Duration::from_secs(8);

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) services: Arc<[SocketAddr]>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) hot: Hot,
    /// The longest time between two requests, in milliseconds.
    pub(crate) pause: u64,
}

impl Client {
    /// Asks until it is stopped.
    pub(crate) async fn run(self, stop: Stop, mut rng: Rng) {
        while !stop.is_set() {
            tokio::time::sleep(Duration::from_millis(rng.u64(..self.pause))).await;
            self.step(&mut rng).await;
        }
    }

    async fn step(&self, rng: &mut Rng) {
        let call = if rng.u8(..100) < 85 { self.hot.pick(rng) } else { Call::random(rng) };
        let mood = Mood::random(call.shape, rng);
        let leaves = (rng.u8(..100) < 10).then(|| Duration::from_millis(rng.u64(..30)));
        let asked = self.ledger.ask(call, mood, rng.usize(..self.services.len()));
        let answer = tokio::time::timeout(leaves.unwrap_or(ANSWERED), self.send(&asked)).await;
        let answer = answer.unwrap_or_else(|_| match leaves {
            Some(_) => Answer::Aborted,
            None => Answer::Broken(format!("no answer within {ANSWERED:?}")),
        });
        self.ledger.judge(&asked, answer);
    }

    async fn send(&self, asked: &Asked) -> Answer {
        let request = self
            .http
            .get(url(self.services[asked.service], &asked.call))
            .header("user", HeaderValue::from_bytes(asked.call.user.as_bytes()).expect("no control characters"))
            .header("request", asked.request)
            .header("mood", asked.mood.to_header());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Answer::Broken(format!("no response: {error:?}")),
        };
        let status = response.status();
        match response.bytes().await {
            Ok(body) => read(status, &body),
            Err(error) => Answer::Broken(format!("half a response: {error:?}")),
        }
    }
}

fn read(status: StatusCode, body: &[u8]) -> Answer {
    let answer = match status {
        StatusCode::OK => serde_json::from_slice(body).map(Answer::Found),
        StatusCode::BAD_GATEWAY => serde_json::from_slice(body).map(Answer::Failed),
        StatusCode::GATEWAY_TIMEOUT => Ok(Answer::TimedOut),
        _ => Ok(Answer::Broken(format!("{status}: {}", String::from_utf8_lossy(body)))),
    };
    answer.unwrap_or_else(|error| Answer::Broken(format!("{error} in {}", String::from_utf8_lossy(body))))
}

fn url(service: SocketAddr, call: &Call) -> Url {
    let mut url = Url::parse(&format!("http://{service}/{}", path_of(call.shape))).expect("a URL");
    let in_path = if call.shape == Shape::Item { 2 } else { call.arguments.len() };
    let (path, query) = call.arguments.split_at(in_path);
    url.path_segments_mut().expect("a path").extend(path);
    if let [filter] = query {
        url.query_pairs_mut().append_pair("filter", filter);
    }
    url
}
