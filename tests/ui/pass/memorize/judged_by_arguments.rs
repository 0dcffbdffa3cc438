//! What judges the returned value may mention any argument, though the body has it by then.
use std::{borrow::Cow, fmt::Display, sync::Arc};

use axum::extract::{Path, State};
use memory_core::memorize;

#[memorize(cache_if = |answer| answer.len() > word.len(), expire = word.len())]
async fn text(word: &str) -> String {
    format!("{word}!")
}

#[memorize(cache_if = |answer| answer.as_ref() != Some(word), cache_none = word.len(), time_to_idle = word.len())]
async fn owned(word: String) -> Option<String> {
    Some(word)
}

#[memorize(cache_if = |answer| *answer > word.map_or(0, str::len), jitter = f64::from(u8::from(word.is_some())))]
async fn optional(word: Option<&str>) -> usize {
    word.map_or(0, str::len) + 1
}

#[memorize(cache_if = |answer| *answer > word.len())]
async fn maybe_owned(word: Cow<'_, str>) -> usize {
    word.len() + 1
}

#[memorize(expire = ids.len(), cache_if = |sum| *sum > ids.iter().sum::<u64>())]
async fn slice(ids: &[u64]) -> u64 {
    ids.iter().sum::<u64>() + 1
}

#[derive(Clone)]
struct Db {
    ttl: u64,
}

#[memorize(expire = db.ttl, cache_if = |answer| answer.ends_with(&*name))]
async fn handler(State(db): State<Db>, Path((id, name)): Path<(u64, String)>) -> String {
    format!("{}{id}{name}", db.ttl)
}

struct Opaque(u64);

struct Request {
    size: u64,
    rest: Opaque,
}

#[memorize(key = size, expire = size)]
async fn part(Request { size, .. }: Request) -> u64 {
    size
}

#[memorize(key = request.size, cache_if = |answer| *answer == request.size)]
fn borrowed_by_a_sync_function(request: &Request) -> u64 {
    request.size
}

#[memorize(cache_if = |answer| *answer > word.len())]
fn owned_by_a_sync_function(word: String) -> usize {
    word.into_bytes().len() + 1
}

#[memorize(in_place, key = rest.0, cache_if = |answer| rest.0 == *answer)]
async fn borrowed_in_place(Request { rest, .. }: &Request) -> u64 {
    rest.0
}

#[memorize(in_place, cache_if = |answer| answer.len() > words.len() + more.len())]
async fn owned_in_place(words: Vec<String>, more: &[&str]) -> String {
    words.join(" ") + &more.join(" ")
}

#[memorize(cache_if = |answer| *answer == shown.to_string())]
async fn generic<T: Display + serde::Serialize + Clone + Send + Sync + 'static>(shown: T) -> String {
    shown.to_string()
}

#[memorize(expire = n.len())]
async fn recursive(n: String) -> usize {
    if n.len() > 3 { n.len() } else { Box::pin(recursive(n + "-")).await }
}

#[derive(Clone, serde::Serialize)]
struct Service {
    ttl: f32,
    name: String,
}

impl Service {
    #[memorize(expire = self.ttl, cache_if = |answer| answer.contains(&self.name) && answer.contains(other))]
    pub async fn shared(self: Arc<Self>, other: &str) -> String {
        format!("{}{other}", self.name)
    }

    #[memorize(expire = self.ttl, cache_if = |answer| self::is(answer, &format!("{}{other}", self.name)))]
    async fn consumed(self, other: String) -> String {
        self.name + &other
    }

    #[memorize(expire = self.ttl, cache_if = |answer| answer.contains(&self.name))]
    fn here(self) -> String {
        self.name
    }

    #[memorize(expire = self.ttl, cache_if = |answer| *answer == other.len() + self.name.len())]
    pub async fn borrowed(&self, other: String) -> usize {
        other.len() + self.name.len()
    }
}

fn is(answer: &str, other: &str) -> bool {
    answer == other
}

#[async_trait::async_trait]
trait Get {
    async fn get(self: Arc<Self>, word: String) -> String;
    async fn find(&self, word: &str, words: Vec<String>) -> usize;
}

#[async_trait::async_trait]
impl Get for Service {
    #[memorize(expire = self.ttl, cache_if = |answer| answer == word)]
    async fn get(self: Arc<Self>, word: String) -> String {
        word
    }

    #[memorize(expire = self.ttl, cache_if = |answer| *answer == word.len() + words.len())]
    async fn find(&self, word: &str, words: Vec<String>) -> usize {
        word.len() + words.len()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    text("a").await;
    assert_eq!(text::peek("a").await.unwrap().as_deref(), Some("a!"));
    text::put("a", "too long".to_owned()).await.unwrap();
    assert_eq!(owned("a".to_owned()).await.as_deref(), Some("a"));
    assert_eq!(owned::peek("a".to_owned()).await.unwrap(), None);
    optional(Some("a")).await;
    assert_eq!(optional::peek(Some("a")).await.unwrap(), Some(2));
    maybe_owned("a".into()).await;
    maybe_owned(Cow::Owned("a".to_owned())).await;
    assert_eq!(maybe_owned::peek("a".into()).await.unwrap(), Some(2));
    slice(&[1, 2]).await;
    assert_eq!(slice::peek(&[1, 2]).await.unwrap(), Some(4));
    let path = || Path((1, "x".to_owned()));
    handler(State(Db { ttl: 5 }), path()).await;
    assert_eq!(handler::peek(path()).await.unwrap().as_deref(), Some("51x"));
    part(Request { size: 3, rest: Opaque(7) }).await;
    let request = Request { size: 3, rest: Opaque(7) };
    borrowed_by_a_sync_function(&request);
    owned_by_a_sync_function("a".to_owned());
    assert_eq!(owned_by_a_sync_function::peek("a".to_owned()).unwrap(), Some(2));
    borrowed_in_place(&request).await;
    owned_in_place(vec!["a".to_owned()], &["b"]).await;
    generic(1).await;
    assert_eq!(recursive(String::new()).await, 4);
    let service = || Service { ttl: 2.5, name: "s".to_owned() };
    Arc::new(service()).shared("o").await;
    service().consumed("o".to_owned()).await;
    service().here();
    service().borrowed("o".to_owned()).await;
    Arc::new(service()).get("w".to_owned()).await;
    service().find("w", Vec::new()).await;
}
