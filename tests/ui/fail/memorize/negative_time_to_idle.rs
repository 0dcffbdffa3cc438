use memory_core::memorize;

#[memorize(time_to_idle = -0.5)]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
