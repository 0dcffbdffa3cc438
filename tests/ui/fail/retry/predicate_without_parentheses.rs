use memory_core::{default_retry, retry_on_status};

#[default_retry(retry_on = retry_on_status)]
async fn call() -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {
    let _ = (call(), retry_on_status([429]));
}
