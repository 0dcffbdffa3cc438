//! Generic functions, opaque values, borrowed values, recursion.

use std::{borrow::Cow, error::Error, fmt::Display, future::Future, io, pin::Pin};

use axum::extract::Path;
use memory_core::retry;

#[retry]
async fn opaque<T: Display + Clone>(value: T) -> Result<impl Display, io::Error> {
    Ok(value)
}

/// `Path` itself is not `Clone`.
#[retry]
async fn extracted(Path((id, name)): Path<(u64, String)>) -> Result<(u64, String), io::Error> {
    Ok((id, name))
}

#[retry]
async fn borrowed<'a>(text: &'a str) -> Result<Cow<'a, str>, io::Error> {
    Ok(Cow::Borrowed(text))
}

#[retry]
async fn elided(mut text: &str) -> Result<&str, io::Error> {
    text = &text[1..];
    Ok(text)
}

#[retry]
async fn coerced(fail: bool) -> Result<Box<dyn Display>, Box<dyn Error + Send + Sync>> {
    if fail {
        return Err(Box::new(std::fmt::Error));
    }
    Ok(Box::new(1))
}

#[retry]
async fn question_mark(text: impl AsRef<str> + Clone) -> Result<u8, Box<dyn Error>> {
    let number: u8 = text.as_ref().parse()?;
    Ok(number)
}

#[retry]
fn recursive(depth: u8) -> Pin<Box<dyn Future<Output = Result<u8, io::Error>> + Send>> {
    Box::pin(async move { if depth == 0 { Ok(0) } else { Ok(recursive(depth - 1).await? + 1) } })
}

#[retry]
fn opaque_future(number: u8) -> impl Future<Output = Result<u8, io::Error>> + Send {
    async move { Ok(number) }
}

fn send<T: Send>(value: T) -> T {
    value
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(send(opaque(7)).await.unwrap().to_string(), "7");
    assert_eq!(send(extracted(Path((7, "a".to_owned())))).await.unwrap(), (7, "a".to_owned()));
    assert_eq!(send(borrowed("a")).await.unwrap(), "a");
    assert_eq!(send(elided("abc")).await.unwrap(), "bc");
    assert_eq!(coerced(false).await.unwrap().to_string(), "1");
    assert!(coerced(true).await.is_err());
    assert_eq!(question_mark("7").await.unwrap(), 7);
    assert!(question_mark(String::from("x")).await.is_err());
    assert_eq!(recursive(3).await.unwrap(), 3);
    assert_eq!(send(opaque_future(3)).await.unwrap(), 3);
}
