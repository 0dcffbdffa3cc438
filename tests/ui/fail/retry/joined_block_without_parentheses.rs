use memory_core::{chain, fixed, retry};

#[retry(wait = chain([fixed(1), fixed(2)]) + memory_core::exponential_backoff)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = (call(), chain([fixed(1)]));
}
