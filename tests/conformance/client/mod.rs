//! `client.json`: what the original's HTTP client does, over real sockets and under paused time.

mod expected;
mod lifecycle;
mod real;
mod scripted;
mod url;

use std::time::Duration;

use memory_core::{FmBody, FmClientError, FmHttpError, FmResilientClient};
use serde_json::Value;

use crate::report::{Score, Verdict, cases};

/// What is deliberately not matched: the rule, the reason, and which cases it takes. A case that is listed here and
/// matches after all fails the test.
const DEVIATIONS: &[Deviation] = &[
    Deviation {
        rule: "get_json of an empty body is null",
        reason: "the contract says so; the original gives an empty string",
        takes: |case, face| face == "get_json" && expected::is_empty_text(case, face),
    },
    Deviation {
        rule: "a route that passes an empty body on answers null",
        reason: "as above, seen by the route's caller",
        takes: |case, face| face == "route" && case["saw"]["body"] == "\"\"",
    },
    Deviation {
        rule: "an `@` in a path is refused",
        reason: "promised: it may end credentials",
        takes: |case, _| url::sends(case) && url::path_part(case).contains('@'),
    },
    Deviation {
        rule: "a backslash in a path is refused",
        reason: "promised: some parsers read it as a slash",
        takes: |case, _| url::sends(case) && url::path(case).contains('\\'),
    },
    Deviation {
        rule: "a path that names another host is refused in every spelling",
        reason: "promised: whatever the case of its scheme, and without one",
        takes: |case, _| url::sends(case) && url::names_a_host(case),
    },
    Deviation {
        rule: "a path that ends in a `.` segment ends in a slash",
        reason: "RFC 3986, 5.2.4; the original drops the slash",
        takes: |case, _| url::ends_in_a_dot_segment(case) && !url::target(case).ends_with('/'),
    },
    Deviation {
        rule: "parameters that amount to nothing leave no bare `?`",
        reason: "the resource is the same without it",
        takes: |case, _| url::sends(case) && url::target(case).ends_with('?') && !url::path(case).contains('?'),
    },
    Deviation {
        rule: "a built client works without start()",
        reason: "the contract says so; the original raises",
        takes: |case, _| case["kind"] == "lifecycle" && lifecycle::uses_before_start(case),
    },
    Deviation {
        rule: "an integer that neither i64 nor u64 holds is a float",
        reason: "what `serde_json::Value` holds",
        takes: |case, face| face == "get_raw" && expected::has_huge_integer(&case[face]["ok"]),
    },
    Deviation {
        rule: "JSON deeper than 127 levels is refused",
        reason: "following it could overflow the stack; the original follows some hundred more",
        takes: |case, face| case[face]["ok"]["$nested_depth"].as_u64().is_some_and(|depth| depth > 127),
    },
];

struct Deviation {
    rule: &'static str,
    #[allow(dead_code, reason = "the table is to be read")]
    reason: &'static str,
    takes: fn(&Value, &str) -> bool,
}

/// What came of comparing one face (`get_raw`, `get_json`, …) of a case.
type Compared = Result<(), String>;

#[tokio::test(start_paused = true)]
async fn client() {
    let mut score = Score::new("client.json");
    for case in cases("client.json") {
        let verdict = match left_out(&case) {
            Some(rule) => Verdict::LeftOut(rule),
            None => run(&case).await,
        };
        score.count(case["id"].as_str().unwrap_or("?"), verdict);
    }
    score.finish();
}

/// What the vectors' README says is not binding.
fn left_out(case: &Value) -> Option<&'static str> {
    match case["kind"].as_str() {
        Some("scripted") => scripted::left_out(case),
        Some("url") => url::left_out(case),
        Some("body") => expected::is_not_json(&case["get_raw"]["ok"]).then_some("NaN and Infinity are not JSON"),
        Some("route") => scripted::route_left_out(case),
        Some("real") => real::left_out(case),
        Some("lifecycle") => None,
        _ => Some("a kind of case this test does not know"),
    }
}

