use memory_core::memorize;

#[memorize(expire = 60, stale_if_error = 3600, stale_on_none)]
async fn load(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
