use std::pin::Pin;

use memory_core::retry;

type Answer = Option<u8>;

#[retry(deadline = 5)]
fn call(id: u8) -> Pin<Box<dyn Future<Output = Answer>>> {
    Box::pin(async move { Some(id) })
}

fn main() {}
