//! The format of keys, pinned: a changed line means that every entry in every Redis becomes unreachable.
//!
//! `UPDATE_GOLDEN=1 cargo test --test keys` writes the file anew.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    net::IpAddr,
};

use memory_core::{
    __private::key::{KeyBuf, function},
    backend::Prefix,
};
use serde::Serialize;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/keys.txt");

#[derive(Serialize)]
struct Filter<'a> {
    lang: &'a str,
    page: u32,
    sort: Option<Sort>,
}

#[derive(Serialize)]
enum Sort {
    Newest,
    By(String),
    Span(u8, u8),
    Range { from: i64 },
}

#[derive(Serialize)]
struct UserId(u64);

#[derive(Serialize)]
struct Point(f32, f64);

#[derive(Serialize)]
struct Marker;

#[derive(Serialize)]
#[serde(untagged)]
enum Either {
    Narrow(u32),
    Wide(u64),
    Filter(Filter<'static>),
}

fn statics() -> Vec<(&'static str, KeyBuf)> {
    let make = |fill: &dyn Fn(&mut KeyBuf)| {
        let mut key = function("shop::users::get_user", None, None);
        fill(&mut key);
        key
    };
    vec![
        ("no arguments", make(&|_| {})),
        ("an id", make(&|key| key.push_u64(42))),
        ("a negative number", make(&|key| key.push_i32(-7))),
        (
            "the largest numbers",
            make(&|key| {
                key.push_u64(u64::MAX);
                key.push_u128(u128::MAX);
                key.push_i128(i128::MIN);
            }),
        ),
        (
            "strings",
            make(&|key| {
                key.push_str("fr");
                key.push_str("user@example.org");
                key.push_str("a:b {c} 100%");
                key.push_str("");
                key.push_str("42");
            }),
        ),
        (
            "a flag, a letter, floats",
            make(&|key| {
                key.push_bool(true);
                key.push_char('x');
                key.push_f64(0.1);
                key.push_f64(-0.0);
                key.push_f32(f32::NAN);
            }),
        ),
        (
            "a type parameter",
            make(&|key| {
                key.push_type("alloc::vec::Vec<shop::User>");
                key.push_u8(1);
            }),
        ),
        ("a long string", make(&|key| key.push_str(&"long ".repeat(100)))),
        ("a foreign alphabet", make(&|key| key.push_str("ключ от квартиры"))),
        ("a short foreign word", make(&|key| key.push_str("Zürich"))),
    ]
}

fn dynamics() -> Vec<(&'static str, KeyBuf)> {
    fn make<T: Serialize + ?Sized>(value: &T) -> KeyBuf {
        let mut key = function("shop::users::search", Some("reports"), None);
        key.push(value);
        key
    }
    let filter = |sort| Filter { lang: "fr", page: 2, sort };
    vec![
        ("an option", make(&Some(5u64))),
        ("no option", make(&None::<u64>)),
        ("an option in an option", make(&Some(None::<u64>))),
        ("the unit", make(&())),
        ("a tuple", make(&(1u8, -1i8, "x"))),
        ("a tuple of one", make(&(1u8,))),
        ("an array of none", make(&[0u8; 0])),
        ("a list", make(&vec![1u64, 2, 3])),
        ("a map", make(&HashMap::from([("b", 2u16), ("a", 1), ("c", 3)]))),
        ("a map of maps", make(&BTreeMap::from([((1u8, 'x'), BTreeMap::from([(true, 0i128)]))]))),
        ("a struct", make(&filter(None))),
        ("a unit variant", make(&filter(Some(Sort::Newest)))),
        ("a newtype variant", make(&filter(Some(Sort::By("price".into()))))),
        ("a tuple variant", make(&Sort::Span(1, 2))),
        ("a struct variant", make(&Sort::Range { from: i64::MIN })),
        ("a newtype", make(&UserId(42))),
        ("a tuple struct", make(&Point(1.5, 1e300))),
        ("a unit struct", make(&Marker)),
        ("untagged: narrow", make(&Either::Narrow(1))),
        ("untagged: wide", make(&Either::Wide(1))),
        ("untagged: a struct", make(&Either::Filter(filter(None)))),
        ("an address", make(&IpAddr::from([127, 0, 0, 1]))),
        ("json", make(&serde_json::json!({"b": [1, -1, 1.5, null], "a": {"c": "d"}}))),
        ("a duration", make(&std::time::Duration::from_millis(1_500))),
    ]
}

fn others() -> Vec<(&'static str, KeyBuf)> {
    vec![
        ("a direct key", KeyBuf::direct(None, "loaderReport:SNF")),
        ("a direct key in a namespace", KeyBuf::direct(Some("reports"), "loaderReport:SNF")),
        ("a long direct key", KeyBuf::direct(Some("reports"), &"x".repeat(300))),
        ("a version", function("shop::users::get_user", None, Some(2))),
        ("a version in a namespace", function("shop::users::get_user", Some("a/b"), Some(2))),
        ("a name without a path", function("users.get", None, None)),
        ("a method of a generic type", function("shop::Repo<alloc::string::String>::{{impl}}::load", None, None)),
    ]
}

#[test]
fn keys_are_those_of_the_golden_file() {
    let prefix = Prefix::new("app-cache").unwrap();
    let mut lines = String::new();
    for (name, key) in statics().into_iter().chain(dynamics()).chain(others()) {
        assert_eq!(key.failure(), None, "{name}");
        let fingerprint = u128::from_be_bytes(key.as_key().fingerprint(&prefix));
        writeln!(lines, "{name}\t{}\t{fingerprint:032x}", key.as_key().render(&prefix)).unwrap();
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(FILE, &lines).unwrap();
    }
    let golden = std::fs::read_to_string(FILE).unwrap().replace("\r\n", "\n");
    for (golden, now) in golden.lines().zip(lines.lines()) {
        assert_eq!(now, golden);
    }
    assert_eq!(lines.lines().count(), golden.lines().count());
}
