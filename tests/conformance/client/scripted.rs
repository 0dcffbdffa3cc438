//! Cases in which the upstream follows a script of answers and failures.

use axum::{Json, Router, body::Body, http::Request, routing::get};
use memory_core::{FmHttpError, FmResilientClient, FmResilientClientBuilder};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Compared, call, compare_outcome, compare_waits, expect};
use crate::upstream::{Step, Upstream, answer};

/// The failures a server can bring about, whatever the original's mock called them.
const BREAKS: &[&str] =
    &["ConnectError", "ReadError", "WriteError", "CloseError", "NetworkError", "RemoteProtocolError"];
const HANGS: &[&str] = &["ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"];
const PERMANENT: &[&str] = &["UnsupportedProtocol", "DecodingError", "TooManyRedirects"];

pub(super) fn left_out(case: &Value) -> Option<&'static str> {
    let is_negative = |name| case["client"][name].as_f64().is_some_and(|number| number < 0.0);
    if ["retry_attempts", "retry_wait_min", "retry_wait_max"].into_iter().any(is_negative) {
        return Some("Python-only: negative attempts and waits");
    }
    case["script"].as_array()?.iter().find_map(step_left_out)
}

fn step_left_out(step: &Value) -> Option<&'static str> {
    if step.get("raise_py").is_some() {
        return Some("Python-only: an exception of the language");
    }
    if let Some(kind) = step["raise"].as_str() {
        return match kind {
            kind if PERMANENT.contains(&kind) => Some("known bug: permanent errors retried"),
            kind if BREAKS.contains(&kind) || HANGS.contains(&kind) => None,
            _ => Some("a mock's own error"),
        };
    }
    match step["status"].as_u64() {
        Some(..200) => Some("a mock's own answer: 1xx is no final answer on a socket"),
        Some(600..) => Some("600 and 999 are not retried"),
        _ if step["headers"].get("retry-after").is_some() => Some("known bug: Retry-After ignored"),
        _ => None,
    }
}

pub(super) async fn compare(case: &Value, face: &str) -> Compared {
    let script: Vec<_> = case["script"].as_array().into_iter().flatten().map(steps).collect();
    let upstream = Upstream::scripted(script).await;
    let client = configured(&upstream, &case["client"]).build().map_err(|error| error.to_string())?;
    let outcome = call(&client, face, "x", None).await;
    compare_outcome(&case[face], &outcome)?;
    expect("calls", case[face]["calls"].as_u64(), Some(upstream.seen().len() as u64))?;
    compare_waits(&case[face]["sleeps"], &upstream.waits())
}

fn configured(upstream: &Upstream, options: &Value) -> FmResilientClientBuilder {
    let mut builder = FmResilientClient::builder().base_url(upstream.url());
    if let Some(attempts) = options["retry_attempts"].as_u64() {
        builder = builder.retry_attempts(u32::try_from(attempts).unwrap_or(u32::MAX));
    }
    if let Some(wait) = options["retry_wait_min"].as_f64() {
        builder = builder.retry_wait_min(wait);
    }
    if let Some(wait) = options["retry_wait_max"].as_f64() {
        builder = builder.retry_wait_max(wait);
    }
    if let Some(timeout) = options["timeout"].as_f64() {
        builder = builder.timeout(timeout);
    }
    builder
}

fn steps(step: &Value) -> Vec<Step> {
    if let Some(kind) = step["raise"].as_str() {
        return vec![if HANGS.contains(&kind) { Step::Hang } else { Step::Close }];
    }
    let status = step["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    let headers: Vec<(&str, &str)> = step["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect();
    let body = match (step.get("json"), step["text"].as_str()) {
        (Some(value), _) => value.to_string(),
        (None, text) => text.unwrap_or_default().to_owned(),
    };
    answer(status, &headers, body.as_bytes())
}

pub(super) async fn compare_body(case: &Value) -> Compared {
    let status = case["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    let headers: Vec<_> = case["content_type"].as_str().map(|value| ("content-type", value)).into_iter().collect();
    let upstream = Upstream::always(answer(status, &headers, &bytes(&case["body"]))).await;
    let client = FmResilientClient::new(upstream.url()).map_err(|error| error.to_string())?;
    let outcome = call(&client, "get_raw", "x", None).await;
    compare_outcome(&case["get_raw"], &outcome)?;
    expect("calls", case["get_raw"]["calls"].as_u64(), Some(upstream.seen().len() as u64))
}

fn bytes(body: &Value) -> Vec<u8> {
    let repeated = |unit: &Value| {
        let unit = unit.as_array()?;
        Some(unit.first()?.as_str()?.repeat(usize::try_from(unit.get(1)?.as_u64()?).ok()?))
    };
    if let Some(hex) = body["hex"].as_str() {
        let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        return digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect();
    }
    if let Some(units) = body["text_repeat"].as_array() {
        return units.iter().filter_map(repeated).collect::<String>().into_bytes();
    }
    if let Some([open, times, middle, close, _]) = body["text_repeat_unit"].as_array().map(Vec::as_slice) {
        let part = |text: &Value| repeated(&json!([text, times])).unwrap_or_default();
        return (part(open) + middle.as_str().unwrap_or_default() + &part(close)).into_bytes();
    }
    body["text"].as_str().unwrap_or_default().as_bytes().to_vec()
}

pub(super) fn route_left_out(case: &Value) -> Option<&'static str> {
    if case["upstream_body"].as_str().is_some_and(|body| body.contains("NaN") || body.contains("Infinity")) {
        return Some("NaN and Infinity are not JSON");
    }
    step_left_out(&json!({"status": case["upstream_status"], "raise": case["upstream_error"]}))
}

pub(super) async fn compare_route(case: &Value) -> Compared {
    let script = match case["upstream_body"].as_str() {
        Some(body) => answer(200, &[], body.as_bytes()),
        None => {
            let status = &case["upstream_status"];
            let mut step = json!({"status": status, "json": {"s": 1}});
            if let Some(kind) = case["upstream_error"].as_str() {
                step = json!({"raise": kind});
            }
            steps(&step)
        }
    };
    let upstream = Upstream::always(script).await;
    let client = FmResilientClient::new(upstream.url()).map_err(|error| error.to_string())?;
    let route = Router::new()
        .route("/", get(|| async move { Ok::<_, FmHttpError>(Json(client.get_json::<Value>("x").await?)) }));
    let response = route.oneshot(Request::new(Body::empty())).await.map_err(|error| error.to_string())?;
    let status = case["saw"]["status"].as_u64().map(|status| if status < 400 && status != 200 { 502 } else { status });
    expect("status", status, Some(u64::from(response.status().as_u16())))?;
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.map_err(|error| error.to_string())?;
    match case["saw"]["body"].as_str() {
        // 304 and 1xx have no body of their own, ours has.
        Some("") => expect("body", "{\"detail\":\"Upstream request failed\"}", &String::from_utf8_lossy(&body)),
        wanted => expect("body", wanted, Some(&String::from_utf8_lossy(&body))),
    }
}
