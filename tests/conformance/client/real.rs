//! Cases in which a real server of the original misbehaved.

use std::time::Duration;

use memory_core::FmResilientClient;
use serde_json::Value;
use tokio::time::Instant;

use super::{Compared, call, compare_outcome, compare_waits, expect};
use crate::upstream::{Step, Upstream, answer, gzip, json};

pub(super) fn left_out(case: &Value) -> Option<&'static str> {
    match case["behaviour"].as_str()? {
        "drip" => Some("known bug: a total timeout that is per read"),
        "badgzip" | "empty_host" | "scheme_ftp" => Some("known bug: permanent errors retried"),
        "status_999" => Some("600 and 999 are not retried"),
        behaviour if base_url(behaviour).is_none() && script(behaviour).is_none() => {
            Some("a server's behaviour this test has no script for")
        }
        _ => None,
    }
}

pub(super) async fn compare(case: &Value, face: &str) -> Compared {
    let behaviour = case["behaviour"].as_str().unwrap_or_default();
    let upstream = Upstream::scripted(script(behaviour).unwrap_or_default()).await;
    let base = base_url(behaviour).map_or_else(|| upstream.url(), str::to_owned);
    let client = FmResilientClient::builder()
        .base_url(base)
        .timeout(case["timeout"].as_f64().unwrap_or(1.0))
        .retry_attempts(case["attempts"].as_u64().and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(3))
        .build();
    let Ok(client) = client else {
        return expect("refused as no URL", false, case[face]["error"]["request_error"] == true);
    };
    let started = Instant::now();
    let outcome = call(&client, face, "x", None).await;
    compare_outcome(&case[face], &outcome)?;
    match case[face]["server_requests"].as_u64() {
        Some(requests) => {
            expect("requests", requests, upstream.seen().len() as u64)?;
            compare_waits(&case[face]["sleeps"], &upstream.waits())
        }
        None => {
            let waited: f64 = case[face]["sleeps"].as_array().into_iter().flatten().filter_map(Value::as_f64).sum();
            expect("waited", true, started.elapsed() >= Duration::from_secs_f64(waited))
        }
    }
}

/// Where no server of ours is asked.
fn base_url(behaviour: &str) -> Option<&'static str> {
    Some(match behaviour {
        "unresolvable_host" => "http://nowhere.invalid",
        "port_99999" => "http://127.0.0.1:99999",
        "port_0" => "http://127.0.0.1:0",
        "refused" | "connection_refused" => "http://127.0.0.1:1",
        _ => return None,
    })
}

/// What the server does about its first, second, … request.
fn script(behaviour: &str) -> Option<Vec<Vec<Step>>> {
    let close = || vec![Step::Close];
    let ok = || json(r#"{"a":1}"#);
    let raw = |text: &str| vec![Step::Send(text.as_bytes().to_vec()), Step::Close];
    Some(match behaviour {
        "hang" => vec![vec![Step::Hang]],
        "close" => vec![close()],
        "close_then_ok" => vec![close(), close(), ok()],
        "garbage" => vec![raw("not HTTP at all\r\n\r\n")],
        "truncated" => vec![raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":")],
        "slow_header_hang" => vec![vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()), Step::Hang]],
        "stall_body" => {
            vec![vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":".to_vec()), Step::Hang]]
        }
        "gzip" => vec![answer(200, &[("content-encoding", "gzip")], &gzip(br#"{"a":1}"#))],
        "redirect" => vec![answer(302, &[("location", "/elsewhere")], b"")],
        "503_conn_close" => {
            vec![[answer(503, &[("connection", "close")], b"{}"), close()].concat()]
        }
        "chunked" => {
            vec![raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")]
        }
        "chunked_broken" => {
            vec![raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[1,\r\nnonsense\r\n")]
        }
        "100" => {
            let interim = vec![Step::Send(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())];
            vec![[interim, ok()].concat()]
        }
        "http10" => vec![raw("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{\"a\":1}")],
        _ => return None,
    })
}
