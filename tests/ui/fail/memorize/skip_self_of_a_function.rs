use memory_core::memorize;

#[memorize(skip(self))]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
