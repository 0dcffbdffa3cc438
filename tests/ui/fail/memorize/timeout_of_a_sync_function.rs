use memory_core::memorize;

#[memorize(timeout = 2)]
fn load(id: u64) -> Result<u64, memory_core::FmError> {
    Ok(id)
}

fn main() {}
