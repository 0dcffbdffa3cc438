use std::io;

use memory_core::{is_retryable_error, retry};

async fn call() -> io::Result<u8> {
    Ok(1)
}

async fn retried() -> io::Result<u8> {
    retry().when(is_retryable_error).reraise(false).run(call).await
}

fn main() {}
