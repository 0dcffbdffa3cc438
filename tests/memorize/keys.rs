//! Calls that differ in any argument differ in key, calls that are equal do not.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use memory_core::memorize;
use serde::{Serialize, Serializer, ser::Error};

use crate::{Logs, Runs, alone};

#[memorize(memory_only)]
async fn two(a: String, b: String) -> (String, String) {
    (a, b)
}

#[memorize]
#[allow(dead_code)]
async fn lists(a: Vec<String>, b: Vec<String>) -> usize {
    a.len() + b.len()
}

#[memorize]
#[allow(dead_code)]
async fn options(a: Option<u8>, b: Option<Option<u8>>) -> u8 {
    a.or(b.flatten()).unwrap_or_default()
}

#[memorize]
#[allow(dead_code)]
async fn floats(x: f64) -> f64 {
    x
}

#[memorize]
async fn map(map: HashMap<String, u32>) -> usize {
    map.len()
}

#[memorize]
#[allow(dead_code)]
async fn set(set: HashSet<u32>) -> usize {
    set.len()
}

#[tokio::test(start_paused = true)]
async fn no_separator_game_makes_two_calls_one() {
    let texts =
        ["", ":", "::", "a", "a:", ":a", "a:a", "%3A", "%", "{", "}", "/", "#", "\0", "é", "a b", "1", "-1", "true"];
    alone(async {
        let mut keys = HashSet::new();
        for a in texts {
            for b in texts {
                let (a, b) = (a.to_owned(), b.to_owned());
                assert!(keys.insert(two::key(a.clone(), b.clone()).to_string()), "{a:?} {b:?}");
                assert_eq!(two(a.clone(), b.clone()).await, (a, b));
            }
        }
        assert_eq!(keys.len(), texts.len() * texts.len());
        assert!(keys.iter().all(|key| !key.contains(['{', '}']) && key.is_ascii()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn structure_is_part_of_the_key() {
    let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    alone(async {
        let keys = [
            lists::key(list(&["a", "b"]), list(&[])),
            lists::key(list(&["a"]), list(&["b"])),
            lists::key(list(&[]), list(&["a", "b"])),
            lists::key(list(&["ab"]), list(&[])),
            lists::key(list(&["a,b"]), list(&[])),
            lists::key(list(&["a", "b", ""]), list(&[])),
        ];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "{keys:?}");
        let keys = [
            options::key(None, None),
            options::key(Some(0), None),
            options::key(None, Some(None)),
            options::key(None, Some(Some(0))),
        ];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "{keys:?}");
        assert_ne!(floats::key(0.0), floats::key(-0.0));
        assert_eq!(floats::key(f64::NAN), floats::key(-f64::NAN), "one NaN");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_order_of_a_map_or_set_is_no_part_of_the_key() {
    alone(async {
        let forward: HashMap<_, _> = (0..100).map(|n| (n.to_string(), n)).collect();
        let backward: HashMap<_, _> = (0..100).rev().map(|n| (n.to_string(), n)).collect();
        assert_eq!(map::key(forward.clone()), map::key(backward));
        let sorted: BTreeMap<_, _> = forward.clone().into_iter().collect();
        assert_eq!(map(forward.clone()).await, sorted.len());
        assert!(map::invalidate(forward).await.unwrap());
        assert_eq!(set::key((0..100).collect()), set::key((0..100).rev().collect()));
    })
    .await;
}

#[memorize(skip(runs))]
#[allow(clippy::too_many_arguments)]
async fn kinds(
    a: Arc<str>,
    b: Box<[u8]>,
    c: Duration,
    d: char,
    e: i128,
    f: (),
    g: &'static str,
    h: std::net::IpAddr,
    runs: Runs,
) -> u32 {
    let _ = (a, b, c, d, e, f, g, h);
    runs.begin()
}

#[tokio::test(start_paused = true)]
async fn every_argument_counts() {
    let runs = Runs::default();
    let home = std::net::IpAddr::from([127, 0, 0, 1]);
    alone(async {
        let call = |a: &str, b: &[u8], c, d, e, g, h| {
            kinds(a.into(), b.into(), Duration::from_nanos(c), d, e, (), g, h, runs.clone())
        };
        for round in 0..2 {
            call("a", b"b", 1, 'c', -1, "g", home).await;
            call("b", b"b", 1, 'c', -1, "g", home).await;
            call("a", b"", 1, 'c', -1, "g", home).await;
            call("a", b"b", 2, 'c', -1, "g", home).await;
            call("a", b"b", 1, 'd', -1, "g", home).await;
            call("a", b"b", 1, 'c', i128::MIN, "g", home).await;
            call("a", b"b", 1, 'c', -1, "", home).await;
            call("a", b"b", 1, 'c', -1, "g", [0, 0, 0, 0].into()).await;
            assert_eq!(runs.take(), if round == 0 { 8 } else { 0 });
        }
    })
    .await;
}

/// Can't always be serialised.
struct Moody(bool);

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 { serializer.serialize_u8(1) } else { Err(S::Error::custom("not today")) }
    }
}

#[memorize(skip(runs))]
async fn moody(mood: Moody, runs: Runs) -> u32 {
    let _ = mood;
    runs.begin()
}

#[tokio::test(start_paused = true)]
async fn an_argument_that_fails_to_serialise_makes_the_call_run_uncached_with_one_error_log() {
    let logs = Logs::capture();
    let runs = Runs::default();
    alone(async {
        assert_eq!((moody(Moody(true), runs.clone()).await, moody(Moody(true), runs.clone()).await), (1, 1));
        assert_eq!((moody(Moody(false), runs.clone()).await, moody(Moody(false), runs.clone()).await), (2, 3));
        assert_eq!(moody::refresh(Moody(false), runs.clone()).await, 4);
        let refused = moody::put(Moody(false), 9).await.unwrap_err();
        assert!(refused.is_config() && refused.to_string().contains("not today"), "{refused}");
        assert_eq!(moody::peek(Moody(false)).await.unwrap(), None, "and nothing is ever found under it");
        assert!(!moody::invalidate(Moody(false)).await.unwrap());
        assert_eq!(moody(Moody(false), runs.clone()).await, 5);
    })
    .await;
    let errors = logs.lines("ERROR", "key");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("not today") && errors[0].contains("skip"), "{errors:?}");
}

#[memorize(name = "twice")]
async fn first_of_the_name(id: u32) -> u32 {
    id
}

#[memorize(name = "twice")]
async fn second_of_the_name(id: u32) -> u32 {
    id * 2
}

#[tokio::test(start_paused = true)]
async fn two_functions_of_one_name_never_share_a_value() {
    alone(async {
        assert_eq!((first_of_the_name(1).await, second_of_the_name(1).await), (1, 2));
        assert_eq!((first_of_the_name(1).await, second_of_the_name(1).await), (1, 2));
        assert_ne!(first_of_the_name::key(1), second_of_the_name::key(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn functions_inside_of_functions_never_share_a_value() {
    async fn one() -> u32 {
        #[memorize]
        async fn inner(id: u32) -> u32 {
            id
        }
        inner(1).await
    }
    async fn other() -> u32 {
        #[memorize]
        async fn inner(id: u32) -> u32 {
            id * 2
        }
        inner(1).await
    }
    alone(async {
        for _ in 0..2 {
            assert_eq!((one().await, other().await), (1, 2));
        }
    })
    .await;
}
