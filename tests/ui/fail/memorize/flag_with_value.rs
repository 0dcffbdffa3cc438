use memory_core::memorize;

#[memorize(memory_only = true)]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
