//! `lru.json`: the traces of `functools.lru_cache` and of the original's singleton.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, VecDeque},
};

use memory_core::{CacheInfo, FmLru, cached_singleton, fm_lru};
use serde_json::{Value, json};

use crate::report::{Score, Verdict, cases};

#[test]
fn lru() {
    let mut score = Score::new("lru.json");
    let mut unused_singletons: VecDeque<Fresh> = FRESH.into();
    for case in cases("lru.json") {
        let id = case["id"].as_str().expect("every case has an id");
        let verdict = match case["kind"].as_str() {
            Some("lru_trace") => trace(&case),
            Some("singleton_trace") => singleton_trace(&case, &mut unused_singletons),
            Some("lru_construct") => Verdict::LeftOut("a `maxsize` that is no number is a compile error here"),
            Some("singleton_with_args") => Verdict::LeftOut("singleton arguments"),
            Some("singleton_concurrent") => {
                Verdict::LeftOut("known bug of the reference: its factory runs several times")
            }
            Some("singleton_coroutine_function") => Verdict::LeftOut("Python-only: the coroutine object is cached"),
            other => Verdict::Differed(format!("unknown kind {other:?}")),
        };
        score.count(id, verdict);
    }
    score.finish();
}

/// An argument as a key: Rust's `Eq`, apart from floats, which are equal as in Python.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    None,
    Bool(bool),
    Int(String),
    Float(u64),
    Text(String),
    Tuple(Vec<Key>),
}

/// What `#[fm_lru]` without arguments makes of a function; the same trace as for a store of 128.
#[fm_lru]
fn bare(arguments: Vec<Key>) -> Result<Value, String> {
    body(arguments, bare)
}

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

/// The traced function: it returns its run number, or raises, or calls itself.
fn body(arguments: Vec<Key>, inner: impl Fn(Vec<Key>) -> Result<Value, String>) -> Result<Value, String> {
    let run = RUNS.get() + 1;
    RUNS.set(run);
    match arguments.first() {
        Some(Key::Text(text)) if text.starts_with("raise") => Err("ValueError".to_owned()),
        Some(Key::Text(text)) if text.starts_with("recurse") => {
            Ok(json!(["r", inner(vec![Key::Text("inner".to_owned())])?]))
        }
        _ => Ok(json!(run)),
    }
}

/// The function behind a store, or behind the bare attribute.
enum Traced {
    Bare,
    Store(FmLru<Vec<Key>, Value>),
}

impl Traced {
    fn call(&self, arguments: Vec<Key>) -> Result<Value, String> {
        match self {
            Self::Bare => bare(arguments),
            Self::Store(store) => {
                let run = || body(arguments.clone(), |inner| self.call(inner));
                store.get_or_try_insert_with(arguments.clone(), run)
            }
        }
    }

    fn info(&self) -> CacheInfo {
        match self {
            Self::Bare => bare::cache_info(),
            Self::Store(store) => store.cache_info(),
        }
    }

    fn clear(&self) {
        match self {
            Self::Bare => bare::cache_clear(),
            Self::Store(store) => store.cache_clear(),
        }
    }
}

fn trace(case: &Value) -> Verdict {
    let traced = match &case["maxsize"] {
        Value::Null => Traced::Store(FmLru::new(None)),
        Value::String(default) if default == "default" => Traced::Bare,
        maxsize => match maxsize.as_u64() {
            Some(maxsize) => Traced::Store(FmLru::new(Some(maxsize))),
            None => return Verdict::LeftOut("negative `maxsize`"),
        },
    };
    let steps = case["steps"].as_array().expect("a trace has steps");
    if let Some(rule) = left_out(steps) {
        return Verdict::LeftOut(rule);
    }
    traced.clear();
    RUNS.set(0);
    for (at, step) in steps.iter().enumerate() {
        if let Err(difference) = check(step, &traced) {
            return Verdict::Differed(format!("step {at} {step}: {difference}"));
        }
    }
    Verdict::Matched
}

/// By which rule a trace does not bind: no Rust function could be called as it calls.
fn left_out(steps: &[Value]) -> Option<&'static str> {
    if steps.iter().any(|step| step["kwargs"].as_object().is_some_and(|named| !named.is_empty())) {
        return Some("keyword arguments");
    }
    let arguments: Vec<&Value> = steps.iter().filter_map(|step| step["args"].as_array()).flatten().collect();
    let kinds: BTreeSet<&str> = arguments.iter().map(|argument| kind(argument)).collect();
    if kinds.len() > 1 {
        return Some("mixed argument kinds in one trace");
    }
    match kinds.first() {
        Some(&("nan" | "new_nan")) => Some("Python-only: a NaN equals itself where it is the same object"),
        Some(&("list" | "dict")) => Some("Python-only: an unhashable argument is a compile error here"),
        _ => None,
    }
}

fn kind(argument: &Value) -> &str {
    match argument {
        Value::Null => "none",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(tagged) if tagged.contains_key("$int") => "int",
        Value::Object(tagged) if tagged.contains_key("$float") => "float",
        Value::Object(tagged) => tagged.get("t").and_then(Value::as_str).unwrap_or("unknown"),
    }
}

