use memory_core::default_retry;

#[default_retry(attempt_timeout = 2)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = call();
}
