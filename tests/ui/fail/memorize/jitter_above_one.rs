use memory_core::memorize;

#[memorize(jitter = 10)]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
