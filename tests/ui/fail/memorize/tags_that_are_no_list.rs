use memory_core::memorize;

#[memorize(tags = id)]
async fn load(id: u64) -> u64 {
    id
}

fn main() {}
