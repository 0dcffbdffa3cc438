use memory_core::default_retry;

fn is_busy(error: &std::fmt::Error) -> bool {
    *error == std::fmt::Error
}

#[default_retry(retry_on = is_busy)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = call();
}
