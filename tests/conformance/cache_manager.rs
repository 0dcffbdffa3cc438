//! `cache_manager.json`: get, set and clear of JSON values.
//!
//! A case runs step by step. A step that does not bind ends the case, unless it can't touch our keys; a case of which
//! no answer binds is left out whole, by the rule of the step that ended it.

use std::time::Duration;

use memory_core::{FmCache, FmCacheManager, FmMemoryBackend};
use memory_redis::FmRedisBackend;
use serde_json::Value;

use crate::{
    report::{Score, Verdict, cases},
    support::{self, redis_server::RedisServer},
};

const FILE: &str = "cache_manager.json";

/// What is left out, by rule of the vectors' README.
mod rule {
    pub(super) const PYTHON_VALUE: &str = "values that JSON lacks";
    pub(super) const RAW: &str = "backend_set and backend_clear of raw text, other stores of the same process, reset";
    pub(super) const NAMESPACE: &str = "clear(namespace=..): the original's is a textual prefix of keys, ours is exact";
    pub(super) const CLEAR_KEY: &str = "clear(key=..) wipes the prefix in the original";
    pub(super) const EMPTY_PREFIX: &str = "an empty prefix is refused by init";
    pub(super) const NOT_INITIALISED: &str = "\"must call init\": ours works on an in-memory default";
    pub(super) const REINIT: &str = "a second init replaces the manager, its store included";
    pub(super) const UNREACHABLE: &str = "a store that is down is an error in the original, a miss here";
    pub(super) const CLIENT_OPTION: &str = "options of the Python Redis client";
    pub(super) const NO_EXPIRY: &str = "no expiry: the original expires at once or never, ours by the default";
    pub(super) const NOT_STORED: &str = "an expiry of 0: never stored here";
    pub(super) const PYTHON_EXPIRY: &str = "expiries that the original's stores refuse, or that are text";
    pub(super) const CLOCK: &str = "a wall clock set back: ours is monotonic";
    pub(super) const WHOLE_SECONDS: &str = "the original's memory counts whole seconds and answers past the expiry";
    pub(super) const CLEARED_COUNT: &str = "clear counts expired entries in the original's memory";
}

#[tokio::test(start_paused = true)]
async fn in_memory() {
    run(
        "memory",
        |prefix| async move { FmCacheManager::builder(FmMemoryBackend::new()).prefix(prefix).build().unwrap() },
    )
    .await;
}

#[tokio::test]
async fn in_redis() {
    let server = RedisServer::start();
    run("redis", |prefix| {
        let _: () = server.run(&[b"FLUSHALL"]);
        let backend = FmRedisBackend::connect(server.url()).unwrap();
        connected(FmCacheManager::builder(backend).prefix(prefix).build().unwrap())
    })
    .await;
}

/// Connecting is lazy, and answers as if nothing were stored until it is done.
async fn connected(cache: FmCache) -> FmCache {
    support::eventually(Duration::from_secs(5), "a connection", || async {
        cache.get::<Value>("").strict().await.is_ok().then_some(())
    })
    .await;
    cache
}

/// Runs the cases of one backend, each in a cache that `open` makes for a prefix.
async fn run<F: Future<Output = FmCache>>(backend: &str, open: impl Fn(String) -> F) {
    let mut score = Score::new(&format!("{FILE} ({backend})"));
    for case in cases(FILE) {
        if case["backend"].as_str() != Some(backend) {
            continue;
        }
        let id = case["id"].as_str().unwrap_or_default().to_owned();
        let verdict = match prefix(&case) {
            Ok(prefix) => play(open(prefix).await, &case).await,
            Err(rule) => Verdict::LeftOut(rule),
        };
        score.count(&id, verdict);
    }
    score.finish();
}

/// Why cases of the other backends are left out, so that every case of the file is accounted for.
#[test]
fn every_backend_of_the_file_is_known() {
    for case in cases(FILE) {
        let backend = case["backend"].as_str().unwrap_or_default();
        let known = match backend {
            "memory" | "redis" => "run",
            "redis_unreachable" => rule::UNREACHABLE,
            "redis_decode_responses" => rule::CLIENT_OPTION,
            _ => "",
        };
        assert_ne!(known, "", "nothing runs the cases of {backend:?}");
    }
}

fn prefix(case: &Value) -> Result<String, &'static str> {
    match &case["init"] {
        Value::Null => Err(rule::NOT_INITIALISED),
        init => match init["prefix"].as_str() {
            Some("") => Err(rule::EMPTY_PREFIX),
            // The original's own default is a name of its own, too.
            prefix => Ok(prefix.unwrap_or("fm-cache").to_owned()),
        },
    }
}