async fn run(case: &Value) -> Verdict {
    let faces: &[&str] = match case["kind"].as_str() {
        Some("body") => &["get_raw"],
        Some("route") => &["route"],
        Some("lifecycle") => &["ops"],
        _ => &["get_raw", "get_json"],
    };
    let mut verdict = Verdict::Matched;
    for face in faces {
        let compared = match case["kind"].as_str() {
            Some("scripted") => scripted::compare(case, face).await,
            Some("body") => scripted::compare_body(case).await,
            Some("route") => scripted::compare_route(case).await,
            Some("url") => url::compare(case, face).await,
            Some("real") => real::compare(case, face).await,
            _ => lifecycle::compare(case).await,
        };
        let deviation = DEVIATIONS.iter().find(|deviation| (deviation.takes)(case, face));
        match (compared, deviation) {
            (Ok(()), None) => {}
            (Ok(()), Some(deviation)) => {
                return Verdict::Differed(format!("{face} matches after all: take `{}` off the table", deviation.rule));
            }
            (Err(_), Some(deviation)) => verdict = Verdict::LeftOut(deviation.rule),
            (Err(how), None) => return Verdict::Differed(format!("{face}: {how}")),
        }
    }
    verdict
}

/// The outcome of one call in the vectors' words.
enum Outcome {
    Json(Value),
    Text(String),
    Raw(FmClientError),
    Http(FmHttpError),
}

async fn call(client: &FmResilientClient, face: &str, path: &str, params: Option<&Value>) -> Outcome {
    if face == "get_raw" {
        let mut request = client.get_raw(path);
        if let Some(params) = params {
            request = request.query(params);
        }
        return match request.await {
            Ok(FmBody::Json(value)) => Outcome::Json(value),
            Ok(FmBody::Text(text)) => Outcome::Text(text),
            Err(error) => Outcome::Raw(error),
        };
    }
    let mut request = client.get_json::<Value>(path);
    if let Some(params) = params {
        request = request.query(params);
    }
    match request.await {
        Ok(value) => Outcome::Json(value),
        Err(error) => Outcome::Http(error),
    }
}

/// Compares what a call gave with `ok`, `error` or `http_exception`.
fn compare_outcome(wanted: &Value, outcome: &Outcome) -> Compared {
    match outcome {
        Outcome::Json(value) if wanted.get("ok").is_some() => expected::same(&wanted["ok"], value),
        Outcome::Text(text) if wanted.get("ok").is_some() => expected::same_text(&wanted["ok"], text),
        Outcome::Raw(error) if wanted.get("error").is_some() => {
            let status = wanted["error"]["status"].as_u64();
            expect("status", status, error.status().map(|status| u64::from(status.as_u16())))?;
            expect("is_network", wanted["error"]["request_error"] == true, error.is_network())
        }
        Outcome::Http(error) if wanted.get("http_exception").is_some() => {
            let wanted = &wanted["http_exception"];
            // 1xx and 3xx are not passed on as our own status.
            let status = wanted["status"].as_u64().map(|status| if status < 400 { 502 } else { status });
            expect("status", status, Some(u64::from(error.status().as_u16())))?;
            expect("is_network", wanted["detail"] == "Upstream request error", error.is_network())
        }
        // The original lets what it does not know through; ours is a 500.
        Outcome::Http(error) if wanted.get("error").is_some() => expect("status", 500, error.status().as_u16()),
        Outcome::Json(value) => Err(format!("gave {value}, wanted {wanted}")),
        Outcome::Text(text) => Err(format!("gave {text:?}, wanted {wanted}")),
        Outcome::Raw(error) => Err(format!("gave {error:?}, wanted {wanted}")),
        Outcome::Http(error) => Err(format!("gave {error:?}, wanted {wanted}")),
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, wanted: T, got: T) -> Compared {
    if wanted == got { Ok(()) } else { Err(format!("{what}: wanted {wanted:?}, got {got:?}")) }
}

/// Timers of tokio have a granularity of a millisecond.
fn compare_waits(wanted: &Value, got: &[Duration]) -> Compared {
    let seconds: Vec<f64> = wanted.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let same = seconds.len() == got.len()
        && seconds.iter().zip(got).all(|(wanted, got)| (wanted - got.as_secs_f64()).abs() < 0.02);
    if same { Ok(()) } else { Err(format!("waits: wanted {seconds:?}, got {got:?}")) }
}
