use std::io;

use memory_core::{fixed, retry};

async fn call() -> io::Result<u8> {
    Ok(1)
}

async fn retried() -> io::Result<u8> {
    retry().wait(fixed(2)).run(call).await
}

fn main() {}
