use memory_core::{FmError, hedge};

#[hedge(after = 0.1)]
fn read() -> Result<u8, FmError> {
    Ok(1)
}

fn main() {
    let _ = read();
}
