use memory_core::retry;

#[retry(stop = 5)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = call();
}
