use memory_core::memorize;

#[memorize(expire = )]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
