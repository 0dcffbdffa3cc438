//! One attempt over the network: connection limit, timeout, status.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Proxy, Request, Response, StatusCode, redirect};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::{
    builder::Settings,
    error::FmClientError,
    response::{FmResponse, Turn},
    retry_after, tls,
};
use crate::error::{FmError, Kind};

/// An open client: connections, and turns to use them.
pub(crate) struct Transport {
    http: Client,
    turns: Arc<Semaphore>,
    /// Goes when the last attempt has gone.
    alive: watch::Sender<()>,
}

/// How long an attempt may take, and how the upstream is told.
pub(crate) struct Limits<'a> {
    pub(crate) timeout: Duration,
    pub(crate) settings: &'a Settings,
    /// Which statuses are none that failed.
    pub(crate) takes: fn(StatusCode) -> bool,
}

impl Transport {
    /// Opens nothing yet: connections are made when they are needed.
    pub(crate) fn open(settings: &Settings, is_secure: bool) -> Result<Self, FmError> {
        let turns = settings.connections.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            http: http(settings, is_secure)?,
            turns: Arc::new(Semaphore::new(turns)),
            alive: watch::Sender::new(()),
        })
    }

    pub(crate) fn http(&self) -> &Client {
        &self.http
    }

    /// No attempt begins any more.
    pub(crate) fn close(&self) {
        self.turns.close();
    }

    /// Waits for the attempts under way and the answers that are still read.
    pub(crate) async fn gone(self: Arc<Self>) {
        let mut alive = self.alive.subscribe();
        drop(self);
        while alive.changed().await.is_ok() {}
    }

    /// Sends once, up to the headers of the answer.
    pub(crate) async fn exchange(
        self: Arc<Self>,
        mut request: Request,
        target: &Arc<str>,
        limits: Limits<'_>,
    ) -> Result<FmResponse, FmClientError> {
        let started = Instant::now();
        let turn = self.turn(target, limits.timeout).await?;
        let left = limits.timeout.saturating_sub(started.elapsed());
        *request.timeout_mut() = Some(left);
        if let Some(name) = &limits.settings.deadline_header {
            // Saturates: no upstream counts that far.
            let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            request.headers_mut().insert(name, millis.into());
        }
        let response = self.http.execute(request).await.map_err(|error| FmClientError::transport(target, error))?;
        if !(limits.takes)(response.status()) {
            return Err(refusal(target, response));
        }
        FmResponse::new(response, target, limits.settings.body_limit, Some(Turn::new(turn, self)))
    }

    async fn turn(&self, target: &str, timeout: Duration) -> Result<OwnedSemaphorePermit, FmClientError> {
        match tokio::time::timeout(timeout, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(FmClientError::Closed),
            Err(_) => Err(FmClientError::no_connection(target)),
        }
    }
}

fn http(settings: &Settings, is_secure: bool) -> Result<Client, FmError> {
    let tls = tls::config(settings, is_secure)
        .map_err(|error| FmError::with_source(Kind::Config, "TLS could not be set up", error))?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(settings.user_agent.clone())
        .pool_max_idle_per_host(settings.idle_connections.min(settings.connections))
        .redirect(redirects(settings.redirects))
        .referer(false)
        .no_proxy();
    if let Some(proxy) = &settings.proxy {
        builder =
            builder.proxy(Proxy::all(proxy.clone()).map_err(|_| FmError::new(Kind::Config, "the proxy is refused"))?);
    }
    if let Some(timeout) = settings.connect_timeout {
        builder = builder.connect_timeout(timeout);
    }
    if settings.http2_only {
        builder = builder.http2_prior_knowledge();
    }
    builder.build().map_err(|error| FmError::with_source(Kind::Config, "the HTTP client could not be set up", error))
}

/// What an answer of a status that failed is.
pub(crate) fn refusal(target: &str, response: Response) -> FmClientError {
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
