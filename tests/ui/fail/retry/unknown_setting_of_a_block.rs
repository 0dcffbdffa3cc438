use memory_core::{exponential_backoff, retry};

#[retry(wait = exponential_backoff(multiplier = 2, maximum = 30))]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = (call(), exponential_backoff());
}
