use memory_core::default_retry;

#[default_retry(attempts = 5, attempts = 3)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = call();
}
