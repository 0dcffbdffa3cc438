use memory_core::{FmError, bulkhead, rate_limit};

#[rate_limit]
async fn limited() -> Result<(), FmError> {
    Ok(())
}

#[bulkhead(max_queued = 5)]
async fn bounded() -> Result<(), FmError> {
    Ok(())
}

fn main() {
    let _ = (limited(), bounded());
}
