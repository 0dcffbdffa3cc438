use memory_core::memorize;

#[memorize(expire = -1)]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
