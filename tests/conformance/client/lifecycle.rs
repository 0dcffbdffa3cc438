//! Cases about opening and closing. How many clients the original made inside is its own affair.

use memory_core::FmResilientClient;
use serde_json::Value;

use super::{Compared, Outcome, call, compare_outcome, expect};
use crate::upstream::{Upstream, json};

pub(super) fn uses_before_start(case: &Value) -> bool {
    let mut ops = case["ops"].as_array().into_iter().flatten().map(op);
    ops.find(|op| op.starts_with("get") || matches!(*op, "start" | "enter")).is_some_and(|op| op.starts_with("get"))
}

fn op(step: &Value) -> &str {
    step["op"].as_str().unwrap_or_default()
}

pub(super) async fn compare(case: &Value) -> Compared {
    let upstream = Upstream::always(json(r#"{"ok":1}"#)).await;
    let client = FmResilientClient::new(upstream.url()).map_err(|error| error.to_string())?;
    for step in case["ops"].as_array().into_iter().flatten() {
        match op(step) {
            "start" | "enter" => client.start().await.map_err(|error| error.to_string())?,
            "aclose" | "exit" => close(&client, &upstream).await?,
            face => {
                let before = upstream.seen().len();
                let outcome = call(&client, face, "x", None).await;
                compare_call(step, &outcome)?;
                expect("calls", step["calls"].as_u64(), Some((upstream.seen().len() - before) as u64))?;
            }
        }
    }
    Ok(())
}

fn compare_call(step: &Value, outcome: &Outcome) -> Compared {
    match (step["error"]["kind"].as_str(), outcome) {
        (Some("RuntimeError"), Outcome::Raw(error)) => expect("closed", true, error.is_closed()),
        (Some("RuntimeError"), Outcome::Http(error)) => expect("status", 503, error.status().as_u16()),
        _ => compare_outcome(step, outcome),
    }
}

/// Closing ends the idle connections.
async fn close(client: &FmResilientClient, upstream: &Upstream) -> Compared {
    client.aclose().await;
    for _ in 0..1_000 {
        if upstream.open() == 0 {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
    Err(format!("{} connections still open", upstream.open()))
}
