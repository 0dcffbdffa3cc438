use memory_core::memorize;

#[memorize(timeout = 2)]
async fn load(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
