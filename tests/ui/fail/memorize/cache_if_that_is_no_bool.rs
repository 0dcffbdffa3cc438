use memory_core::memorize;

#[memorize(cache_if = |value| *value)]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
