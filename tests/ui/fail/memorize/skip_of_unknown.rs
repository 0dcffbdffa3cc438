use memory_core::memorize;

#[memorize(skip(header))]
async fn get(id: u64, headers: u64) -> u64 {
    id + headers
}

fn main() {}
