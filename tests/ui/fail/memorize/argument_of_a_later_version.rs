use memory_core::memorize;

#[memorize(expire = 60, stale_for = 3)]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
