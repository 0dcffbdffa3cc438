use memory_core::{incrementing, retry};

#[retry(wait = incrementing(start = 2, max = 30))]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = (call(), incrementing(1, 1, 1));
}
