//! Keys: unequal arguments have unequal keys, equal ones the same key in every process and every build.

mod golden;
mod injective;
mod model;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use memory_core::__private::key::{Key, KeyBuf, function};
use serde::Serialize;

fn key_of<T: Serialize>(value: &T) -> Key {
    let mut key = function("keys::key_of", None, None);
    key.push(value);
    assert_eq!(key.failure(), None);
    key.to_key()
}

#[test]
fn a_thousand_insertion_orders_of_a_map_make_one_key() {
    let mut keys = HashSet::new();
    for _ in 0..1_000 {
        let random = RandomState::new();
        let mut numbers: Vec<u32> = (0..40).collect();
        numbers.sort_by_key(|number| random.hash_one(number));
        let inner = |seed: u32| numbers.iter().map(|number| (format!("{number}"), number ^ seed)).collect();
        let map: HashMap<u32, HashMap<String, u32>> =
            numbers.iter().take(4).map(|_| 0).zip(0..).map(|(_, seed)| (seed, inner(seed))).collect();
        keys.insert(key_of(&map));
    }
    assert_eq!(keys.len(), 1);
    let ordered: BTreeMap<u32, BTreeMap<String, u32>> =
        (0..4).map(|seed| (seed, (0..40).map(|number: u32| (format!("{number}"), number ^ seed)).collect())).collect();
    assert!(keys.contains(&key_of(&ordered)), "a sorted map with the same entries is the same map");
}

#[test]
fn a_map_is_not_confused_by_an_entry_that_moved() {
    let map = |entries: &[(u8, u8)]| key_of(&entries.iter().copied().collect::<HashMap<_, _>>());
    assert!(map(&[(1, 2), (3, 4)]) != map(&[(1, 4), (3, 2)]));
    assert!(map(&[(1, 2)]) != map(&[(1, 2), (3, 4)]));
}

#[test]
fn nan_is_one_value_and_the_zeros_are_two() {
    let quiet = f64::from_bits(f64::NAN.to_bits() | 1);
    assert!(quiet.is_nan() && quiet.to_bits() != f64::NAN.to_bits());
    assert!(key_of(&f64::NAN) == key_of(&quiet));
    assert!(key_of(&f32::NAN) == key_of(&-f32::NAN));
    assert!(key_of(&0.0f64) != key_of(&-0.0f64));
    assert!(key_of(&1.0f64) != key_of(&1.0f32));
}

#[test]
fn a_short_key_never_allocates() {
    let warm = function("keys::short", None, None);
    let number = warm.as_key().number();
    let counted = allocation_counter::measure(|| {
        let mut key = KeyBuf::function(number);
        key.push_u64(u64::MAX);
        key.push_str("a string of some length, not of a great one");
        key.push(&(Some(1u8), "fr", true));
        assert!(key.as_key() == key.as_key());
        assert_ne!(key.as_key().hash(), 0);
    });
    assert_eq!(counted.count_total, 0);
    let counted = allocation_counter::measure(|| drop(warm.to_key()));
    assert_eq!(counted.count_total, 1, "a kept key is one allocation");
}

#[test]
fn what_is_formatted_is_the_string_that_it_prints() {
    struct Shown(String);
    impl Serialize for Shown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{}", self.0))
        }
    }
    for length in 0..40 {
        let text = "é0123456789".repeat(4).chars().take(length).collect::<String>();
        assert!(key_of(&Shown(text.clone())) == key_of(&text), "{text}");
    }
}
