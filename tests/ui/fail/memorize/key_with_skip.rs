use memory_core::memorize;

#[memorize(key = id, skip(trace))]
async fn get(id: u64, trace: u64) -> u64 {
    id + trace
}

fn main() {}
