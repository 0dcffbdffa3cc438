use memory_core::memorize;

#[memorize(skip(b))]
async fn get((a, b): (u64, u64)) -> u64 {
    a + b
}

fn main() {}
