use memory_core::{FmError, bulkhead, fallback};

#[bulkhead(max_concurrent = "ten")]
async fn bounded() -> Result<(), FmError> {
    Ok(())
}

#[fallback("none")]
async fn fell() -> Result<u32, FmError> {
    Ok(1)
}

fn main() {
    let _ = (bounded(), fell());
}
