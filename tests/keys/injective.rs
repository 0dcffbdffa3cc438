//! Unequal calls have unequal keys: in words, in text, in fingerprints.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use memory_core::{
    __private::key::{KeyBuf, function},
    backend::Prefix,
};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use crate::model::{Argument, Value, arguments};

/// What a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Head {
    Function { id: &'static str, namespace: Option<&'static str>, version: Option<u64> },
    Direct { namespace: Option<&'static str>, name: &'static str },
}

/// A key with everything that has to tell it from others.
struct Made {
    key: KeyBuf,
    identity: String,
    text: String,
    fingerprint: [u8; 16],
}

fn made(head: Head, arguments: &[Argument]) -> Made {
    let (key, identity) = match head {
        Head::Direct { namespace, name } => (KeyBuf::direct(namespace, name), format!("{head:?}")),
        Head::Function { id, namespace, version } => {
            let mut key = function(id, namespace, version);
            arguments.iter().for_each(|argument| argument.push(&mut key));
            let identities: Vec<String> = arguments.iter().map(Argument::identity).collect();
            (key, format!("{head:?} {identities:?}"))
        }
    };
    let prefix = Prefix::new("app").unwrap();
    let text = key.as_key().render(&prefix);
    let fingerprint = key.as_key().fingerprint(&prefix);
    Made { key, identity, text, fingerprint }
}

fn heads() -> impl Strategy<Value = Head> {
    let namespaces = || select(vec![None, None, None, Some("n"), Some("n/f"), Some(""), Some("f::")]);
    let ids =
        select(vec!["a::f", "a::f", "a::f", "f", "a::f:", "a::f::", "n/f", "f@v1", "a::f:42", "::f", "#", "a::<{f}>"]);
    let versions = select(vec![None, None, None, Some(1), Some(11)]);
    prop_oneof![
        9 => (ids, namespaces(), versions).prop_map(|(id, namespace, version)| Head::Function { id, namespace, version }),
        1 => (namespaces(), select(vec!["", "f", "n/f", "a::f", "a::f:42", "#", "@v1", "é"]))
            .prop_map(|(namespace, name)| Head::Direct { namespace, name }),
    ]
}

/// The other call of a pair: related to the first, so that a sloppy encoding would confuse them.
fn twisted(arguments: &[Argument], twist: u8, at: usize) -> Vec<Argument> {
    let mut other = arguments.to_vec();
    let Some(count) = other.len().checked_sub(1) else { return vec![Argument::Str(String::new())] };
    let at = at % (count + 1);
    let chosen = other[at].clone();
    match (twist, chosen) {
        (0, chosen) => other[at] = Argument::Str(text_of(&[chosen])),
        (1, _) => other = vec![Argument::Str(text_of(arguments))],
        (2, Argument::Dynamic(value)) => other[at] = Argument::Dynamic(Value::Some(Box::new(value))),
        (3, Argument::Dynamic(value)) => other[at] = Argument::Dynamic(Value::Tuple(vec![value])),
        (4, Argument::Dynamic(value)) => other[at] = Argument::Dynamic(Value::Newtype("a", Box::new(value))),
        (5, Argument::Dynamic(value)) => other[at] = Argument::Dynamic(Value::Seq(vec![value])),
        (6, Argument::Str(text)) => {
            let (left, right) = text.split_at(text.char_indices().nth(1).map_or(0, |(at, _)| at));
            other.splice(at..=at, [Argument::Str(left.into()), Argument::Str(right.into())]);
        }
        (7, Argument::Int(number)) => other[at] = Argument::Dynamic(Value::I128(number)),
        (8, Argument::Str(text)) => other[at] = Argument::Dynamic(Value::Bytes(text.into())),
        (9, Argument::Dynamic(value)) => {
            other[at] = Argument::Dynamic(Value::Map(vec![(value.clone(), Value::None), (value, Value::None)]));
        }
        (10, _) => {
            other.remove(at);
        }
        _ => other.rotate_left(1),
    }
    other
}

