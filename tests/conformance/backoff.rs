//! `backoff.json`: every wait and every stop.

use std::time::Duration;

use memory_core::{
    Stop, Wait, chain, exponential_backoff, fixed, full_jitter, incrementing, no_wait, random_between,
    stop_after_delay, stop_after_retries, stop_before_delay, stop_never,
};
use serde_json::{Map, Value};

use crate::report::{Score, Verdict, cases};

/// A rule of ours: why, and which cases.
type Rule = (&'static str, fn(&Case<'_>) -> bool);

/// What is deliberately not as recorded, and how to tell such a case.
const DELIBERATE: [Rule; 2] = [
    ("past the largest float the original answers `max`, forgetting the sign, a zero multiplier and `min`", overflows),
    ("the original takes a NaN for no bound at all; here it counts as 0", |case| case.unbounded_by_nan()),
];

#[test]
fn backoff() {
    let mut score = Score::new("backoff.json");
    for case in cases("backoff.json") {
        score.count(case["id"].as_str().unwrap_or("?"), verdict(&case));
    }
    score.finish();
}

fn verdict(case: &Value) -> Verdict {
    if case["kind"] == "stop" {
        return judged(stops(case));
    }
    if case.get("construct").is_some() {
        return Verdict::LeftOut("Python-only: the constructor fails");
    }
    let Some(wait) = wait(case) else { return Verdict::LeftOut("Python-only: an unknown kind of wait") };
    let outcome = if case.get("waits_at_u").is_some() {
        if points(case).iter().any(|(.., expected)| *expected < 0.0) {
            return Verdict::LeftOut("waits that are negative");
        }
        compare(points(case), |attempt, draw| wait.at_draw(attempt, draw))
    } else if case.get("waits_rle").is_some() {
        let waits: Vec<Duration> = wait.iter().take(case["n_attempts"].as_u64().unwrap_or(0) as usize).collect();
        compare(points(case), |attempt, _| waits[attempt as usize - 1])
    } else {
        return Verdict::LeftOut("Python-only: no waits are recorded");
    };
    let deliberate = DELIBERATE.iter().find(|(_, applies)| Case::of(case).is_some_and(|case| applies(&case)));
    match (deliberate, outcome) {
        (Some((reason, _)), Some(Err(_))) => Verdict::LeftOut(reason),
        (Some((reason, _)), Some(Ok(()))) => {
            Verdict::Differed(format!("listed as deliberate ({reason}), yet it matches"))
        }
        (_, None) => Verdict::LeftOut("waits that are negative or that no `Duration` holds"),
        (None, Some(outcome)) => judged(outcome),
    }
}

fn judged(outcome: Result<(), String>) -> Verdict {
    outcome.map_or_else(Verdict::Differed, |()| Verdict::Matched)
}

/// Attempt, draw and recorded wait.
fn points(case: &Value) -> Vec<(u32, f64, f64)> {
    if let Value::Array(rows) = &case["waits_at_u"] {
        let draws = case["u_points"].as_array().expect("draws");
        let rows = rows.iter().zip(1u32..);
        return rows
            .flat_map(|(row, attempt)| {
                let waits = row.as_array().expect("waits of an attempt");
                draws.iter().zip(waits).map(move |(draw, wait)| (attempt, number(draw), number(wait)))
            })
            .collect();
    }
    let runs = case["waits_rle"].as_array().expect("waits");
    let waits = runs.iter().flat_map(|run| {
        std::iter::repeat_n(number(&run[0]), usize::try_from(run[1].as_u64().expect("a count")).expect("small"))
    });
    waits.zip(1u32..).map(|(wait, attempt)| (attempt, 0.0, wait)).collect()
}

/// `None` when nothing recorded fits a `Duration`; a wait too long for one must saturate.
fn compare(points: Vec<(u32, f64, f64)>, ours: impl Fn(u32, f64) -> Duration) -> Option<Result<(), String>> {
    let mut compared = 0;
    for (attempt, draw, expected) in points {
        let actual = ours(attempt, draw);
        let matches = if expected.is_nan() || expected < 0.0 {
            continue;
        } else if Duration::try_from_secs_f64(expected).is_err() {
            actual == Duration::MAX
        } else {
            compared += 1;
            let tolerance = (expected * 1e-9).max(1e-9);
            (actual.as_secs_f64() - expected).abs() <= tolerance
        };
        if !matches {
            return Some(Err(format!("attempt {attempt} at {draw}: {actual:?} for {expected}")));
        }
    }
    (compared > 0).then_some(Ok(()))
}

/// A number as the vectors write it.
fn number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().expect("a number"),
        Value::String(special) => special.parse().expect("Infinity or NaN"),
        Value::Object(object) => match object.iter().next() {
            Some((key, sign)) if key == "int_beyond_f64" => {
                if sign == "negative" {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }
            }
            Some((_, text)) => text.as_str().and_then(|text| text.parse().ok()).expect("a number in words"),
            None => f64::NAN,
        },
        other => panic!("no number: {other}"),
    }
}

