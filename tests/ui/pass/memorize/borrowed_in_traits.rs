//! Functions in traits have their borrowed arguments copied as well, where the body runs in a task of its own.
use std::{borrow::Cow, sync::Arc};

use memory_core::memorize;

trait Find {
    async fn length(word: &str) -> usize;
    async fn lengths(word: Option<&str>, other: Cow<'_, str>, both: &(String, u8)) -> usize;
    async fn shared(self: Arc<Self>, word: &str) -> String;
}

#[async_trait::async_trait]
trait FindBoxed {
    async fn boxed_length(word: &str) -> usize
    where
        Self: Sized;
    async fn boxed(self: Arc<Self>, word: &str, other: Option<&str>, n: usize) -> String;
}

#[derive(serde::Serialize)]
struct Words {
    prefix: String,
}

impl Find for Words {
    #[memorize(in_impl)]
    async fn length(word: &str) -> usize {
        tokio::task::yield_now().await;
        word.len()
    }

    #[memorize(in_impl, cache_if = |length| *length == word.map_or(0, str::len) + other.len() + a.len())]
    async fn lengths(word: Option<&str>, other: Cow<'_, str>, (a, _): &(String, u8)) -> usize {
        word.map_or(0, str::len) + other.len() + a.len()
    }

    #[memorize(cache_if = |found| found.ends_with(word) && found.starts_with(&self.prefix))]
    async fn shared(self: Arc<Self>, word: &str) -> String {
        format!("{}{word}", self.prefix)
    }
}

#[async_trait::async_trait]
impl FindBoxed for Words {
    #[memorize(in_impl)]
    async fn boxed_length(word: &str) -> usize {
        tokio::task::yield_now().await;
        word.len()
    }

    #[memorize(expire = n, cache_if = |found| found.starts_with(&self.prefix))]
    async fn boxed(self: Arc<Self>, word: &str, other: Option<&str>, n: usize) -> String {
        tokio::task::yield_now().await;
        format!("{}{word}{}{n}", self.prefix, other.unwrap_or_default())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words = || Arc::new(Words { prefix: "a".to_owned() });
    let word = words().prefix.clone() + "bc";
    assert_eq!(Words::length(&word).await, 3);
    assert_eq!(Words::lengths(Some("ab"), "c".into(), &("d".to_owned(), 1)).await, 4);
    assert_eq!(words().shared("b").await, "ab");
    assert_eq!(Words::boxed_length(&word).await, 3);
    assert_eq!(words().boxed("b", Some("c"), 5).await, "abc5");
}
