use memory_core::memorize;

#[memorize(expire = 60, expire = 30)]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