fn wait(case: &Value) -> Option<Wait> {
    let empty = Map::new();
    let params = case["params"].as_object().unwrap_or(&empty);
    let get = |name: &str| params.get(name).map(number);
    let of = || case["of"].as_array().into_iter().flatten().map(wait).collect::<Option<Vec<_>>>();
    Some(match case["kind"].as_str()? {
        "exponential" => configured(exponential_backoff(), get),
        "random_exponential" => configured(full_jitter(), get),
        "exponential_jitter" => {
            let wait = exponential_backoff().jitter(get("jitter").unwrap_or(1.0));
            configured(wait, |name| get(name).or_else(|| get("initial").filter(|_| name == "multiplier")))
        }
        "fixed" => fixed(get("wait").unwrap_or(0.0)),
        "none" => no_wait(),
        "incrementing" => incrementing(
            get("start").unwrap_or(0.0),
            get("increment").unwrap_or(100.0),
            get("max").unwrap_or((1u64 << 62) as f64),
        ),
        "random" => random_between(get("min").unwrap_or(0.0), get("max").unwrap_or(1.0)),
        "chain" => chain(of()?),
        "combine" => of()?.into_iter().sum(),
        "sum_operator" => of()?.into_iter().reduce(|sum, wait| sum + wait)?,
        _ => return None,
    })
}

fn configured(mut wait: Wait, get: impl Fn(&str) -> Option<f64>) -> Wait {
    if let Some(multiplier) = get("multiplier") {
        wait = wait.multiplier(multiplier);
    }
    if let Some(min) = get("min") {
        wait = wait.min(min);
    }
    if let Some(max) = get("max") {
        wait = wait.max(max);
    }
    if let Some(exp_base) = get("exp_base") {
        wait = wait.exp_base(exp_base);
    }
    wait
}

/// The settings of an exponential case.
struct Case<'a> {
    case: &'a Value,
    multiplier: f64,
    min: f64,
    max: f64,
    base: f64,
    attempts: u32,
}

impl<'a> Case<'a> {
    fn of(case: &'a Value) -> Option<Self> {
        if case["kind"] != "exponential" {
            return None;
        }
        let get = |name: &str, default| case["params"].get(name).map_or(default, number);
        let attempts = u32::try_from(case["n_attempts"].as_u64()?).ok()?;
        let max = get("max", (1u64 << 62) as f64);
        Some(Self {
            case,
            multiplier: get("multiplier", 1.0),
            min: get("min", 0.0),
            max,
            base: get("exp_base", 2.0),
            attempts,
        })
    }

    fn floor(&self) -> f64 {
        self.min.max(0.0)
    }

    fn is_float(&self, param: &str) -> bool {
        self.case["param_types"][param] == "float"
    }

    fn unbounded_by_nan(&self) -> bool {
        let grown = |attempt: u32| self.multiplier * self.base.powf(f64::from(attempt));
        self.max.is_nan() && (0..self.attempts).any(|attempt| grown(attempt) > self.floor())
    }
}

fn overflows(case: &Case<'_>) -> bool {
    let beyond = case.base.abs().powf(f64::from(case.attempts) - 1.0).is_infinite() && case.base.is_finite();
    let raised = beyond && (case.is_float("exp_base") || case.is_float("multiplier"));
    let forgets = case.multiplier <= 0.0 || case.base < 0.0 || case.min > case.max;
    let held = case.max >= 0.0 && Duration::try_from_secs_f64(case.max).is_ok();
    raised && forgets && held && (case.floor() - case.max).abs() > 1e-9
}

fn stops(case: &Value) -> Result<(), String> {
    let stop = stop(&case["stop"]);
    for point in case["points"].as_array().expect("points") {
        let attempt = u32::try_from(point["attempt"].as_u64().expect("an attempt")).expect("small");
        let seconds = |name: &str| Duration::from_secs_f64(number(&point[name]));
        let actual = stop.is_reached(attempt, seconds("seconds_since_start"), seconds("upcoming_sleep"));
        if point["stop"] != actual {
            return Err(format!("{actual} at {point}"));
        }
    }
    Ok(())
}

fn stop(tree: &Value) -> Stop {
    let of = || tree["of"].as_array().expect("stops").iter().map(stop);
    match tree["kind"].as_str().expect("a kind") {
        "after_attempt" => stop_after_retries(tree["n"].as_i64().expect("a count")),
        "after_delay" => stop_after_delay(number(&tree["seconds"])),
        "before_delay" => stop_before_delay(number(&tree["seconds"])),
        "never" => stop_never(),
        "any" => Stop::any(of()),
        "all" => Stop::all(of()),
        "or" => of().reduce(|a, b| a | b).expect("at least one"),
        "and" => of().reduce(|a, b| a & b).expect("at least one"),
        other => panic!("unknown stop {other}"),
    }
}
