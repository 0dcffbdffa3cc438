use memory_core::memorize;

#[memorize(version = "2")]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
