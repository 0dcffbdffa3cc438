use memory_core::memorize;

#[memorize(stale_if_error = 60, soft_timeout = 0.0)]
async fn load(id: u64) -> u64 {
    id
}

fn main() {}
