use memory_core::{no_wait, retry};

#[retry(wait = no_wait)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = (call(), no_wait());
}
