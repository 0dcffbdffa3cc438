//! One attempt over the network: connection limit, timeout, status, and a body no longer than allowed.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Method, Response, Url,
    header::{CONTENT_TYPE, HeaderMap},
    redirect,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::{
    builder::Settings,
    error::FmClientError,
    retry_after,
    tls::{self, Trust},
};
use crate::error::{FmError, Kind};

/// An open client: connections, and turns to use them.
pub(crate) struct Transport {
    http: Client,
    turns: Semaphore,
    body_limit: u64,
}

/// A request as it goes out, as often as needed.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<bytes::Bytes>,
    pub(crate) timeout: Duration,
    /// Method and URL as errors show them.
    pub(crate) target: String,
}

/// A complete answer of status 2xx.
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: Option<String>,
}

impl Transport {
    /// Opens nothing yet: connections are made when they are needed.
    pub(crate) fn open(settings: &Settings, is_secure: bool) -> Result<Self, FmError> {
        let trust = match (is_secure, settings.verify) {
            (false, _) => Trust::Nobody,
            (true, true) => Trust::Platform,
            (true, false) => Trust::Anybody,
        };
        let tls =
            tls::config(trust).map_err(|error| FmError::with_source(Kind::Config, "TLS could not be set up", error))?;
        let http = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("memory-core/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(settings.idle_connections)
            .redirect(redirects(settings.redirects))
            .referer(false)
            .no_proxy()
            .build()
            .map_err(|error| FmError::with_source(Kind::Config, "the HTTP client could not be set up", error))?;
        let turns = Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS));
        Ok(Self { http, turns, body_limit: settings.body_limit })
    }

    /// Sends once and reads the whole answer.
    pub(crate) async fn exchange(&self, outgoing: &Outgoing) -> Result<Answer, FmClientError> {
        let started = Instant::now();
        let _turn = self.turn(outgoing).await?;
        let left = outgoing.timeout.saturating_sub(started.elapsed());
        let mut request = self
            .http
            .request(outgoing.method.clone(), outgoing.url.clone())
            .headers(outgoing.headers.clone())
            .timeout(left);
        if let Some(body) = &outgoing.body {
            request = request.body(body.clone());
        }
        let response = request.send().await.map_err(|error| FmClientError::transport(&outgoing.target, error))?;
        if !response.status().is_success() {
            return Err(refusal(&outgoing.target, response));
        }
        self.read(&outgoing.target, response).await
    }

    async fn turn(&self, outgoing: &Outgoing) -> Result<SemaphorePermit<'_>, FmClientError> {
        match tokio::time::timeout(outgoing.timeout, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(FmClientError::Closed),
            Err(_) => Err(FmClientError::no_connection(&outgoing.target)),
        }
    }

    async fn read(&self, target: &str, mut response: Response) -> Result<Answer, FmClientError> {
        let too_large = || FmClientError::too_large(target, self.body_limit);
        if response.content_length().is_some_and(|length| length > self.body_limit) {
            return Err(too_large());
        }
        let content_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| FmClientError::transport(target, error))? {
            if (body.len() as u64).saturating_add(chunk.len() as u64) > self.body_limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { body, content_type })
    }
}

fn refusal(target: &str, response: Response) -> FmClientError {
    let status = response.status();
    let wait = retry_after::read(response.headers());
    FmClientError::answered(target, status, wait, response.error_for_status().err())
}

/// Follows only within the upstream, so that no header of ours reaches anybody else.
fn redirects(most: usize) -> redirect::Policy {
    if most == 0 {
        return redirect::Policy::none();
    }
    let limit = Arc::new(redirect::Policy::limited(most));
    redirect::Policy::custom(move |attempt| match attempt.previous().first() {
        Some(first) if first.origin() == attempt.url().origin() => limit.redirect(attempt),
        _ => attempt.stop(),
    })
}
