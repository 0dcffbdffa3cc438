use memory_core::default_retry;

#[default_retry(atempts = 5)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = call();
}
