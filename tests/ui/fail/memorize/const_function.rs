use memory_core::memorize;

#[memorize]
const fn get(id: u64) -> u64 {
    id
}

fn main() {}
