use memory_core::retry;

#[retry(wait_min = 5)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = call();
}
