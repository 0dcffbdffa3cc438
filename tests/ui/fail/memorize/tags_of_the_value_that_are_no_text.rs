use memory_core::memorize;

#[memorize(tags = |value| vec![(*value,)])]
async fn load(id: u64) -> u64 {
    id
}

fn main() {}
