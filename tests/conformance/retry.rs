//! `retry.json`: whole retried calls, with real `reqwest` errors under paused time.

use std::{
    pin::pin,
    sync::Mutex,
    task::{Context, Waker},
    time::Duration,
};

use memory_core::{
    FmError, RetryError, Stop, Wait, default_retry, exponential_backoff, fixed, is_retryable_error, no_wait, retry,
    retry_on_error, retry_on_result, stop_after_delay, stop_after_retries, stop_never,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    failures::{self, Failure},
    report::{Score, Verdict, cases},
};

/// Calls after which a retry is taken to go on for ever.
const UNBOUNDED: u32 = 1000;

/// A rule of ours: why, and which cases.
type Rule = (&'static str, fn(&Value) -> bool);

/// What is deliberately not as recorded, and how to tell such a case.
const DELIBERATE: [Rule; 1] = [("an exhausted `retry_on_result` gives the last `Ok`, not an error", |case| {
    case["result"]["error"]["cause"].get("result").is_some()
})];

#[tokio::test(start_paused = true)]
async fn retries() {
    let mut score = Score::new("retry.json");
    for case in cases("retry.json") {
        score.count(case["id"].as_str().unwrap_or("?"), verdict(&case).await);
    }
    score.finish();
}

async fn verdict(case: &Value) -> Verdict {
    if case.get("policy").is_none() {
        return predicate_table(case);
    }
    if let Some(rule) = left_out(case) {
        return Verdict::LeftOut(rule);
    }
    let observed = observe(case).await;
    let differences = observed.differences(case);
    match DELIBERATE.iter().find(|(_, applies)| applies(case)) {
        Some((reason, _)) if differences.is_empty() => {
            Verdict::Differed(format!("listed as deliberate ({reason}), yet it matches"))
        }
        Some((reason, _)) => Verdict::LeftOut(reason),
        None if differences.is_empty() => Verdict::Matched,
        None => Verdict::Differed(differences.join("; ")),
    }
}

/// The rules of the vectors' README.
fn left_out(case: &Value) -> Option<&'static str> {
    let (policy, script) = (&case["policy"], reached(case));
    let permanent = ["DecodingError", "TooManyRedirects", "UnsupportedProtocol", "LocalProtocolError"];
    let raised = ["KeyboardInterrupt", "asyncio.CancelledError", "CancelledError", "SystemExit", "GeneratorExit"];
    let of = |kind: &str, names: &[&str]| {
        script.iter().any(|outcome| outcome[kind].as_str().is_some_and(|name| names.contains(&name)))
    };
    let negative = ["wait_min", "wait_max", "multiplier", "wait_fixed"]
        .iter()
        .any(|name| policy[*name].as_f64().is_some_and(|value| value < 0.0));
    Some(match () {
        () if policy["attempts"].as_i64().is_some_and(|attempts| attempts <= 0) => "Python-only: `attempts` ≤ 0",
        () if policy.get("callback").is_some() => "Python-only: callbacks",
        () if policy["retry_on"] == "raises" => "Python-only: a predicate that raises",
        () if script.iter().any(|outcome| outcome.get("try_again").is_some()) => "Python-only: `try_again`",
        () if of("other_error", &raised) => "Python-only: exceptions that end the program or the task",
        () if is_by_type(policy) && of("network_error", &permanent) => "known bug: permanent errors retried",
        () if is_by_type(policy) && script.iter().any(|outcome| outcome["status"].as_u64() >= Some(600)) => {
            "known bug: 600 and above retried"
        }
        () if negative && case["sleeps"].as_array().is_some_and(|sleeps| sleeps.iter().any(is_negative)) => {
            "waits that are negative"
        }
        () => return None,
    })
}

/// The part of the script that the original came to.
fn reached(case: &Value) -> &[Value] {
    let script = case["script"].as_array().map_or(&[][..], Vec::as_slice);
    let calls = case["calls"].as_u64().and_then(|calls| usize::try_from(calls).ok());
    &script[..calls.unwrap_or(script.len()).min(script.len())]
}

/// Whether the error's type decides, and so the original's opinion of it matters.
fn is_by_type(policy: &Value) -> bool {
    match policy["retry_on"].as_str() {
        None => policy["via"] != "retry",
        Some(name) => matches!(name, "default" | "result_is_none_or_default" | "status_429_or_5xx"),
    }
}

fn is_negative(wait: &Value) -> bool {
    wait.as_f64().is_some_and(|wait| wait < 0.0)
}

