use memory_core::memorize;

#[memorize(in_place)]
fn get(id: u64) -> u64 {
    id
}

fn main() {}
