//! The user may have modules and types of every name that an expansion could need.

#![no_implicit_prelude]
#![allow(dead_code)]

mod core {}
mod std {}
mod alloc {}
mod memory {}
struct Result;
struct Option;
struct Some;
struct None;
struct Ok;
struct Err;
struct Vec;
struct Box;
struct String;
trait Clone {}
trait Future {}
trait Into {}
trait From {}

use ::memory_core::{default_retry, exponential_backoff, retry, stop_after_retries};

type Outcome<T> = ::std::result::Result<T, ::std::io::Error>;

#[retry(stop = stop_after_retries(2), wait = exponential_backoff(multiplier = 0), deadline = 9, jitter = "full")]
async fn call(attempts: u32, outcome: &mut u32, wait: ::std::string::String) -> Outcome<u32> {
    *outcome += attempts;
    ::std::mem::drop(wait);
    if *outcome < 4 { ::std::result::Result::Err(::std::io::ErrorKind::TimedOut.into2()) } else { ::std::result::Result::Ok(*outcome) }
}

#[default_retry(before_sleep = |_, _, _| {}, reraise = true)]
fn blocking(this: u8, error: &str) -> Outcome<u8> {
    ::std::assert!(!error.is_empty());
    ::std::result::Result::Ok(this)
}

/// `Into` is shadowed.
trait Into2 {
    fn into2(self) -> ::std::io::Error;
}

impl Into2 for ::std::io::ErrorKind {
    fn into2(self) -> ::std::io::Error {
        ::std::convert::From::from(self)
    }
}

fn main() {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ::std::assert_eq!(runtime.block_on(call(2, &mut 0, ::std::string::String::new())).unwrap(), 4);
    ::std::assert_eq!(blocking(3, "x").unwrap(), 3);
}