/// A call that failed as its script says.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("{outcome}")]
    Failed { outcome: Value, source: Option<reqwest::Error> },
    #[error("gave up")]
    GaveUp(#[from] RetryError),
    #[error("never used: no case has a time limit")]
    Cache(#[from] FmError),
}

impl CallError {
    fn of(outcome: &Value) -> Self {
        let source = if let Some(status) = outcome["status"].as_u64() {
            u16::try_from(status).ok().and_then(failures::status_error)
        } else if outcome.get("timeout").is_some() {
            Some(failures::error(Failure::Hangs))
        } else {
            outcome["network_error"].as_str().map(|kind| {
                failures::error(match kind {
                    "ReadError" | "WriteError" | "CloseError" => Failure::Closed,
                    "RemoteProtocolError" => Failure::Garbage,
                    _ => Failure::Refused,
                })
            })
        };
        let mut outcome = outcome.clone();
        if let Some(object) = outcome.as_object_mut() {
            object.remove("took");
        }
        Self::Failed { outcome, source }
    }

    fn outcome(&self) -> &Value {
        match self {
            Self::Failed { outcome, .. } => outcome,
            _ => &Value::Null,
        }
    }
}

/// A named predicate of the vectors; `None`: by the error's type.
fn predicate(name: Option<&str>) -> Option<fn(&CallError) -> bool> {
    Some(match name? {
        "default" => return None,
        "always" | "any_exception" => |_| true,
        "never" => |_| false,
        "status_429_or_5xx" => {
            |error| error.outcome()["status"].as_u64().is_some_and(|status| status == 429 || status >= 500)
        }
        "timeouts_only" => |error| error.outcome().get("timeout").is_some(),
        "value_error_only" => |error| error.outcome()["other_error"] == "ValueError",
        other => panic!("unknown predicate {other}"),
    })
}

/// One case under way: plays the script and notes what happens.
struct Run {
    script: Vec<Value>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    calls: usize,
    hooked: Vec<Duration>,
    ended: Option<Instant>,
    slept: Vec<Duration>,
}

impl Run {
    fn of(case: &Value) -> Self {
        Self { script: case["script"].as_array().cloned().unwrap_or_default(), log: Mutex::default() }
    }

    /// The next outcome, and how long the call takes.
    fn begin(&self) -> (Value, Duration) {
        let mut log = self.log.lock().unwrap();
        if let Some(ended) = log.ended {
            log.slept.push(ended.elapsed());
        }
        let outcome = self.script[log.calls.min(self.script.len() - 1)].clone();
        log.calls += 1;
        let took = Duration::from_secs_f64(outcome["took"].as_f64().unwrap_or(0.0));
        (outcome, took)
    }

    fn end(&self, outcome: &Value) -> Result<Value, CallError> {
        self.log.lock().unwrap().ended = Some(Instant::now());
        match (outcome.get("ok"), outcome["status"].as_u64()) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(status @ 200..300)) => Ok(json!(status)),
            _ => Err(CallError::of(outcome)),
        }
    }

    async fn call(&self) -> Result<Value, CallError> {
        let (outcome, took) = self.begin();
        tokio::time::sleep(took).await;
        self.end(&outcome)
    }

    fn call_blocking(&self) -> Result<Value, CallError> {
        let (outcome, took) = self.begin();
        // One poll moves the paused clock, as far as a blocking call can.
        let _ = pin!(tokio::time::advance(took)).poll(&mut Context::from_waker(Waker::noop()));
        self.end(&outcome)
    }

    fn hooked(&self, wait: Duration) {
        self.log.lock().unwrap().hooked.push(wait);
    }
}

/// The arguments of `default_retry`.
struct Defaults {
    attempts: i64,
    wait_min: f64,
    wait_max: f64,
    multiplier: f64,
    reraise: bool,
}

impl Defaults {
    fn of(policy: &Value) -> Self {
        let number = |name: &str, default| policy[name].as_f64().unwrap_or(default);
        Self {
            attempts: policy["attempts"].as_i64().unwrap_or(3),
            wait_min: number("wait_min", 2.0),
            wait_max: number("wait_max", 10.0),
            multiplier: number("multiplier", 1.0),
            reraise: policy["reraise"].as_bool().unwrap_or(true),
        }
    }
}

#[default_retry(
    attempts = with.attempts, wait_min = with.wait_min, wait_max = with.wait_max, multiplier = with.multiplier,
    reraise = with.reraise, before_sleep = |_, _, wait| run.hooked(wait),
)]
async fn judged_by_type(with: &Defaults, run: &Run) -> Result<Value, CallError> {
    run.call().await
}

