//! Values survive the envelope; damage never does.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use serde::Deserialize;

use super::*;

const KEY: [u8; 16] = *b"0123456789abcdef";

fn meta<T>(_: &T) -> Meta<'static> {
    Meta {
        fingerprint: KEY,
        type_name: std::any::type_name::<T>(),
        born_ms: 1_700_000_000_000,
        fresh_ms: Some(60_000),
        idle_ms: None,
        ..Meta::default()
    }
}

fn sealed<T: Serialize>(value: &T) -> Vec<u8> {
    encode(&meta(value), value).unwrap()
}

fn reopened<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Damage> {
    let (meta, body) = open(bytes, &KEY)?;
    decode_value(&meta, body)
}

#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
    assert_eq!(reopened::<T>(&sealed(&value)).unwrap(), value);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    next: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Address(std::net::IpAddr),
    Text(String),
    Pair { left: f64, right: Option<bool> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(Option<u8>),
    Tuple(i128, u128),
    Struct { map: BTreeMap<(u8, i16), char> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    #[serde(flatten)]
    shape: Shape,
    #[serde(flatten)]
    page: Page,
}

#[test]
fn what_serde_offers_comes_back_as_it_went_in() {
    let rest = BTreeMap::from([("a".to_owned(), serde_json::json!({"b": [1, -2, 1.0, null, "c", u64::MAX]}))]);
    let page = Page { id: u64::MAX, next: None, rest };
    survives(page.clone());
    survives(Flat { shape: Shape::Newtype(Some(3)), page: Page { next: Some(String::new()), ..page } });
    survives(vec![
        Either::Number(-1),
        Either::Address([127, 0, 0, 1].into()),
        Either::Text("127.0.0.2.3".into()),
        Either::Pair { left: -0.0, right: None },
    ]);
    survives(vec![
        Shape::Unit,
        Shape::Newtype(None),
        Shape::Tuple(i128::MIN, u128::MAX),
        Shape::Struct { map: BTreeMap::from([((1, -1), '\u{10FFFF}')]) },
    ]);
    survives((Some(1u8), None::<u8>, (), Ok::<u8, String>(1), std::time::Duration::MAX));
    assert!(reopened::<f64>(&sealed(&f64::NAN)).unwrap().is_nan());
}

#[test]
fn an_envelope_keeps_what_is_said_about_the_value() {
    let bytes = sealed(&7u8);
    let (meta, _) = open(&bytes, &KEY).unwrap();
    assert_eq!(
        (meta.born_ms, meta.fresh_ms, meta.idle_ms, meta.type_name),
        (1_700_000_000_000, Some(60_000), None, "u8")
    );
    let forever = Meta {
        fresh_ms: None,
        idle_ms: Some(1),
        stale_while_revalidate_ms: Some(2),
        stale_if_error_ms: Some(3),
        bridges_ms: Some(4),
        due_ms: Some(5),
        rests_ms: Some(u64::MAX),
        ..meta
    };
    let bytes = encode(&forever, &7u8).unwrap();
    assert_eq!(open(&bytes, &KEY).unwrap().0, forever);
}

#[test]
fn a_value_that_would_come_back_as_another_is_refused() {
    let refused = |result: Result<Vec<u8>, FmError>| result.is_err_and(|error| error.is_codec());
    assert!(refused(encode(&meta(&()), &Some(None::<u8>))));
    assert!(refused(encode(&meta(&()), &vec![Some(())])));
    assert!(refused(encode(&meta(&()), &BTreeMap::from([(1, Some(serde_json::Value::Null))]))));
    assert!(encode(&meta(&()), &Some(Some(1))).is_ok());
    let mut deep = serde_json::json!(1);
    for _ in 0..DEEPEST {
        deep = serde_json::json!([deep]);
    }
    survives(deep.clone());
    assert!(refused(encode(&meta(&()), &vec![deep])));
}

#[test]
fn another_key_another_type_another_form_are_told_apart() {
    let bytes = sealed(&"text".to_owned());
    assert_eq!(open(&bytes, &[0; 16]).unwrap_err(), Damage::OtherKey);
    assert!(Damage::OtherKey.is_misdelivery() && !Damage::Checksum.is_misdelivery());
    assert_eq!(
        reopened::<Box<str>>(&bytes).unwrap_err(),
        Damage::OtherType { stored: std::any::type_name::<String>().into() }
    );
    let lie = Meta { type_name: std::any::type_name::<u64>(), ..meta(&0u64) };
    let bytes = encode(&lie, "text").unwrap();
    assert!(matches!(reopened::<u64>(&bytes).unwrap_err(), Damage::Value(_)));
    let bytes = encode(&lie, &(1u8, 2u8)).unwrap();
    assert!(matches!(reopened::<u64>(&bytes).unwrap_err(), Damage::Value(_)));
    for foreign in [&b""[..], b"\xFAf", b"hello, world", b"\xFAfm\0", b"{\"json\":1}"] {
        assert_eq!(open(foreign, &KEY).unwrap_err(), Damage::Foreign);
    }
    assert_eq!(open(b"\xFAfm\x02 whatever", &KEY).unwrap_err(), Damage::Newer);
}

#[test]
fn bytes_after_the_value_are_damage() {
    for more in [&b"\xC0"[..], b"\xC1", b"\xA5ab", b"\xD9", b"\xC0\xC0"] {
        let mut bytes = sealed(&1u8);
        bytes.extend_from_slice(more);
        envelope::seal(&mut bytes);
        assert_eq!(reopened::<u8>(&bytes).unwrap_err(), Damage::Value("bytes are left over".into()), "{more:?}");
    }
}

#[test]
fn a_field_of_a_later_version_is_skipped() {
    let bytes = sealed(&"x".to_owned());
    let mut later = bytes[..56].to_vec();
    let length = u32::from_le_bytes(bytes[44..48].try_into().unwrap());
    later[44..48].copy_from_slice(&(length + 7).to_le_bytes());
    later.extend_from_slice(&[200, 2, 0, 0, 0, 9, 9]);
    later.extend_from_slice(&bytes[56..]);
    envelope::seal(&mut later);
    assert_eq!(reopened::<String>(&later).unwrap(), "x");
}

#[test]
fn a_weight_is_the_length_of_the_value() {
    let value = ("text".to_owned(), vec![1u32, 70_000]);
    let bytes = sealed(&value);
    let (_, body) = open(&bytes, &KEY).unwrap();
    assert_eq!(weigh(&value), body.len() as u64);
}

#[test]
fn no_flipped_bit_and_no_cut_is_ever_a_value() {
    let page = Page { id: 7, next: Some("next".into()), rest: BTreeMap::new() };
    let bytes = sealed(&page);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(reopened::<Page>(&flipped).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(reopened::<Page>(&bytes[..length]).is_err(), "cut to {length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_never_a_value(head in 0..4usize, bytes in vec(any::<u8>(), 0..200)) {
        let bytes = [&b"\xFAfm\x01"[..head], &bytes].concat();
        prop_assert!(open(&bytes, &KEY).is_err());
    }

    /// Even where the checksum holds: garbage under a good seal is an error or a value, never a panic.
    #[test]
    fn sealed_garbage_never_panics(header in vec(any::<u8>(), 40), fields in vec(any::<u8>(), 0..20), length in 0..64u32, body in vec(any::<u8>(), 0..64)) {
        let mut bytes = b"\xFAfm\x01".to_vec();
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&fields);
        bytes.extend_from_slice(&body);
        envelope::seal(&mut bytes);
        let fingerprint: [u8; 16] = bytes[4..20].try_into().unwrap();
        prop_assert!(!open(&bytes, &fingerprint).is_err_and(|damage| damage == Damage::OtherKey));
        let page = meta(&Page { id: 0, next: None, rest: BTreeMap::new() });
        let _ = decode_value::<Page>(&page, &body);
        let either = Meta { type_name: std::any::type_name::<Vec<Either>>(), ..page };
        let _ = decode_value::<Vec<Either>>(&either, &body);
        let json = Meta { type_name: std::any::type_name::<serde_json::Value>(), ..page };
        let _ = decode_value::<serde_json::Value>(&json, &body);
    }

    #[test]
    fn what_survives_once_survives_unchanged(json in json()) {
        prop_assert_eq!(reopened::<serde_json::Value>(&sealed(&json)).unwrap(), json);
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let scalars = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,40}".prop_map(Into::into),
    ];
    scalars.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}
