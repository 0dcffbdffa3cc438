use memory_core::memorize;

#[memorize(timeout = 0)]
async fn load(id: u64) -> Result<u64, memory_core::FmError> {
    Ok(id)
}

fn main() {}
