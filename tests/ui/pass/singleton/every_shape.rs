#![deny(warnings)]
//! Sync and async, plain and `Result`, free and associated, in every visibility.

use std::{
    fmt::{Debug, Display},
    future::Future,
    pin::pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use memory_core::cached_singleton;

pub struct Settings {
    pub name: String,
}

/// Documented.
#[cached_singleton]
pub fn get_settings() -> Settings {
    Settings { name: "app".to_owned() }
}

#[cached_singleton()]
#[must_use]
#[inline]
pub(crate) fn registry() -> Mutex<Vec<u8>> {
    Mutex::default()
}

#[cached_singleton]
fn r#match() -> Result<u8, std::num::ParseIntError> {
    let parsed = "12".parse::<u8>()?;
    if parsed > 1 {
        return Ok(parsed);
    }
    Ok(0)
}

#[cached_singleton]
fn described() -> Box<dyn Debug + Send + Sync> {
    Box::new("text")
}

#[cached_singleton]
async fn pool() -> Result<Box<dyn Display + Send + Sync>, Box<dyn std::error::Error>> {
    if "1".parse::<u8>()? == 2 {
        return Err("no".into());
    }
    Ok(Box::new(5))
}

#[cached_singleton]
async fn words() -> &'static [&'static str] {
    &["a", "b"]
}

impl Settings {
    const NAME: &'static str = "associated";

    #[cached_singleton]
    pub fn shared() -> Settings {
        Self { name: Self::NAME.to_owned() }
    }
}

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

fn main() {
    let settings: &'static Settings = get_settings();
    assert!(std::ptr::eq(settings, get_settings()) && settings.name == "app");
    registry().lock().unwrap().push(1);
    assert_eq!(*registry().lock().unwrap(), [1]);
    let matched: Result<&'static u8, _> = r#match();
    assert_eq!(matched, Ok(&12));
    assert_eq!(format!("{:?}", described()), "\"text\"");
    assert_eq!(ready(pool()).unwrap().to_string(), "5");
    assert_eq!(ready(words()), &["a", "b"]);
    assert_eq!(Settings::shared().name, "associated");
}
