use memory_core::memorize;

#[memorize(expire = 60, stale_if_error = 3600, stale_on = memory_core::is_retryable_error)]
async fn load(id: u64) -> u64 {
    id
}

fn main() {}
