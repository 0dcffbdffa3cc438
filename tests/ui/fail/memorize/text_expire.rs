use memory_core::memorize;

#[memorize(expire = "60s")]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
