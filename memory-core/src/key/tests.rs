//! The innards: what the tests of the workspace can't reach.

use std::hash::{BuildHasher, Hasher};

use super::*;

fn prefix() -> Prefix {
    Prefix::new("app").unwrap()
}

fn site(line: u32) -> registry::Site {
    registry::Site { file: "a.rs", line, column: 1 }
}

#[test]
fn a_key_has_the_text_that_the_contract_shows() {
    let number = registry::register("shop::users::get_user", None, None, site(1));
    let mut key = KeyBuf::function(number);
    key.push_u64(42);
    assert_eq!(key.as_key().render(&prefix()), "app:shop::users::get_user:42");
    assert_eq!(key.as_key().number(), number);
    let number = registry::register("shop::users::get_user", Some("reports"), Some(2), site(1));
    let mut key = KeyBuf::function(number);
    key.push_str("abc");
    key.push_i8(-7);
    key.push_bool(true);
    assert_eq!(key.as_key().render(&prefix()), "app:reports/shop::users::get_user@v2:abc:-7:true");
    assert_eq!(key.as_key().namespace().as_deref(), Some("reports"));
    let key = KeyBuf::direct(Some("re:ports"), "loaderReport:SNF");
    assert_eq!(key.as_key().render(&prefix()), "app:re%3Aports/loaderReport%3ASNF");
    assert_eq!(key.as_key().namespace().as_deref(), Some("re:ports"));
    assert_eq!(KeyBuf::direct(None, "x").as_key().render(&prefix()), "app:x");
}

#[test]
fn the_same_function_keeps_its_number_and_a_clash_gets_a_name_of_its_own() {
    let first = registry::register("clash", None, None, site(10));
    assert_eq!(registry::register("clash", None, None, site(10)), first);
    let second = registry::register("clash", None, None, site(20));
    assert_ne!(first, second);
    assert_eq!(registry::register("clash", None, None, site(20)), second);
    assert_eq!(KeyBuf::function(first).as_key().render(&prefix()), "app:clash:");
    assert_eq!(KeyBuf::function(second).as_key().render(&prefix()), "app:clash@20.1:");
    assert_ne!(registry::register("clash", Some("elsewhere"), None, site(10)), first);
}

#[test]
fn a_kept_key_is_found_by_the_borrowed_one() {
    let mut buf = KeyBuf::function(7);
    buf.push(&("a", 1u8));
    let key = buf.to_key();
    assert!(key.as_key() == buf.as_key());
    assert!(equivalent::Equivalent::equivalent(&buf.as_key(), &key));
    let hasher = BuildKeyHasher::default();
    assert_eq!(hasher.hash_one(&key), buf.as_key().hash());
    assert_eq!(hasher.hash_one(buf.as_key()), buf.as_key().hash());
    let mut other = KeyBuf::function(7);
    other.push(&("a", 2u8));
    assert!(key.as_key() != other.as_key());
    assert_ne!(key.as_key().hash(), other.as_key().hash());
}

#[test]
fn the_hasher_of_maps_is_sound_for_other_types_too() {
    let hash = |bytes: &[u8]| {
        let mut hasher = super::hasher::KeyHasher::default();
        hasher.write(bytes);
        hasher.finish()
    };
    assert_ne!(hash(b"ab"), hash(b"ba"));
    assert_ne!(hash(b"\0"), hash(b"\0\0"));
}

#[test]
fn an_argument_that_fails_to_serialize_poisons_the_key() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no such thing"))
        }
    }
    let mut key = KeyBuf::function(1);
    assert_eq!(key.failure(), None);
    key.push(&Refuses);
    key.push_u8(1);
    assert_eq!(key.failure(), Some("no such thing"));
}

#[test]
fn words_that_are_no_key_render_without_a_panic() {
    for words in [&[][..], &[0], &[1, u64::MAX], &[0, 0x2800_0000_0000_0009], &[1, 0x31 << 56], &[1, 0x12 << 56, 1]] {
        let key = KeyRef { hash: 0, words };
        assert!(key.render(&prefix()).starts_with("app:"));
        let _ = (key.namespace(), key.fingerprint(&prefix()), format!("{key:?}"));
    }
}