#[default_retry(
    attempts = with.attempts, wait_min = with.wait_min, wait_max = with.wait_max, multiplier = with.multiplier,
    reraise = with.reraise, before_sleep = |_, _, wait| run.hooked(wait), retry_on = predicate,
)]
async fn judged_by(predicate: fn(&CallError) -> bool, with: &Defaults, run: &Run) -> Result<Value, CallError> {
    run.call().await
}

#[default_retry(
    attempts = with.attempts, wait_min = with.wait_min, wait_max = with.wait_max, multiplier = with.multiplier,
    reraise = with.reraise, before_sleep = |_, _, wait| run.hooked(wait),
)]
fn judged_by_type_blocking(with: &Defaults, run: &Run) -> Result<Value, CallError> {
    run.call_blocking()
}

#[default_retry(
    attempts = with.attempts, wait_min = with.wait_min, wait_max = with.wait_max, multiplier = with.multiplier,
    reraise = with.reraise, before_sleep = |_, _, wait| run.hooked(wait), retry_on = predicate,
)]
fn judged_by_blocking(predicate: fn(&CallError) -> bool, with: &Defaults, run: &Run) -> Result<Value, CallError> {
    run.call_blocking()
}

async fn by_default_retry(case: &Value, run: &Run) -> Result<Value, CallError> {
    let with = Defaults::of(&case["policy"]);
    match (predicate(case["policy"]["retry_on"].as_str()), case["mode"] == "sync") {
        (None, false) => judged_by_type(&with, run).await,
        (None, true) => judged_by_type_blocking(&with, run),
        (Some(predicate), false) => judged_by(predicate, &with, run).await,
        (Some(predicate), true) => judged_by_blocking(predicate, &with, run),
    }
}

/// Raw tenacity: never stops and wraps what it gives up on, unless told otherwise.
async fn by_hand(case: &Value, run: &Run) -> Result<Value, CallError> {
    let policy = &case["policy"];
    let builder = retry()
        .stop(stop(policy) | stop_after_retries(UNBOUNDED))
        .wait(wait(policy))
        .reraise(policy["reraise"].as_bool().unwrap_or(false))
        .before_sleep(|_, _: &CallError, wait| run.hooked(wait));
    let blocking = case["mode"] == "sync";
    let none = || retry_on_result(Value::is_null);
    macro_rules! run_when {
        ($when:expr) => {{
            let builder = builder.when($when);
            if blocking { builder.run_blocking(|| run.call_blocking()) } else { builder.run(|| run.call()).await }
        }};
    }
    match policy["retry_on"].as_str() {
        Some("result_is_none") => run_when!(none()),
        Some("result_is_none_or_default") => run_when!(none() | retry_on_error(is_retryable_error)),
        name => match predicate(name.or(Some("any_exception"))) {
            Some(predicate) => run_when!(predicate),
            None => run_when!(is_retryable_error),
        },
    }
}

fn stop(policy: &Value) -> Stop {
    let seconds = |value: &Value| value.as_f64().expect("seconds");
    if let Some(either) = policy["stop_either"].as_array() {
        return stop_after_retries(either[0].as_i64().expect("a count")) | stop_after_delay(seconds(&either[1]));
    }
    if let Some(delay) = policy.get("stop_after_delay") {
        return stop_after_delay(seconds(delay));
    }
    policy["attempts"].as_i64().map_or_else(stop_never, stop_after_retries)
}

fn wait(policy: &Value) -> Wait {
    if let Some(wait) = policy["wait_fixed"].as_f64() {
        return fixed(wait);
    }
    let Some(exponential) = policy["wait_exponential"].as_object() else { return no_wait() };
    let mut wait = exponential_backoff();
    for (name, value) in exponential {
        let value = value.as_f64().expect("seconds");
        wait = match name.as_str() {
            "multiplier" => wait.multiplier(value),
            "min" => wait.min(value),
            "max" => wait.max(value),
            "exp_base" => wait.exp_base(value),
            other => panic!("unknown setting {other}"),
        };
    }
    wait
}

/// What was seen.
struct Observed {
    log: Log,
    /// `None`: it went on for ever.
    outcome: Option<Result<Value, CallError>>,
    elapsed: Duration,
}

async fn observe(case: &Value) -> Observed {
    let (run, began) = (Run::of(case), Instant::now());
    let outcome = match case["policy"]["via"].as_str() {
        Some("default_retry") => by_default_retry(case, &run).await,
        _ => by_hand(case, &run).await,
    };
    let log = run.log.into_inner().unwrap();
    let outcome = Some(outcome).filter(|_| log.calls < UNBOUNDED as usize);
    Observed { log, outcome, elapsed: began.elapsed() }
}

