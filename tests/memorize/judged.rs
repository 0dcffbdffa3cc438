//! What judges the returned value may mention arguments, which are the body's by then: it has copies, made on a miss.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use memory_core::memorize;
use serde::{Serialize, Serializer};
use tokio::time::advance;

use crate::{Runs, alone, seconds};

#[memorize(cache_if = |answer| answer.len() > at_least.len(), expire = at_least.len() * 10, skip(runs))]
async fn borrowed(word: &str, at_least: &str, runs: Runs) -> String {
    runs.begin();
    word.to_owned()
}

#[memorize(cache_if = |answer| answer.len() > at_least.len(), expire = at_least.len() * 10, skip(runs))]
async fn owned(word: String, at_least: String, runs: Runs) -> String {
    runs.begin();
    drop(at_least);
    word
}

#[memorize(cache_if = |answer| answer.len() > at_least.map_or(1, str::len), skip(runs))]
async fn optional(word: &str, at_least: Option<&str>, runs: Runs) -> String {
    runs.begin();
    word.to_owned()
}

#[memorize(cache_if = |answer| answer.len() > at_least.len(), skip(runs))]
async fn maybe_owned(word: &str, at_least: Cow<'_, str>, runs: Runs) -> String {
    runs.begin();
    word.to_owned()
}

#[memorize(in_place, cache_if = |answer| answer.len() > at_least.len(), skip(runs))]
async fn in_place(word: &str, at_least: String, runs: Runs) -> String {
    runs.begin();
    drop(at_least);
    word.to_owned()
}

/// How many of two calls ran.
async fn twice<F: Future>(runs: &Runs, call: impl Fn() -> F) -> u32 {
    runs.take();
    call().await;
    call().await;
    runs.take()
}

#[tokio::test(start_paused = true)]
async fn borrowed_and_owned_arguments_decide_what_is_stored() {
    let runs = Runs::default();
    let text = str::to_owned;
    alone(async {
        assert_eq!(twice(&runs, || borrowed("long", "abc", runs.clone())).await, 1);
        assert_eq!(twice(&runs, || borrowed("abc", "abc", runs.clone())).await, 2);
        assert_eq!(twice(&runs, || owned(text("long"), text("abc"), runs.clone())).await, 1);
        assert_eq!(twice(&runs, || owned(text("abc"), text("abc"), runs.clone())).await, 2);
        assert_eq!(twice(&runs, || optional("long", Some("abc"), runs.clone())).await, 1);
        assert_eq!(twice(&runs, || optional("a", None, runs.clone())).await, 2);
        assert_eq!(twice(&runs, || maybe_owned("long", "abc".into(), runs.clone())).await, 1);
        assert_eq!(twice(&runs, || maybe_owned("abc", Cow::Owned(text("abc")), runs.clone())).await, 2);
        assert_eq!(twice(&runs, || in_place("long", text("abc"), runs.clone())).await, 1);
        assert_eq!(twice(&runs, || in_place("abc", text("abc"), runs.clone())).await, 2);
        assert_eq!(twice(&runs, || borrowed::refresh("word", "a", runs.clone())).await, 2);
        advance(seconds(9)).await;
        assert_eq!(twice(&runs, || borrowed("word", "a", runs.clone())).await, 0);
        advance(seconds(1)).await;
        assert_eq!(twice(&runs, || borrowed("word", "a", runs.clone())).await, 1, "one letter, ten seconds");
        borrowed::put("put", "letters", "abc".to_owned()).await.unwrap();
        owned::put(text("put"), text("a"), text("abc")).await.unwrap();
        assert_eq!(borrowed::peek("put", "letters").await.unwrap(), None);
        assert_eq!(owned::peek(text("put"), text("a")).await.unwrap().as_deref(), Some("abc"));
    })
    .await;
}

/// Counts its copies.
#[derive(Debug, Default)]
struct Copied {
    copies: Arc<AtomicU32>,
}

impl Copied {
    fn copies(&self) -> u32 {
        self.copies.load(Ordering::SeqCst)
    }
}

impl Clone for Copied {
    fn clone(&self) -> Self {
        self.copies.fetch_add(1, Ordering::SeqCst);
        Self { copies: self.copies.clone() }
    }
}

impl Serialize for Copied {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

#[memorize(cache_if = |copies| *copies <= value.copies())]
async fn copies_of_an_owned_one(value: Copied) -> u32 {
    value.copies()
}

#[memorize(cache_if = |copies| *copies <= value.copies())]
async fn copies_of_a_borrowed_one(value: &Copied) -> u32 {
    value.copies()
}

#[memorize(in_place, cache_if = |copies| *copies <= value.copies())]
async fn copies_in_place(value: &Copied) -> u32 {
    value.copies()
}

#[memorize(cache_if = |copies| *copies <= value.copies())]
fn copies_of_a_blocking_one(value: Copied) -> u32 {
    value.copies()
}

#[tokio::test(start_paused = true)]
async fn a_miss_copies_what_is_mentioned_once_and_a_hit_copies_nothing() {
    let counted = || {
        let value = Copied::default();
        (value.copies.clone(), value)
    };
    alone(async {
        for expected in [1, 0] {
            let (copies, value) = counted();
            copies_of_an_owned_one(value).await;
            assert_eq!(copies.load(Ordering::SeqCst), expected);
            let (copies, value) = counted();
            copies_of_a_blocking_one(value);
            assert_eq!(copies.load(Ordering::SeqCst), expected);
            let (copies, value) = counted();
            copies_of_a_borrowed_one(&value).await;
            assert_eq!(copies.load(Ordering::SeqCst), expected * 2, "one for the task, one for what judges");
            let (copies, value) = counted();
            copies_in_place(&value).await;
            assert_eq!(copies.load(Ordering::SeqCst), 0, "it is borrowed all the while");
        }
    })
    .await;
}

#[derive(Clone, Serialize)]
struct Service {
    name: String,
}

impl Service {
    #[memorize(cache_if = |answer| answer.contains(&self.name), skip(runs))]
    async fn shared(self: Arc<Self>, word: String, runs: Runs) -> String {
        runs.begin();
        word
    }
}

#[tokio::test(start_paused = true)]
async fn an_owned_self_decides_what_is_stored() {
    let runs = Runs::default();
    let service = Arc::new(Service { name: "x".to_owned() });
    alone(async {
        assert_eq!(twice(&runs, || service.clone().shared("x1".to_owned(), runs.clone())).await, 1);
        assert_eq!(twice(&runs, || service.clone().shared("y1".to_owned(), runs.clone())).await, 2);
    })
    .await;
}
