//! `backoff.json`: every wait and every stop.

use std::time::Duration;

use memory_core::{
    Stop, Wait, chain, exponential_backoff, fixed, full_jitter, incrementing, no_wait, random_between,
    stop_after_delay, stop_after_retries, stop_before_delay, stop_never,
};
use serde_json::{Map, Value};

use crate::report::{Score, Verdict, cases};

/// Why a wait is deliberately not as recorded.
const OVERFLOW: &str =
    "past the largest float the original answers `max`, forgetting the sign, a zero multiplier and `min`";
const NAN: &str = "the original takes a NaN for no bound at all; here it counts as 0";

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
        return stops(case).map_or_else(Verdict::Differed, |()| Verdict::Matched);
    }
    if case.get("construct").is_some() {
        return Verdict::LeftOut("Python-only: the constructor fails");
    }
    let Some(wait) = wait(case) else { return Verdict::LeftOut("Python-only: an unknown kind of wait") };
    if case.get("waits_at_u").is_none() && case.get("waits_rle").is_none() {
        return Verdict::LeftOut("Python-only: no waits are recorded");
    }
    let points = points(case);
    if case.get("waits_at_u").is_some() && points.iter().any(|(.., expected)| *expected < 0.0) {
        return Verdict::LeftOut("waits that are negative");
    }
    let exponential = Exponential::of(case);
    let deliberate = |attempt| exponential.as_ref().and_then(|settings| settings.deliberate(attempt));
    if case.get("waits_at_u").is_some() {
        return compare(points, deliberate, |attempt, draw| wait.at_draw(attempt, draw));
    }
    let waits: Vec<Duration> = wait.iter().take(points.len()).collect();
    compare(points, deliberate, |attempt, _| waits[attempt as usize - 1])
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

/// Compares all that binds: a wait too long for a `Duration` must saturate, and where a difference is deliberate, the
/// rest of the case must match before the case is left out.
fn compare(
    points: Vec<(u32, f64, f64)>,
    deliberate: impl Fn(u32) -> Option<&'static str>,
    ours: impl Fn(u32, f64) -> Duration,
) -> Verdict {
    let (mut compared, mut excused) = (0, None);
    for (attempt, draw, expected) in points {
        if expected.is_nan() || expected < 0.0 {
            continue;
        }
        let actual = ours(attempt, draw);
        let fits = Duration::try_from_secs_f64(expected).is_ok();
        let tolerance = (expected * 1e-9).max(1e-9);
        let matches = if fits { (actual.as_secs_f64() - expected).abs() <= tolerance } else { actual == Duration::MAX };
        match deliberate(attempt) {
            _ if matches => compared += u32::from(fits),
            Some(reason) => excused = Some(reason),
            None => return Verdict::Differed(format!("attempt {attempt} at {draw}: {actual:?} for {expected}")),
        }
    }
    match excused {
        Some(reason) => Verdict::LeftOut(reason),
        None if compared == 0 => Verdict::LeftOut("waits that are negative or that no `Duration` holds"),
        None => Verdict::Matched,
    }
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
            Some((key, _)) if key == "complex" => f64::NAN,
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
            configured(wait, |name| if name == "multiplier" { Some(first_wait(params)) } else { get(name) })
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

/// The multiplier, or its older name where that says anything.
fn first_wait(params: &Map<String, Value>) -> f64 {
    let get = |name: &str| params.get(name).map(number);
    get("initial").filter(|initial| *initial != 1.0).or_else(|| get("multiplier")).unwrap_or(1.0)
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

/// The settings of an exponential wait, as far as they tell where the original's arithmetic gives out.
struct Exponential {
    multiplier: f64,
    max: f64,
    base: f64,
    /// Python's integers have no largest one: only a float overflows.
    in_floats: bool,
}

impl Exponential {
    fn of(case: &Value) -> Option<Self> {
        let kind = case["kind"].as_str().filter(|kind| kind.contains("exponential"))?;
        let params = case["params"].as_object()?;
        let get = |name: &str| params.get(name).map(number);
        let is_float = |name: &str| case["param_types"][name] == "float";
        // Jitter is a float, and what it is added to becomes one.
        let jittered = kind == "exponential_jitter" && first_wait(params) != 0.0;
        Some(Self {
            multiplier: first_wait(params),
            max: get("max").unwrap_or((1u64 << 62) as f64),
            base: get("exp_base").unwrap_or(2.0),
            in_floats: jittered || ["exp_base", "multiplier", "initial"].into_iter().any(is_float),
        })
    }

    /// Why the wait after this call may differ from the recorded one.
    fn deliberate(&self, attempt: u32) -> Option<&'static str> {
        let power = self.base.abs().powf(f64::from(attempt) - 1.0);
        let largest = power * self.multiplier.abs().max(1.0);
        let raises = self.in_floats && self.base.is_finite() && largest.is_infinite();
        raises.then_some(OVERFLOW).or_else(|| self.max.is_nan().then_some(NAN))
    }
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
        "after_attempt" => stop_after_retries(number(&tree["n"]) as i64),
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