/// What one step said.
enum Step {
    Matched,
    Done,
    Differed(String),
    /// The rest of the case does not bind.
    Stop(&'static str),
}

async fn play(cache: FmCache, case: &Value) -> Verdict {
    let mut compared = 0;
    let mut ended_by = None;
    let mut deadlines = std::collections::HashMap::new();
    let mut now = 0;
    for (number, step) in case["steps"].as_array().into_iter().flatten().enumerate() {
        let result = match step["op"].as_str().unwrap_or_default() {
            "set" => set(&cache, step, &mut deadlines, now).await,
            "get" => get(&cache, step, &deadlines, now).await,
            "clear" => clear(&cache, step, &mut deadlines, now).await,
            "advance" => advance(step, &mut now).await,
            "backend_set" if !is_ours(&cache, step) => Step::Done,
            "reinit" => Step::Stop(rule::REINIT),
            _ => Step::Stop(rule::RAW),
        };
        match result {
            Step::Matched => compared += 1,
            Step::Done => {}
            Step::Differed(how) => return Verdict::Differed(format!("step {number}: {how}")),
            Step::Stop(rule) => {
                ended_by = Some(rule);
                break;
            }
        }
    }
    match ended_by {
        Some(rule) if compared == 0 => Verdict::LeftOut(rule),
        _ => Verdict::Matched,
    }
}

type Deadlines = std::collections::HashMap<String, u64>;

async fn set(cache: &FmCache, step: &Value, deadlines: &mut Deadlines, now: u64) -> Step {
    let Some(value) = json(&step["value"]) else { return Step::Stop(rule::PYTHON_VALUE) };
    let key = step["key"].as_str().unwrap_or_default();
    let expire = match &step["expire"] {
        Value::Null => return Step::Stop(rule::NO_EXPIRY),
        Value::Number(number) if step["error"].is_null() => number.as_f64().unwrap_or_default(),
        Value::Number(zero) if zero.as_f64() == Some(0.0) => return Step::Stop(rule::NOT_STORED),
        _ => return Step::Stop(rule::PYTHON_EXPIRY),
    };
    if expire == 0.0 {
        return Step::Stop(rule::NOT_STORED);
    }
    deadlines.insert(key.to_owned(), now + milliseconds(expire));
    match cache.set(key, value).expire(expire).await {
        Ok(()) => Step::Done,
        Err(error) => Step::Differed(format!("set: {error}")),
    }
}

async fn get(cache: &FmCache, step: &Value, deadlines: &Deadlines, now: u64) -> Step {
    if !step["error"].is_null() {
        return Step::Stop(rule::RAW);
    }
    let Some(expected) = json(&step["returned"]) else { return Step::Stop(rule::PYTHON_VALUE) };
    let key = step["key"].as_str().unwrap_or_default();
    let found = match cache.get::<Value>(key).await {
        Ok(found) => found.unwrap_or(Value::Null),
        Err(error) => return Step::Differed(format!("get: {error}")),
    };
    if found == expected {
        return Step::Matched;
    }
    if found.is_null() && deadlines.get(key).is_some_and(|deadline| now >= *deadline) {
        return Step::Stop(rule::WHOLE_SECONDS);
    }
    Step::Differed(format!("get {key:?}: {found} instead of {expected}"))
}

async fn clear(cache: &FmCache, step: &Value, deadlines: &mut Deadlines, now: u64) -> Step {
    if step.get("key").is_some() {
        return Step::Stop(rule::CLEAR_KEY);
    }
    if let Some(namespace) = step["namespace"].as_str() {
        return match cache.clear_namespace(namespace).await {
            Ok(cleared) if step["returned"].as_u64() == Some(cleared) => Step::Matched,
            Ok(_) => Step::Stop(rule::NAMESPACE),
            Err(error) => Step::Differed(format!("clear_namespace: {error}")),
        };
    }
    let expected = deadlines.values().filter(|deadline| now < **deadline).count() as u64;
    // Its own count may include expired entries; ours is of the live ones.
    let cleared = match cache.clear().await {
        Ok(cleared) => cleared,
        Err(error) => return Step::Differed(format!("clear: {error}")),
    };
    if cleared != expected {
        return Step::Differed(format!("clear: {cleared} instead of {expected}"));
    }
    deadlines.clear();
    match step["returned"].as_u64() {
        Some(count) if count != cleared => Step::Stop(rule::CLEARED_COUNT),
        _ => Step::Matched,
    }
}

/// Time passes: paused time in memory, real time for a real server.
async fn advance(step: &Value, now: &mut u64) -> Step {
    let Some(seconds) = step["seconds"].as_f64().filter(|seconds| *seconds >= 0.0) else {
        return Step::Stop(rule::CLOCK);
    };
    *now += milliseconds(seconds);
    // Paused time runs on by itself in a sleep; with a real server the same sleep is real.
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    Step::Done
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

fn is_ours(cache: &FmCache, step: &Value) -> bool {
    step["raw_key"].as_str().is_none_or(|key| key.starts_with(&format!("{}:", cache.prefix())))
}

/// What marks a recorded value that stands for another; any other key is a key.
const TAGS: [&str; 5] = ["$int", "$bigint", "$float", "$type", "$py"];

/// The JSON value that a recorded one stands for; `None` where JSON has none that serde_json holds.
fn json(value: &Value) -> Option<Value> {
    match value {
        Value::Object(object) if object.keys().any(|key| TAGS.contains(&key.as_str())) => tagged(object),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| Some((key.clone(), json(value)?)))
            .collect::<Option<_>>()
            .map(Value::Object),
        Value::Array(values) => values.iter().map(json).collect::<Option<_>>().map(Value::Array),
        plain => Some(plain.clone()),
    }
}

fn tagged(object: &serde_json::Map<String, Value>) -> Option<Value> {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let int =
        text("$int").or_else(|| text("$bigint")).or_else(|| text("value").filter(|_| text("$type") == Some("int")));
    let float = text("$float").or_else(|| text("value").filter(|_| text("$type") == Some("float")));
    if let Some(int) = int {
        return int.parse::<i64>().map(Value::from).or_else(|_| int.parse::<u64>().map(Value::from)).ok();
    }
    serde_json::Number::from_f64(float?.parse().ok()?).map(Value::Number)
}