fn key(argument: &Value) -> Key {
    let inside =
        argument.get("v").or_else(|| argument.get("$int")).or_else(|| argument.get("$float")).unwrap_or(argument);
    match kind(argument) {
        "none" => Key::None,
        "bool" => Key::Bool(inside.as_bool().expect("a bool")),
        "int" => Key::Int(inside.as_str().map_or_else(|| inside.to_string(), str::to_owned)),
        "float" => Key::Float(float_bits(inside)),
        "text" | "bytes" => Key::Text(inside.as_str().expect("a text").to_owned()),
        "tuple" => Key::Tuple(inside.as_array().expect("a tuple").iter().map(key).collect()),
        other => panic!("a new kind of argument: {other} in {argument}"),
    }
}

fn float_bits(value: &Value) -> u64 {
    let parsed = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let float: f64 = parsed.expect("a float");
    // 0.0 and -0.0 are equal, in Python as in Rust.
    if float == 0.0 { 0 } else { float.to_bits() }
}

fn check(step: &Value, traced: &Traced) -> Result<(), String> {
    let arguments = || -> Vec<Key> { step["args"].as_array().into_iter().flatten().map(key).collect() };
    let before = RUNS.get();
    let answer = match step["op"].as_str() {
        Some("call") => Some(traced.call(arguments())),
        Some("uncached") => Some(body(arguments(), |inner| traced.call(inner))),
        Some("clear") => {
            traced.clear();
            None
        }
        other => return Err(format!("unknown op {other:?}")),
    };
    if let Some(answer) = answer {
        same("answer", &answered(&answer), &expected(step))?;
        // The file does not say how often an uncached call runs: once, or more where it calls itself. The number of the
        // run is in its answer.
        if let Some(ran) = step.get("ran") {
            same("ran", &json!(RUNS.get() - before), ran)?;
        }
    }
    same("info", &info(traced.info()), &step["info"])
}

fn answered(answer: &Result<Value, String>) -> Value {
    match answer {
        Ok(value) => json!({ "result": value }),
        Err(error) => json!({ "error": error }),
    }
}

fn expected(step: &Value) -> Value {
    match step.get("error") {
        Some(error) => json!({ "error": error }),
        None => json!({ "result": step["result"] }),
    }
}

fn info(info: CacheInfo) -> Value {
    json!({ "hits": info.hits, "misses": info.misses, "maxsize": info.maxsize, "currsize": info.currsize })
}

fn same(what: &str, ours: &Value, theirs: &Value) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: {ours} instead of {theirs}")) }
}

type Made = Result<&'static Value, String>;
type Fresh = fn() -> Made;

thread_local! {
    /// What the factory of the singleton under test does in its next runs; the last one repeats.
    static FACTORY: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

fn factory() -> Result<Value, String> {
    let run = RUNS.get() + 1;
    RUNS.set(run);
    let outcome = FACTORY.with_borrow_mut(|outcomes| match outcomes.len() {
        0 | 1 => outcomes.front().cloned(),
        _ => outcomes.pop_front(),
    });
    match outcome.as_deref() {
        Some("value") => Ok(json!([run])),
        Some("none") => Ok(Value::Null),
        Some("raise") => Err("ValueError".to_owned()),
        other => Err(format!("a new kind of outcome: {other:?}")),
    }
}

/// A singleton lives as long as the program, so each trace needs one of its own.
macro_rules! fresh {
    ($($name:ident)*) => {
        const FRESH: [Fresh; [$(stringify!($name)),*].len()] = [$($name),*];
        $(
            #[cached_singleton]
            fn $name() -> Result<Value, String> {
                factory()
            }
        )*
    };
}

fresh!(s0 s1 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 s12 s13 s14 s15 s16 s17 s18 s19 s20 s21 s22 s23 s24 s25 s26 s27 s28 s29 s30 s31);

fn singleton_trace(case: &Value, unused: &mut VecDeque<Fresh>) -> Verdict {
    let steps = case["steps"].as_array().expect("a trace has steps");
    if steps.iter().any(|step| step["op"] == "clear") {
        return Verdict::LeftOut("singleton `clear`");
    }
    if steps.iter().any(|step| step["args"].as_array().is_some_and(|arguments| !arguments.is_empty())) {
        return Verdict::LeftOut("singleton arguments");
    }
    let Some(singleton) = unused.pop_front() else {
        return Verdict::Differed("no singleton is left: write more names into `fresh!`".to_owned());
    };
    let outcomes = case["factory"].as_array().expect("a factory has outcomes").iter();
    FACTORY.set(outcomes.map(|outcome| outcome.as_str().expect("an outcome is a word").to_owned()).collect());
    RUNS.set(0);
    for (at, step) in steps.iter().enumerate() {
        if let Err(difference) = check_singleton(step, singleton) {
            return Verdict::Differed(format!("step {at} {step}: {difference}"));
        }
    }
    Verdict::Matched
}

/// A singleton counts nothing, so `info` has no counterpart.
fn check_singleton(step: &Value, singleton: Fresh) -> Result<(), String> {
    let before = RUNS.get();
    let made = singleton().cloned();
    same("answer", &answered(&made), &expected(step))?;
    same("ran", &json!(RUNS.get() - before), &step["ran"])
}