/// The arguments as they stand in the text of a key.
fn text_of(arguments: &[Argument]) -> String {
    let head = Head::Function { id: "a::f", namespace: None, version: None };
    made(head, arguments).text.trim_start_matches("app:a::f").trim_start_matches(':').to_owned()
}

#[test]
fn a_hundred_thousand_pairs_of_unequal_calls_have_unequal_keys() {
    const PAIRS: u32 = 100_000;
    let unequal = Cell::new(0u32);
    let seen: RefCell<HashMap<String, String>> = RefCell::default();
    let pairs = (heads(), arguments(), heads(), arguments(), 0..24u8, 0..4usize);
    let config = Config { cases: PAIRS + PAIRS / 4, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(config).run(&pairs, |(head, arguments, other_head, others, twist, at)| {
        let left = made(head, &arguments);
        let right = match twist {
            0..12 => made(head, &twisted(&arguments, twist, at)),
            12..18 => made(head, &others),
            _ => made(other_head, &others),
        };
        let equal = left.identity == right.identity;
        unequal.set(unequal.get() + u32::from(!equal));
        prop_assert_eq!(left.fingerprint == right.fingerprint, equal, "fingerprints");
        prop_assert_eq!(left.key.as_key() == right.key.as_key(), equal, "words");
        prop_assert_eq!(left.text == right.text, equal, "{} against {}", left.text, right.text);
        for made in [left, right] {
            let well_formed = made.text.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}".contains(&byte));
            prop_assert!(well_formed && made.text.starts_with("app:"), "{}", made.text);
            // Against every call so far, too: not only pairs.
            let known = seen.borrow().get(&made.text).cloned();
            prop_assert!(known.is_none_or(|known| known == made.identity), "{} is two calls", made.text);
            seen.borrow_mut().insert(made.text, made.identity);
        }
        Ok(())
    });
    checked.unwrap();
    assert!(unequal.get() >= PAIRS, "only {} pairs were unequal", unequal.get());
}

#[test]
fn the_known_traps_are_told_apart() {
    let some = |value| Value::Some(Box::new(value));
    let text = |text: &str| Argument::Str(text.to_owned());
    let dynamic = |value: Value| vec![Argument::Dynamic(value)];
    let traps = [
        vec![text("a:b"), text("c")],
        vec![text("a"), text("b:c")],
        vec![text("a"), text("b"), text("c")],
        vec![text("a:b:c")],
        vec![],
        vec![text("")],
        vec![text(""), text("")],
        vec![text("42")],
        vec![Argument::Int(42)],
        dynamic(Value::U32(42)),
        dynamic(Value::I64(42)),
        dynamic(Value::F64(42.0)),
        dynamic(Value::None),
        dynamic(some(Value::None)),
        dynamic(some(some(Value::None))),
        dynamic(some(Value::Unit)),
        dynamic(Value::Unit),
        dynamic(Value::Seq(vec![])),
        dynamic(Value::Tuple(vec![])),
        dynamic(Value::Map(vec![])),
        dynamic(Value::Bytes(vec![])),
        dynamic(Value::UnitStruct("")),
        dynamic(Value::Struct("", vec![])),
        dynamic(Value::Seq(vec![Value::Seq(vec![Value::Unit]), Value::Seq(vec![])])),
        dynamic(Value::Seq(vec![Value::Seq(vec![]), Value::Seq(vec![Value::Unit])])),
        dynamic(Value::Newtype("Some", Box::new(Value::None))),
    ];
    let head = Head::Function { id: "a::f", namespace: None, version: None };
    for (at, left) in traps.iter().enumerate() {
        for right in &traps[..at] {
            let (left, right) = (made(head, left), made(head, right));
            assert!(left.key.as_key() != right.key.as_key(), "{} / {}", left.text, right.text);
            assert_ne!(left.text, right.text);
            assert_ne!(left.fingerprint, right.fingerprint);
        }
    }
}
