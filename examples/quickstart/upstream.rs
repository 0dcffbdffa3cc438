//! What the service depends on: users over HTTP, exchange rates over plain TCP. Of three requests for the same thing the
//! first two fail, and each takes 20 ms.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::User;

pub(crate) struct Upstream {
    pub(crate) users: SocketAddr,
    pub(crate) rates: SocketAddr,
    pub(crate) requests: Requests,
}

/// How often each thing was asked for.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<HashMap<String, u64>>>);

impl Requests {
    pub(crate) fn of(&self, what: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(what).copied().unwrap_or(0)
    }

    /// Counts a request, takes its time, and says whether it fails.
    async fn fails(&self, what: String) -> bool {
        let number = {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(what).or_default();
            *count += 1;
            *count
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        number % 3 != 0
    }
}

pub(crate) async fn start() -> io::Result<Upstream> {
    let requests = Requests::default();
    let http = TcpListener::bind("127.0.0.1:0").await?;
    let lines = TcpListener::bind("127.0.0.1:0").await?;
    let (users, rates) = (http.local_addr()?, lines.local_addr()?);
    let router = Router::new().route("/users/{id}", get(user)).with_state(requests.clone());
    tokio::spawn(async move { axum::serve(http, router).await });
    tokio::spawn(serve_rates(lines, requests.clone()));
    Ok(Upstream { users, rates, requests })
}

async fn user(State(requests): State<Requests>, Path(id): Path<u64>) -> Response {
    if id == 0 {
        return StatusCode::NOT_FOUND.into_response();
    }
    if requests.fails(format!("users/{id}")).await {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(User { id, name: format!("User {id}"), currency: "EUR".to_owned() }).into_response()
}

async fn serve_rates(listener: TcpListener, requests: Requests) {
    while let Ok((connection, _)) = listener.accept().await {
        let requests = requests.clone();
        tokio::spawn(async move { answer_rate(connection, requests).await });
    }
}

/// Reads a line, the currency, and answers with a line, the rate; a request that fails is hung up on.
async fn answer_rate(connection: TcpStream, requests: Requests) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    if !requests.fails(format!("rates/{}", line.trim())).await {
        connection.write_all(b"1.0842\n").await?;
    }
    Ok(())
}
