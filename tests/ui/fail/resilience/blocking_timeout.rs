use memory_core::{FmError, timeout};

#[timeout(30)]
fn read() -> Result<u8, FmError> {
    Ok(1)
}

fn main() {
    let _ = read();
}
