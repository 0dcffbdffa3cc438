use memory_core::default_retry;

#[default_retry(attempts = 0)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = call();
}
