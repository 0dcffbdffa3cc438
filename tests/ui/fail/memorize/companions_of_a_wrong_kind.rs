use memory_core::memorize;

#[memorize(companions = "users")]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
