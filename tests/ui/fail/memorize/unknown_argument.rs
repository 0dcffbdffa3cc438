use memory_core::memorize;

#[memorize(expires = 60)]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
