use memory_core::{FmError, hedge};

#[hedge(max_hedges = 2)]
async fn never() -> Result<u8, FmError> {
    Ok(1)
}

#[hedge(after = 0.1, quantile = 0.9)]
async fn both() -> Result<u8, FmError> {
    Ok(1)
}

fn main() {
    let _ = (never(), both());
}
