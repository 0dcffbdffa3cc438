use memory_core::memorize;

#[memorize(timeout = 2)]
async fn load(id: u64) -> u64 {
    id
}

fn main() {}
