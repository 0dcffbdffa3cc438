use memory_core::memorize;

#[memorize(expire = 60, stale_if_error = -1)]
async fn load(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