impl Observed {
    fn differences(&self, case: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        let mut check = |holds: bool, what: String| {
            if !holds {
                differences.push(what);
            }
        };
        let Some(outcome) = &self.outcome else {
            check(case["result"].get("unbounded").is_some(), "it went on for ever".to_owned());
            return differences;
        };
        let sleeps: Vec<f64> =
            case["sleeps"].as_array().into_iter().flatten().map(|wait| wait.as_f64().expect("seconds")).collect();
        check(case["calls"] == self.log.calls, format!("{} calls for {}", self.log.calls, case["calls"]));
        check(same(&self.log.slept, &sleeps, 1e-3), format!("slept {:?} for {sleeps:?}", self.log.slept));
        if self.log.hooked.len() == sleeps.len() {
            check(same(&self.log.hooked, &sleeps, 1e-9), format!("hooked {:?} for {sleeps:?}", self.log.hooked));
        }
        let expected = sleeps.iter().sum::<f64>() + took(case, self.log.calls);
        let elapsed = self.elapsed.as_secs_f64();
        check((elapsed - expected).abs() < 1e-2, format!("{elapsed} s for {expected} s"));
        let result = described(outcome);
        check(result == case["result"], format!("{result} for {}", case["result"]));
        differences
    }
}

/// How long the calls themselves took.
fn took(case: &Value, calls: usize) -> f64 {
    let script = case["script"].as_array().map_or(&[][..], Vec::as_slice);
    let outcomes = (0..calls).filter_map(|call| script.get(call).or(script.last()));
    outcomes.filter_map(|outcome| outcome["took"].as_f64()).sum()
}

fn same(actual: &[Duration], expected: &[f64], tolerance: f64) -> bool {
    let close = |(actual, expected): (&Duration, &f64)| {
        (actual.as_secs_f64() - expected).abs() <= tolerance.max(expected * 1e-9)
    };
    actual.len() == expected.len() && actual.iter().zip(expected).all(close)
}

/// A result as the vectors write it.
fn described(outcome: &Result<Value, CallError>) -> Value {
    match outcome {
        Ok(value) => json!({ "ok": value }),
        Err(CallError::GaveUp(error)) => {
            let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<CallError>());
            let cause = cause.map(CallError::outcome);
            json!({ "error": { "wrapped": "retry_error", "last_attempt": error.attempts(), "cause": cause } })
        }
        Err(error) => json!({ "error": { "wrapped": "original", "cause": error.outcome() } }),
    }
}

/// Rows of an outcome and whether the default predicate retries it, in a list wherever it stands in the case.
fn predicate_table(case: &Value) -> Verdict {
    let mut judged = Vec::new();
    collect_rows(case, &mut judged);
    if judged.is_empty() {
        return Verdict::LeftOut("a case without a policy or a table of outcomes");
    }
    match judged.iter().find(|(_, expected, actual)| expected != actual) {
        Some((outcome, _, actual)) => Verdict::Differed(format!("{actual} for {outcome}")),
        None => Verdict::Matched,
    }
}

/// An outcome, what is recorded of it and what is so here.
type Judged<'a> = (&'a Value, bool, bool);

fn collect_rows<'a>(value: &'a Value, judged: &mut Vec<Judged<'a>>) {
    if let Some(row) = fields(value).find_map(Value::as_bool).and_then(|expected| row(value, expected)) {
        judged.extend(row);
    } else {
        fields(value).for_each(|inner| collect_rows(inner, judged));
    }
}

/// What is inside a list or an object.
fn fields(value: &Value) -> impl Iterator<Item = &Value> {
    let listed = value.as_array().into_iter().flatten();
    listed.chain(value.as_object().into_iter().flat_map(|object| object.values()))
}

/// `None` where this is no row, `Some(None)` where the rules leave it out.
fn row(row: &Value, expected: bool) -> Option<Option<Judged<'_>>> {
    let kinds = ["network_error", "timeout", "status", "other_error"];
    let is_outcome = |value: &&Value| kinds.iter().any(|kind| value.get(*kind).is_some());
    let outcome = std::iter::once(row).chain(fields(row)).find(is_outcome)?;
    let alone = json!({ "policy": {}, "script": [outcome] });
    Some(left_out(&alone).is_none().then(|| (outcome, expected, is_retryable_error(&CallError::of(outcome)))))
}
